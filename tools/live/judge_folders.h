// Where a judge works outside of any run: a scratch folder of its own, and a cache that is kept
// between processes where the user has a home.
//
// What a judge that was killed left behind is removed by the next one: a scratch folder is locked
// as long as its judge lives. Without KEVOLVE_HOME, XDG_STATE_HOME and HOME (or with a HOME that
// cannot be written) the cache lies in the scratch folder and goes with it; `note` says so.
// Threads: one. Errors: kPermission, kDiskFull or kUnavailable with the path and what to set.
#ifndef KEV_TOOLS_LIVE_JUDGE_FOLDERS_H_
#define KEV_TOOLS_LIVE_JUDGE_FOLDERS_H_

#include <cstdint>
#include <string>

#include "engine/core/result.h"

namespace kev {

class JudgeFolders {
 public:
  static Result<JudgeFolders> Make();
  ~JudgeFolders();  // removes the scratch folder
  JudgeFolders(JudgeFolders&& other) noexcept;
  JudgeFolders& operator=(JudgeFolders&&) = delete;
  JudgeFolders(const JudgeFolders&) = delete;
  JudgeFolders& operator=(const JudgeFolders&) = delete;

  const std::string& scratch() const { return scratch_; }
  const std::string& cache() const { return cache_; }
  const std::string& note() const { return note_; }  // "" when the cache is kept
  // The seed of inputs and held-out shapes: made once per cache, for its owner's eyes only.
  Result<int64_t> Secret() const;

 private:
  JudgeFolders() = default;
  std::string scratch_, cache_, note_;
  int lock_ = -1;  // the scratch folder, open
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_JUDGE_FOLDERS_H_
