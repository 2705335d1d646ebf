#include "stages/compile/toolchain_identity.h"

#include <sys/stat.h>

#include <climits>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <set>

#include "runners/sandbox/toolchain_process.h"

namespace kev {

Result<std::string> CompilerIdentity(const std::string& program, const std::string& folder) {
  struct stat info{};
  if (stat(program.c_str(), &info) != 0) return Error{Code::kNotFound, "cannot read " + program};
  char resolved[PATH_MAX];
  std::string path = realpath(program.c_str(), resolved) != nullptr ? resolved : program;
  // A compiler that is upgraded while we run has another size or time, and is asked again.
  std::string file = path + "\n" + std::to_string(info.st_size) + "\n" +
                     std::to_string(info.st_mtim.tv_sec) + "." +
                     std::to_string(info.st_mtim.tv_nsec) + "\n";
  static std::mutex mutex;
  static std::map<std::string, std::string> known;
  std::lock_guard lock(mutex);
  if (auto found = known.find(file); found != known.end()) return found->second;
  ProcessLimits limits;
  limits.deadline = std::chrono::seconds(10);
  Result<ProcessOutcome> version = RunToolchain({program, "--version"}, folder, limits, nullptr);
  if (!version) return version.error();
  // Here no source has a say in the output, so this is the guardian's own word.
  for (const char* guardian : {"bwrap: ", "kevolve-confine: "})
    if (!version->Succeeded() && version->output.rfind(guardian, 0) == 0)
      return Error{Code::kUnavailable, "cannot start " + program + " in a sandbox (" +
                                           Name(version->isolation) + "): " + version->output};
  return known[file] = file + version->output;
}

std::string CpuIdentity(const std::vector<std::string>& argv) {
  bool native = false;
  for (const std::string& word : argv)
    native |= word == "-march=native" || word == "-mtune=native" || word == "-mcpu=native";
  if (!native) return "";
  static const std::string cpu = [] {
    const std::set<std::string> wanted = {"model name", "flags", "Features", "CPU part",
                                          "cache size"};
    std::string text, line;
    std::ifstream file("/proc/cpuinfo");
    while (std::getline(file, line) && !line.empty()) {  // the first CPU's paragraph
      size_t end = line.find_last_not_of(" \t", line.find(':') - 1);
      if (wanted.count(line.substr(0, end + 1)) != 0) text += line + "\n";
    }
    return text;
  }();
  return cpu;
}

std::string PackageOf(const std::string& program) {
  std::string name = program.substr(program.rfind('/') + 1);
  if (name == "cc") return "gcc";
  if (name == "c++") return "g++";
  if (name == "nvcc") return "nvidia-cuda-toolkit";
  if (name == "hipcc") return "hipcc";
  if (name.rfind("clang++", 0) == 0) return "clang" + name.substr(7);
  return name;
}

}  // namespace kev
