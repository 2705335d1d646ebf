// The one folder that a program of the toolchain can write to, and how much it may write there.
//
// With namespaces it is a folder in memory of that size, which gets the folder's files before the
// program starts and gives them back, as far as they are files of its top, when it has ended. With
// the weaker isolations it is the folder itself, looked through while the program runs: what is
// written between two looks, and files that have no name any more, are then not counted.
// Threads: one. Errors: a folder that cannot be read or written.
#ifndef KEV_RUNNERS_SANDBOX_TOOLCHAIN_FOLDER_H_
#define KEV_RUNNERS_SANDBOX_TOOLCHAIN_FOLDER_H_

#include <cstdint>
#include <string>
#include <utility>

#include "engine/core/result.h"
#include "runners/sandbox/sandbox.h"

namespace kev {

class ToolchainFolder {
 public:
  // `most`: bytes that may be written, beside the files that are there.
  ToolchainFolder(std::string path, uint64_t most) : path_(std::move(path)), most_(most) {}
  // Makes the folder the plan's, writable in `isolation`.
  Status AddTo(SandboxPlan* plan, Isolation isolation);
  // Whether more was written than may be; to be asked again and again while the program runs.
  bool Overfull(const Launched& launched);
  // Brings back what was written, when the program has ended; nothing of too many files.
  Status TakeBack(const Launched& launched);
  // Whether the program met the limit, as far as it was seen.
  bool was_full() const { return was_full_; }

 private:
  bool TooManyInMemory(int folder);
  bool FullOnDisk() const;
  std::string path_;
  uint64_t most_;
  uint64_t given_ = 0;  // bytes of the files that are there
  bool was_full_ = false;
};

}  // namespace kev

#endif  // KEV_RUNNERS_SANDBOX_TOOLCHAIN_FOLDER_H_
