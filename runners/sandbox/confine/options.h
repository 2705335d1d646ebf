// What kevolve-confine is asked to do: the part of bubblewrap's command line that this project
// uses, and --landlock.
//
// Threads: one. Errors: a line on standard error and exit status 1, as bubblewrap does.
#ifndef KEV_RUNNERS_SANDBOX_CONFINE_OPTIONS_H_
#define KEV_RUNNERS_SANDBOX_CONFINE_OPTIONS_H_

#include <linux/filter.h>

#include <string>
#include <vector>

namespace kev::confine {

struct Step {
  enum Kind { kReadOnly, kWritable, kDevice, kSymlink, kProc, kTmpfs, kRemountReadOnly } kind;
  std::string source;  // of a bind: the path outside; of a link: its target; of tmpfs: its size
  std::string destination;  // path inside
};

struct Options {
  bool namespaces = false, landlock = false;
  bool die_with_parent = false, new_session = false;
  unsigned uid = 65534, gid = 65534;
  std::vector<Step> steps;
  std::string folder = "/";
  std::vector<std::string> environment;  // "NAME=value"
  int info = -1, block = -1;
  std::vector<sock_filter> filter;
  std::vector<char*> command;  // with a null at its end
};

// Says what failed, with errno's text, and ends the process.
[[noreturn]] void Fail(const std::string& what);

// Starts `options.command` in namespaces of its own, or among ours behind Landlock rules, or just
// so. Returns the exit status to end with when it has ended.
int RunInNamespaces(const Options& options);
int RunGuarded(const Options& options);

// The pieces that both have in common.
void TellInfo(const Options& options, int child);
void WaitForGo(const Options& options);
// Gives up every privilege there is; with `bounding` also those that a program file could give.
void DropCapabilities(bool bounding);
// Loads the filter, sets environment and folder, becomes the command.
[[noreturn]] void Execute(const Options& options);
// Waits for `child`, reaping others. Exit status, 128 + N for a signal N.
int WaitFor(int child);
// This process gets `signal_number` when its parent goes; it ends when `parent` has gone already.
void DieWithParent(int signal_number, int parent);

}  // namespace kev::confine

#endif  // KEV_RUNNERS_SANDBOX_CONFINE_OPTIONS_H_
