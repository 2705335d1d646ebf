#include "runners/sandbox/toolchain_sandbox.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "runners/sandbox/syscall_filter.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

constexpr int kNiceness = 5;  // measurements on the same host go first
constexpr uint64_t kProcesses = 256;
constexpr uint64_t kOpenFiles = 1024;
constexpr uint64_t kPrivateTemporary = 64 << 20;
constexpr const char* kSystem[] = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};
// Which of several compilers `cc` is, and where the linker looks. arm64's -march=native reads
// /proc/cpuinfo.
constexpr const char* kSystemFiles[] = {"/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf",
                                        "/etc/ld.so.conf.d", "/proc/cpuinfo"};

bool LiesUnder(const std::string& path, const std::string& folder) {
  return path.compare(0, folder.size(), folder) == 0 &&
         (path.size() == folder.size() || path[folder.size()] == '/');
}

bool IsSystem(const std::string& path) {
  return std::any_of(std::begin(kSystem), std::end(kSystem),
                     [&](const char* folder) { return LiesUnder(path, folder); });
}

void AddSystem(SandboxPlan* plan) {
  for (const char* folder : kSystem) {
    std::error_code error;
    if (fs::is_symlink(folder, error))
      plan->links.emplace_back(fs::read_symlink(folder, error).string(), folder);
    else if (fs::is_directory(folder, error))
      plan->read_only.emplace_back(folder, folder);
  }
  for (const char* path : kSystemFiles)
    if (access(path, R_OK) == 0) plan->read_only.emplace_back(path, path);
}

// The path in a word such as /opt/x, -I/opt/x, --path=/opt/x; "" when there is none.
std::string PathIn(const std::string& word) {
  if (word.empty()) return "";
  const size_t equals = word.find('=');
  const size_t from = word[0] == '/'                      ? 0
                      : equals != std::string::npos       ? equals + 1
                      : word[0] == '-' && word.size() > 2 ? 2
                                                          : word.size();
  return from < word.size() && word[from] == '/' ? word.substr(from) : "";
}

// A program in some bin folder brings the tree round it, another one comes alone.
std::string TreeOf(const std::string& program) {
  const fs::path folder = fs::path(program).parent_path();
  const bool installed = folder.filename() == "bin" && folder.parent_path() != "/";
  return installed ? folder.parent_path().string() : program;
}

void AddNamed(const std::string& path, const std::string& scratch, std::set<std::string>* seen,
              SandboxPlan* plan) {
  struct stat info{};
  if (path.empty() || path == "/" || IsSystem(path) || LiesUnder(path, scratch) ||
      stat(path.c_str(), &info) != 0 || !seen->insert(path).second)
    return;
  plan->read_only.emplace_back(path, path);
}

}  // namespace

Result<SandboxPlan> ToolchainPlan(const std::vector<std::string>& argv, const std::string& folder,
                                  const ProcessLimits& limits) {
  Result<std::string> filter = limits.forks ? CompilerFilter() : CountedFilter();
  if (!filter) return filter.error();
  SandboxPlan plan;
  plan.argv = argv;
  AddSystem(&plan);
  std::set<std::string> seen;
  std::error_code error;
  AddNamed(TreeOf(argv[0]), folder, &seen, &plan);
  AddNamed(TreeOf(fs::canonical(argv[0], error).string()), folder, &seen, &plan);
  for (size_t i = 1; i < argv.size(); ++i)
    AddNamed(fs::path(PathIn(argv[i])).lexically_normal().string(), folder, &seen, &plan);
  plan.scratch_bytes = kPrivateTemporary;
  // SOURCE_DATE_EPOCH: __DATE__ and __TIME__ must not make equal sources differ.
  plan.environment = {
      {"PATH", SearchPath()}, {"LC_ALL", "C"}, {"TMPDIR", folder}, {"SOURCE_DATE_EPOCH", "0"}};
  plan.syscalls = *filter;
  plan.proc = limits.proc;
  plan.niceness = kNiceness;
  // Processor time bounds what no kill reaches (processes left behind when we die), so it comes
  // after the deadline.
  plan.limits.cpu_seconds = static_cast<uint64_t>(limits.deadline.count() / 1000 + 5);
  plan.limits.address_bytes = limits.address_space_bytes;
  plan.limits.memory_bytes = limits.address_space_bytes;
  plan.limits.file_bytes = limits.file_bytes;
  plan.limits.processes = kProcesses;
  plan.limits.open_files = kOpenFiles;
  return plan;
}

}  // namespace kev
