// A program among the other processes of this machine, where namespaces are not allowed: behind
// Landlock rules, or free. A guardian waits for it and kills its group when it has ended or when
// the launcher goes; filters (--seccomp) keep it from leaving the group.
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "runners/sandbox/confine/options.h"

namespace kev::confine {
namespace {

// Newer than the kernel headers of Debian 12.
constexpr uint64_t kFsTruncate = 1ull << 14, kFsDevices = 1ull << 15;
constexpr uint64_t kNetBindTcp = 1ull << 0, kNetConnectTcp = 1ull << 1;
constexpr uint64_t kScopeAbstractSockets = 1ull << 0, kScopeSignals = 1ull << 1;
struct RulesetAttributes {
  uint64_t files, network, scopes;
};

constexpr uint64_t kRead =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
// Those that have a meaning for what is no folder.
constexpr uint64_t kOfFiles = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                              LANDLOCK_ACCESS_FS_WRITE_FILE | kFsTruncate | kFsDevices;

uint64_t AccessesOf(int abi) {
  uint64_t accesses = (1ull << 13) - 1;
  if (abi >= 2) accesses |= 1ull << 13;  // linking and renaming across folders
  if (abi >= 3) accesses |= kFsTruncate;
  if (abi >= 5) accesses |= kFsDevices;
  return accesses;
}

void Allow(int ruleset, const Step& step, uint64_t handled) {
  const int place = open(step.source.c_str(), O_PATH | O_CLOEXEC);
  struct stat info{};
  if (place < 0 || fstat(place, &info) != 0) Fail(step.source);
  landlock_path_beneath_attr rule{};
  rule.parent_fd = place;
  rule.allowed_access = step.kind == Step::kReadOnly ? kRead : handled;
  if (step.kind == Step::kDevice)
    rule.allowed_access =
        LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | kFsTruncate;
  if (!S_ISDIR(info.st_mode)) rule.allowed_access &= kOfFiles;
  rule.allowed_access &= handled;
  if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
    Fail("a Landlock rule for " + step.source);
  close(place);
}

void EnterLandlock(const Options& options) {
  const auto abi = static_cast<int>(
      syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION));
  if (abi < 1) Fail("this kernel has no Landlock");
  RulesetAttributes attributes{AccessesOf(abi), 0, 0};
  if (abi >= 4) attributes.network = kNetBindTcp | kNetConnectTcp;
  if (abi >= 6) attributes.scopes = kScopeAbstractSockets | kScopeSignals;
  const size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  const auto ruleset = static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, size, 0));
  if (ruleset < 0) Fail("Landlock rules");
  for (const Step& step : options.steps) Allow(ruleset, step, attributes.files);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
    Fail("entering the Landlock rules");
  close(ruleset);
}

volatile pid_t g_program = 0;

void KillGroup(int) {
  kill(-g_program, SIGKILL);
  _exit(1);
}

}  // namespace

int RunGuarded(const Options& options) {
  const pid_t parent = getppid(), guardian = getpid();
  if (options.die_with_parent) DieWithParent(SIGTERM, parent);
  const pid_t program = fork();
  if (program < 0) Fail("fork");
  if (program == 0) {
    DieWithParent(SIGKILL, guardian);
    setpgid(0, 0);
    if (options.info >= 0) close(options.info);
    WaitForGo(options);
    if (options.landlock) EnterLandlock(options);
    DropCapabilities(false);
    Execute(options);
  }
  setpgid(program, program);
  g_program = program;
  signal(SIGTERM, KillGroup);
  TellInfo(options, program);
  syscall(SYS_close_range, 0u, ~0u, 0u);
  const int status = WaitFor(program);
  kill(-program, SIGKILL);  // what it left behind
  return status;
}

}  // namespace kev::confine
