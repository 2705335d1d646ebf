// StoredBlobs: the blobs of an engine, wherever they lie: in its store, or in the file that they
// move to (queue/blob_file.h).
//
// Threads: one. Errors: kNotFound when it is in neither; kCorrupt with the place.
#ifndef KEV_TOOLS_LIVE_STORED_BLOBS_H_
#define KEV_TOOLS_LIVE_STORED_BLOBS_H_

#include <cstdint>
#include <memory>
#include <string>

#include "queue/blob_file.h"
#include "queue/redis_store.h"
#include "tools/live/engine_folder.h"

namespace kev {

class StoredBlobs {
 public:
  // The store must outlive it.
  StoredBlobs(RedisStore* store, const EngineFolder& engine)
      : store_(store), path_(engine.Blobs()) {}
  Result<std::string> Read(const std::string& sha256);

 private:
  RedisStore* store_;
  std::string path_;
  std::unique_ptr<BlobFile> file_;
  uint64_t seen_ = 0;  // size of its index when it was opened
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_STORED_BLOBS_H_
