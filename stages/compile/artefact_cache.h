// Cache of what compilers gave: one folder per key with the files artefact, stderr,
// remarks and meta.
//
// An entry is written to a folder of its own and renamed into place, so that a reader sees all of
// it or nothing; meta holds the digests, and an entry that does not match them is as good as
// absent. Threads and processes: any number at a time, also for one key. Errors: Load gives
// nothing; Store says what went wrong, and nothing is lost by it.
#ifndef KEV_STAGES_COMPILE_ARTEFACT_CACHE_H_
#define KEV_STAGES_COMPILE_ARTEFACT_CACHE_H_

#include <optional>
#include <string>

#include "engine/core/result.h"

namespace kev {

struct CompiledOnce {
  bool compiled = false;  // false: the compiler refused the source
  double seconds = 0;     // that it took when it was run
  std::string artefact;
  std::string output;        // the compiler's
  std::string remarks = {};  // what it said of vectorisation (runners/analysis/remarks.h)
};

class ArtefactCache {
 public:
  explicit ArtefactCache(std::string folder) : folder_(std::move(folder)) {}
  // Key of `description`: a text of all that decides the result.
  static std::string KeyOf(const std::string& description);
  std::optional<CompiledOnce> Load(const std::string& key) const;
  // Replaces an entry that Load refused; leaves a good one as it is.
  Status Store(const std::string& key, const CompiledOnce& entry) const;

 private:
  std::string folder_;
};

}  // namespace kev

#endif  // KEV_STAGES_COMPILE_ARTEFACT_CACHE_H_
