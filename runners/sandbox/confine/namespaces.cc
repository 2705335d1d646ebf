// A program in user, mount, process, network, IPC, host name and control group namespaces of its
// own. Its files are a small tmpfs with what is bound into it. Three processes: the outermost,
// which waits; the first inside, which takes all others with it when it ends; the program.
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runners/sandbox/confine/options.h"

namespace kev::confine {
namespace {

// Where the new root is made; hidden again at the end.
constexpr char kBase[] = "/tmp";
constexpr char kOldRoot[] = "/old";
constexpr char kNewRoot[] = "/new";

void WriteFile(const char* path, const std::string& text) {
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    Fail(path);
  close(file);
}

void EnterNamespaces(const Options& options) {
  const std::string uid = std::to_string(geteuid()), gid = std::to_string(getegid());
  if (unshare(CLONE_NEWUSER) != 0) Fail("user namespace");
  WriteFile("/proc/self/setgroups", "deny");
  WriteFile("/proc/self/uid_map", std::to_string(options.uid) + " " + uid + " 1");
  WriteFile("/proc/self/gid_map", std::to_string(options.gid) + " " + gid + " 1");
  if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
    Fail("namespaces");
  unshare(CLONE_NEWCGROUP);  // kernels without control groups have none
}

bool IsFolder(const std::string& path) {
  struct stat info{};
  if (stat(path.c_str(), &info) != 0) Fail(path);
  return S_ISDIR(info.st_mode);
}

void MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) Fail("folder " + path);
}

void MakeFoldersAbove(const std::string& path) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
    MakeFolder(path.substr(0, at));
}

// Something to mount on.
void MakePlace(const std::string& path, bool folder) {
  MakeFoldersAbove(path);
  if (folder) {
    MakeFolder(path);
    return;
  }
  const int file = open(path.c_str(), O_CREAT | O_RDONLY | O_CLOEXEC, 0444);
  if (file < 0) Fail("file " + path);
  close(file);
}

void Bind(const Step& step, const std::string& destination) {
  const std::string source = kOldRoot + step.source;
  MakePlace(destination, IsFolder(source));
  if (mount(source.c_str(), destination.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
    Fail("binding " + step.source);
  if (step.kind == Step::kDevice) return;
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  if (step.kind == Step::kReadOnly) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  if (syscall(SYS_mount_setattr, AT_FDCWD, destination.c_str(), AT_RECURSIVE, &attributes,
              sizeof attributes) != 0)
    Fail("protecting " + step.source + " (needs Linux 5.12)");
}

void Apply(const Step& step) {
  const std::string destination = kNewRoot + step.destination;
  switch (step.kind) {
    case Step::kReadOnly:
    case Step::kWritable:
    case Step::kDevice:
      return Bind(step, destination);
    case Step::kSymlink:
      MakeFoldersAbove(destination);
      if (symlink(step.source.c_str(), destination.c_str()) != 0) Fail("link " + step.destination);
      return;
    case Step::kProc:
      MakePlace(destination, true);
      if (mount("proc", destination.c_str(), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) !=
          0)
        Fail("--proc");
      return;
    case Step::kTmpfs: {
      MakePlace(destination, true);
      const std::string how = "mode=0755" + (step.source.empty() ? "" : ",size=" + step.source);
      if (mount("tmpfs", destination.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, how.c_str()) != 0)
        Fail("--tmpfs");
      return;
    }
    case Step::kRemountReadOnly:
      if (mount(nullptr, destination.c_str(), nullptr,
                MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) != 0)
        Fail("--remount-ro");
      return;
  }
}

// A root with nothing but what the steps put there.
void BuildRoot(const Options& options) {
  umask(0);
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) Fail("private mounts");
  // First a root that holds old and new, so that what lies in the folder kBase can be bound too.
  if (mount("tmpfs", kBase, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0) Fail("new root");
  if (chdir(kBase) != 0 || mkdir(&kOldRoot[1], 0755) != 0 || mkdir(&kNewRoot[1], 0755) != 0 ||
      syscall(SYS_pivot_root, ".", &kOldRoot[1]) != 0 || chdir("/") != 0)
    Fail("entering the new root");
  if (mount("tmpfs", kNewRoot, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") != 0) Fail("root");
  for (const Step& step : options.steps) Apply(step);
  if (umount2(kOldRoot, MNT_DETACH) != 0) Fail("leaving the old root");
  if (chdir(kNewRoot) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 ||
      umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
    Fail("leaving the new root's frame");
}

// The first process inside: sets everything up, starts the program and waits for it. The kernel
// kills whatever is left when it ends.
[[noreturn]] void RunFirst(const Options& options, int outermost_lives) {
  if (options.die_with_parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pollfd lives = {outermost_lives, 0, 0};
    if (poll(&lives, 1, 0) != 0) _exit(1);
  }
  BuildRoot(options);
  WaitForGo(options);
  const pid_t program = fork();
  if (program < 0) Fail("fork");
  if (program == 0) {
    if (options.new_session) setsid();
    DropCapabilities(true);
    Execute(options);
  }
  // It holds nothing that others wait for the end of, and nothing to be had from it.
  syscall(SYS_close_range, 0u, ~0u, 0u);
  DropCapabilities(true);
  _exit(WaitFor(program));
}

}  // namespace

int RunInNamespaces(const Options& options) {
  const pid_t parent = getppid();
  EnterNamespaces(options);
  int lives[2];
  if (pipe2(lives, O_CLOEXEC) != 0) Fail("pipe");
  const pid_t first = fork();
  if (first < 0) Fail("fork");
  if (first == 0) {
    close(lives[1]);
    if (options.info >= 0) close(options.info);
    RunFirst(options, lives[0]);
  }
  if (options.die_with_parent) DieWithParent(SIGKILL, parent);
  TellInfo(options, first);
  DropCapabilities(true);
  // lives[1] stays: its end is how the first process learns of ours before it asked to be told.
  syscall(SYS_close_range, 0u, static_cast<unsigned>(lives[1] - 1), 0u);
  syscall(SYS_close_range, static_cast<unsigned>(lives[1] + 1), ~0u, 0u);
  return WaitFor(first);
}

}  // namespace kev::confine
