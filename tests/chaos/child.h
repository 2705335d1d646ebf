// A process that was started here, and what is to be known of others: whether they are still there,
// and which Redis serves a folder. Threads: one. Errors: Start's.
#ifndef KEV_TESTS_CHAOS_CHILD_H_
#define KEV_TESTS_CHAOS_CHILD_H_

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/result.h"

namespace kev::chaos {

// Killed and reaped with the object; killed by the kernel when this program dies.
class Child {
 public:
  // Output and errors are appended to `log`.out and `log`.err.
  static Result<Child> Start(const std::vector<std::string>& argv,
                             const std::map<std::string, std::string>& environment,
                             const std::string& log);
  Child() = default;
  ~Child();
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;

  bool started() const { return pid_ > 0; }
  bool alive();  // false once it has ended: then status() is set
  pid_t pid() const { return pid_; }
  int status() const { return *status_; }  // waitpid's
  std::string Ending() const;              // "ended with status 5", "was killed by signal 9"
  void Signal(int number);
  std::string OutPath() const { return log_ + ".out"; }
  std::string ErrPath() const { return log_ + ".err"; }

 private:
  pid_t pid_ = -1;
  std::string log_;
  std::optional<int> status_;
};

// A zombie counts as gone.
bool Exists(pid_t pid);
// The redis-server that works in `folder`; 0: there is none.
pid_t RedisIn(const std::string& folder);
// The last lines of a file, for messages.
std::string Tail(const std::string& path, size_t bytes = 1500);
std::string WholeFile(const std::string& path);

}  // namespace kev::chaos

#endif  // KEV_TESTS_CHAOS_CHILD_H_
