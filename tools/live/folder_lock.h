// FolderLock: who may do what in a folder. One engine may write in it, and then nobody else does
// anything; while there is none, any number of commands may read, and those that need the folder's
// store take turns. Let go when destroyed or when the process dies, however it dies (flock).
//
// Threads: one. Errors: kExists says who has it: pid, host and since when.
#ifndef KEV_TOOLS_LIVE_FOLDER_LOCK_H_
#define KEV_TOOLS_LIVE_FOLDER_LOCK_H_

#include <functional>
#include <memory>
#include <string>

#include "engine/core/result.h"

namespace kev {

class FolderLock {
 public:
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  using Notice = std::function<void(const std::string&)>;
  // For an engine. `what` is in the folder: "run softmax-1", "engine default". Waits while commands
  // read in it, up to two minutes; `notice` is told when that takes long.
  static Result<std::unique_ptr<FolderLock>> Take(const std::string& folder,
                                                  const std::string& what,
                                                  const Notice& notice = nullptr);
  // To read: no engine has it, and none gets it meanwhile.
  static Result<std::unique_ptr<FolderLock>> Read(const std::string& folder,
                                                  const std::string& what);
  // For one who reads and starts the folder's store for it: waits for the others as Take does.
  static Result<std::unique_ptr<FolderLock>> TakeTurn(const std::string& folder,
                                                      const std::string& what,
                                                      const Notice& notice = nullptr);
  // "pid 12 on host a, since 2026-11-22T10:27:04Z"; "" when nobody has left a word.
  static std::string Holder(const std::string& folder);

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  static Result<std::unique_ptr<FolderLock>> Open(const std::string& path);
  Result<bool> Try(int kind);
  Status Wait(const std::string& what, const std::function<Status()>& may_wait,
              const Notice& notice);
  int fd_;
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_FOLDER_LOCK_H_
