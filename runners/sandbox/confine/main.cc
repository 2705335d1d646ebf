// kevolve-confine: starts a program in a sandbox where there is no bubblewrap, from the same words.
// Small and of one thread, since it stands between what it confines and the rest.
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "runners/sandbox/confine/options.h"

namespace kev::confine {

[[noreturn]] void Fail(const std::string& what) {
  fprintf(stderr, "kevolve-confine: %s: %s\n", what.c_str(), strerror(errno));
  _exit(1);
}

void TellInfo(const Options& options, int child) {
  if (options.info < 0) return;
  char text[64];
  const int size = snprintf(text, sizeof text, "{\n    \"child-pid\": %d\n}\n", child);
  if (write(options.info, text, static_cast<size_t>(size)) != size) Fail("--info-fd");
  close(options.info);
}

void WaitForGo(const Options& options) {
  char go;
  while (options.block >= 0 && read(options.block, &go, 1) < 0 && errno == EINTR) {
  }
  if (options.block >= 0) close(options.block);
}

void DropCapabilities(bool bounding) {
  for (unsigned long capability = 0; bounding && capability < 64; ++capability)
    prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);  // EINVAL beyond the last
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) Fail("dropping capabilities");
}

[[noreturn]] void Execute(const Options& options) {
  if (chdir(options.folder.c_str()) != 0) Fail("--chdir " + options.folder);
  std::vector<char*> environment;
  for (const std::string& variable : options.environment)
    environment.push_back(const_cast<char*>(variable.c_str()));
  environment.push_back(nullptr);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) Fail("giving up new privileges");
  if (!options.filter.empty()) {
    const sock_fprog program{static_cast<unsigned short>(options.filter.size()),
                             const_cast<sock_filter*>(options.filter.data())};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) Fail("--seccomp");
  }
  execve(options.command[0], options.command.data(), environment.data());
  Fail(std::string("cannot execute ") + options.command[0]);
}

int WaitFor(int child) {
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);
    if (ended < 0 && errno != EINTR) return 1;
    if (ended != child) continue;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
}

void DieWithParent(int signal_number, int parent) {
  prctl(PR_SET_PDEATHSIG, signal_number);
  if (getppid() != parent) _exit(1);
}

namespace {

[[noreturn]] void Refuse(const std::string& why) {
  fprintf(stderr, "kevolve-confine: %s; it takes a part of bubblewrap's options, see %s\n",
          why.c_str(), "runners/sandbox/README.md");
  _exit(1);
}

void ReadFilter(int fd, Options* options) {
  sock_filter step;
  ssize_t got;
  while ((got = read(fd, &step, sizeof step)) == static_cast<ssize_t>(sizeof step))
    options->filter.push_back(step);
  if (got != 0 || options->filter.empty()) Refuse("--seccomp: no filter can be read");
  close(fd);
}

class Words {
 public:
  Words(int count, char** words) : count_(count), words_(words) {}
  bool done() const { return at_ >= count_; }
  std::string Next() {
    if (done()) Refuse("an option lacks its value");
    return words_[at_++];
  }
  int Number() { return atoi(Next().c_str()); }
  std::vector<char*> Rest() {
    std::vector<char*> rest(words_ + at_, words_ + count_);
    rest.push_back(nullptr);
    at_ = count_;
    return rest;
  }

 private:
  int count_, at_ = 1;
  char** words_;
};

// Options that change a picture of the machine. False: it is none of these.
bool ReadStep(std::string_view option, Words* words, std::string* size, Options* options) {
  Step step{Step::kReadOnly, "", ""};
  if (option == "--size") {
    *size = words->Next();
    return true;
  }
  if (option == "--ro-bind" || option == "--bind" || option == "--dev-bind" ||
      option == "--symlink") {
    step.kind = option == "--ro-bind"    ? Step::kReadOnly
                : option == "--bind"     ? Step::kWritable
                : option == "--dev-bind" ? Step::kDevice
                                         : Step::kSymlink;
    step.source = words->Next();
  } else if (option == "--tmpfs") {
    step.kind = Step::kTmpfs;
    step.source.swap(*size);
  } else if (option == "--proc") {
    step.kind = Step::kProc;
  } else if (option == "--remount-ro") {
    step.kind = Step::kRemountReadOnly;
  } else {
    return false;
  }
  step.destination = words->Next();
  options->steps.push_back(step);
  return true;
}

bool ReadSwitch(std::string_view option, Words* words, Options* options) {
  if (option == "--unshare-all" || option == "--unshare-user") {
    options->namespaces = true;
  } else if (option == "--landlock") {
    options->landlock = true;
  } else if (option == "--die-with-parent") {
    options->die_with_parent = true;
  } else if (option == "--new-session") {
    options->new_session = true;
  } else if (option == "--uid") {
    options->uid = static_cast<unsigned>(words->Number());
  } else if (option == "--gid") {
    options->gid = static_cast<unsigned>(words->Number());
  } else if (option == "--cap-drop") {
    if (words->Next() != "ALL") Refuse("--cap-drop takes ALL");
  } else if (option == "--chdir") {
    options->folder = words->Next();
  } else if (option == "--clearenv") {
    options->environment.clear();
  } else if (option == "--setenv") {
    const std::string name = words->Next();
    options->environment.push_back(name + "=" + words->Next());
  } else if (option == "--info-fd") {
    options->info = words->Number();
  } else if (option == "--block-fd") {
    options->block = words->Number();
  } else if (option == "--seccomp") {
    ReadFilter(words->Number(), options);
  } else {
    return false;
  }
  return true;
}

Options ReadOptions(int count, char** arguments) {
  Options options;
  Words words(count, arguments);
  std::string size;
  while (!words.done()) {
    const std::string option = words.Next();
    if (option == "--") break;
    if (!ReadStep(option, &words, &size, &options) && !ReadSwitch(option, &words, &options))
      Refuse("unknown option " + option);
  }
  options.command = words.Rest();
  if (options.command.size() < 2) Refuse("no command");
  return options;
}

}  // namespace
}  // namespace kev::confine

int main(int count, char** arguments) {
  using namespace kev::confine;
  // What a sandbox is tried with: that it starts something.
  if (count == 2 && std::string_view(arguments[1]) == "--version") {
    puts("kevolve-confine");
    return 0;
  }
  const Options options = ReadOptions(count, arguments);
  return options.namespaces ? RunInNamespaces(options) : RunGuarded(options);
}
