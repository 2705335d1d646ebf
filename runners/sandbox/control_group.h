// A control group for one sandbox: memory and tasks of all its processes together, which rlimits
// cannot count. Version 1 and 2, wherever this process may make groups below its own or above.
//
// Threads: any number of groups at a time. Errors: none; where there are no groups there is no
// object, and who asked says so in its record.
#ifndef KEV_RUNNERS_SANDBOX_CONTROL_GROUP_H_
#define KEV_RUNNERS_SANDBOX_CONTROL_GROUP_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace kev {

class ControlGroup {
 public:
  // 0: no limit. Null when neither can be limited here.
  static std::shared_ptr<ControlGroup> Make(uint64_t memory_bytes, uint64_t processes);
  // Removes the group; what is still dying in it is removed with a later one.
  ~ControlGroup();
  ControlGroup(const ControlGroup&) = delete;
  ControlGroup& operator=(const ControlGroup&) = delete;

  // For clone3 with CLONE_INTO_CGROUP; -1: not of version 2.
  int folder() const { return folder_; }
  // Of version 1: a process joins by writing "0" to each.
  const std::vector<int>& joins() const { return joins_; }
  // What is limited: "memory", "pids" or "memory, pids".
  const std::string& limited() const { return limited_; }
  // What was refused for being too much: "memory", "processes" or "".
  std::string Reached() const;
  // SIGKILL to all in it, also to those who have left session and parent.
  void Kill() const;

 private:
  ControlGroup() = default;
  bool Add(const std::string& home, bool memory, bool pids, bool unified, uint64_t memory_bytes,
           uint64_t processes);
  std::vector<std::string> folders_;
  std::vector<int> joins_;
  std::string limited_;
  int folder_ = -1;
};

}  // namespace kev

#endif  // KEV_RUNNERS_SANDBOX_CONTROL_GROUP_H_
