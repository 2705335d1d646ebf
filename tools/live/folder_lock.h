// FolderLock: held by the one engine that may write what is in a folder. Let go when destroyed or
// when the process dies, however it dies (flock).
//
// Threads: one. Errors: kExists says who has it: pid, host and since when.
#ifndef KEV_TOOLS_LIVE_FOLDER_LOCK_H_
#define KEV_TOOLS_LIVE_FOLDER_LOCK_H_

#include <memory>
#include <string>

#include "engine/core/result.h"

namespace kev {

class FolderLock {
 public:
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  // `what` is in the folder: "run softmax-1", "engine default".
  static Result<std::unique_ptr<FolderLock>> Take(const std::string& folder,
                                                  const std::string& what);
  // To look without being taken for an engine: the holder's words stay.
  static Result<std::unique_ptr<FolderLock>> Borrow(const std::string& folder,
                                                    const std::string& what);
  // "pid 12 on host a, since 2026-11-22T10:27:04Z"; "" when nobody has left a word.
  static std::string Holder(const std::string& folder);

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_FOLDER_LOCK_H_
