#include "tools/kevolve/doctor_checks.h"

#include <dlfcn.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <sstream>

#include "runners/analysis/call_counts.h"
#include "runners/analysis/cpu_identity.h"
#include "runners/analysis/tool_process.h"
#include "runners/sandbox/sandbox.h"

namespace kev {
namespace {

using State = DoctorCheck::State;

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

std::string VersionOf(const std::string& program, const char* option = "--version") {
  ToolLimits limits;
  limits.address_space_bytes = 0;
  limits.confined = false;
  const auto said = RunTool({program, option}, "", limits);
  if (!said) return "";
  return FirstLine(said->out.empty() ? said->err : said->out);
}

// A program that should be there. `without`: what does not work when it is not.
DoctorCheck Program(const std::string& name, const std::vector<std::string>& programs,
                    const std::string& package, const std::string& without, State state,
                    const char* option = "--version") {
  const std::string path = FindTool(programs);
  if (path.empty()) return {name, state, "none: " + without, "install package " + package};
  const std::string version = VersionOf(path, option);
  return {name, State::kOk, path + (version.empty() ? "" : " (" + version + ")"), ""};
}

DoctorCheck LlvmMca() {
  return Program("static model (llvm-mca)",
                 {"llvm-mca-19", "llvm-mca-18", "llvm-mca-17", "llvm-mca-16", "llvm-mca-15",
                  "llvm-mca-14", "llvm-mca"},
                 "llvm", "no cycles and ports of hot loops", State::kLacks, "-version");
}

// Whether a child could make namespaces of its own, tried in a child.
bool CanUnshare(int flags) {
  const pid_t child = fork();
  if (child == 0) _exit(unshare(flags) == 0 ? 0 : 1);
  int status = 1;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

DoctorCheck Bubblewrap() {
  const std::string path = FindTool({"bwrap"});
  if (path.empty())
    return {"sandbox (bubblewrap)", State::kLacks, "none: namespaces are used directly, if allowed",
            "install package bubblewrap"};
  // As judging starts it: under a guardian that gave up its privileges it makes no namespaces.
  const Status works = ProbeIsolation(Isolation::kBubblewrap);
  if (works.ok()) return {"sandbox (bubblewrap)", State::kOk, path + " works", ""};
  return {"sandbox (bubblewrap)", State::kLacks,
          path + " is there and does not work: " + works.error().message,
          "allow user namespaces (kernel.unprivileged_userns_clone, AppArmor's "
          "apparmor_restrict_unprivileged_userns), or do not run inside a chroot"};
}

DoctorCheck Namespaces() {
  constexpr int kAll = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC;
  if (CanUnshare(kAll)) return {"namespaces", State::kOk, "may be made by this user", ""};
  if (CanUnshare(CLONE_NEWUSER | kAll))
    return {"namespaces", State::kOk, "may be made inside a user namespace", ""};
  return {"namespaces", State::kLacks,
          "none may be made: kernels run in a process with limits only",
          "allow user namespaces: sysctl user.max_user_namespaces and "
          "kernel.unprivileged_userns_clone"};
}

DoctorCheck Counters() {
  const std::string reason = NoCountersBecause();
  if (reason.empty()) return {"hardware counters (PMU)", State::kOk, "perf_event works", ""};
  const bool forbidden = reason.find("not allowed") != std::string::npos;
  return {"hardware counters (PMU)", State::kLacks, reason,
          forbidden ? "sysctl kernel.perf_event_paranoid=2"
                    : "counts come from valgrind instead; a virtual machine may be given a PMU"};
}

DoctorCheck Frequency() {
  const std::string folder = "/sys/devices/system/cpu/cpu0/cpufreq";
  const std::string governor = FirstLine(FileText(folder + "/scaling_governor"));
  if (governor.empty())
    return {"clock control (cpufreq)", State::kLacks,
            "none: the clock is measured by a chain of additions and cannot be set",
            "nothing to do in a virtual machine"};
  const bool steady = governor == "performance";
  return {"clock control (cpufreq)", steady ? State::kOk : State::kLacks, "governor " + governor,
          steady ? "" : "cpupower frequency-set -g performance"};
}

DoctorCheck Cores(const CpuIdentity& cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  const int usable = CPU_COUNT(&set);
  const std::string isolated = FirstLine(FileText("/sys/devices/system/cpu/isolated"));
  std::string siblings =
      FirstLine(FileText("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list"));
  const bool smt = siblings.find_first_of(",-") != std::string::npos;
  std::string detail = std::to_string(usable) + " of " + std::to_string(cpu.cpus) + " usable";
  detail += isolated.empty() ? ", none isolated" : ", isolated: " + isolated;
  if (smt) detail += ", two threads a core (cpu0 with " + siblings + ")";
  if (usable < 2)
    return {"cores", State::kLacks, detail + ": what measures and what is measured share one",
            "give the machine a second core"};
  return {"cores", State::kOk, detail, ""};
}

DoctorCheck Numa() {
  int nodes = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/devices/system/node", error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with("node") && name.size() > 4 && name[4] >= '0' && name[4] <= '9') ++nodes;
  }
  if (nodes == 0) return {"memory nodes (NUMA)", State::kOk, "not told by this kernel", ""};
  return {"memory nodes (NUMA)", State::kOk, std::to_string(nodes), ""};
}

DoctorCheck HugePages() {
  const std::string setting = FirstLine(FileText("/sys/kernel/mm/transparent_hugepage/enabled"));
  if (setting.empty())
    return {"huge pages", State::kLacks, "none: large arrays cost more TLB misses", ""};
  const bool never = setting.find("[never]") != std::string::npos;
  return {"huge pages", never ? State::kLacks : State::kOk, "transparent: " + setting,
          never ? "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled" : ""};
}

// Share of the time since the start that a hypervisor gave to others.
DoctorCheck Steal() {
  std::istringstream words(FirstLine(FileText("/proc/stat")));
  std::string label;
  words >> label;
  double total = 0, steal = 0, value = 0;
  for (int i = 0; words >> value && i < 8; ++i) {
    total += value;
    if (i == 7) steal = value;
  }
  if (total <= 0) return {"steal", State::kLacks, "/proc/stat does not tell", ""};
  const double percent = 100 * steal / total;
  char text[64];
  std::snprintf(text, sizeof text, "%.2f %% of the time since the start", percent);
  return {"steal", percent < 1 ? State::kOk : State::kLacks, text,
          percent < 1 ? "" : "times are noisy here: use a machine of your own for final figures"};
}

DoctorCheck Gpu() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr)
    return {"GPU driver (CUDA)", State::kLacks, "none: GPU kernels are compiled, not run",
            "install NVIDIA's driver where there is such a GPU"};
  const auto init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  const auto count = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDeviceGetCount"));
  int devices = 0;
  const int status = init == nullptr ? -1 : init(0);
  if (status == 0 && count != nullptr) count(&devices);
  if (devices > 0)
    return {"GPU driver (CUDA)", State::kOk, std::to_string(devices) + " devices", ""};
  return {"GPU driver (CUDA)", State::kLacks,
          "the driver library is there, no device (cuInit: " + std::to_string(status) + ")", ""};
}

DoctorCheck Programs() {
  const std::string runner = SiblingProgram("kevolve-runner");
  if (access(runner.c_str(), X_OK) == 0) return {"runner", State::kOk, runner, ""};
  return {"runner", State::kNeed, "no " + runner + ": kernels cannot be run",
          "build or install kevolve's programs into one folder"};
}

std::string Machine(const CpuIdentity& cpu) {
  std::string text = cpu.model_name.empty() ? cpu.vendor : cpu.model_name;
  text += ", vectors of " + std::to_string(cpu.VectorBits()) + " bits";
  for (size_t i = 0; i < cpu.cache_bytes.size(); ++i)
    text += ", L" + std::to_string(i + 1) + " " + std::to_string(cpu.cache_bytes[i] >> 10) + " KiB";
  return text + (cpu.virtual_machine ? ", virtual machine" : "");
}

}  // namespace

std::vector<DoctorCheck> DoctorChecks() {
  const CpuIdentity cpu = ThisCpu();
  return {
      {"CPU", State::kOk, Machine(cpu), ""},
      Cores(cpu),
      Programs(),
      Program("C compiler", {"cc"}, "gcc", "C kernels cannot be compiled", State::kNeed),
      Program("C++ compiler", {"c++"}, "g++", "C++ kernels cannot be compiled", State::kNeed),
      Program("clang",
              {"clang-19", "clang-18", "clang-17", "clang-16", "clang-15", "clang-14", "clang"},
              "clang", "no second compiler to compare with", State::kLacks),
      Program("CUDA compiler", {"nvcc", "/usr/local/cuda/bin/nvcc"}, "nvidia-cuda-toolkit",
              "CUDA kernels cannot be compiled", State::kLacks),
      Program("Redis", {"redis-server"}, "redis-server", "no run can keep its state", State::kNeed),
      Bubblewrap(),
      Namespaces(),
      Program("disassembly (objdump)", {"objdump"}, "binutils", "no hot loops", State::kLacks),
      LlvmMca(),
      Program("counts (valgrind)", {"valgrind"}, "valgrind",
              "no counts of instructions and cache misses where there is no PMU", State::kLacks),
      Counters(),
      Frequency(),
      Steal(),
      Numa(),
      HugePages(),
      Gpu(),
  };
}

Value ToValue(const std::vector<DoctorCheck>& checks) {
  Value list = Value::List{};
  for (const DoctorCheck& check : checks) {
    Value row;
    row.Set("name", check.name);
    row.Set("state", check.state == State::kOk      ? "ok"
                     : check.state == State::kLacks ? "lacks"
                                                    : "need");
    row.Set("detail", check.detail);
    row.Set("remedy", check.remedy);
    list.Append(std::move(row));
  }
  return list;
}

}  // namespace kev
