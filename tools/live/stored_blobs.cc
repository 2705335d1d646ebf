#include "tools/live/stored_blobs.h"

#include <filesystem>

namespace kev {

// What leaves the store is in the file by then: the store is asked first.
Result<std::string> StoredBlobs::Read(const std::string& sha256) {
  Result<std::string> bytes = store_->Blob(sha256);
  if (bytes || bytes.error().code != Code::kNotFound) return bytes;
  std::error_code none;
  const uint64_t now = std::filesystem::file_size(path_ + ".index", none);
  if (none) return bytes;
  for (const bool again : {false, true}) {
    if (again && now == seen_) break;
    if (again || !file_) {
      auto file = BlobFile::Read(path_);
      if (!file) return file.error();
      file_ = std::move(*file);
      seen_ = now;
    }
    auto moved = file_->Get(sha256);
    if (!moved) return moved.error();
    if (*moved) return std::move(**moved);
  }
  return bytes;
}

}  // namespace kev
