// BlobCache: blobs by content in a folder that all workers of a host share,
// $KEVOLVE_HOME/cache/blobs/<sha256>.
//
// Threads: any. Errors: a file that cannot be read or has another digest counts as absent (and is
// removed); a file that cannot be written is left out, the cache is only a short cut.
#ifndef KEV_STAGES_SDK_BLOB_CACHE_H_
#define KEV_STAGES_SDK_BLOB_CACHE_H_

#include <optional>
#include <string>

#include "engine/core/job.h"

namespace kev {

class BlobCache {
 public:
  explicit BlobCache(std::string folder) : folder_(std::move(folder)) {}
  std::optional<std::string> Get(const std::string& sha256) const;
  void Put(const BlobRef& ref, const std::string& bytes) const;

 private:
  std::string folder_;
};

}  // namespace kev

#endif  // KEV_STAGES_SDK_BLOB_CACHE_H_
