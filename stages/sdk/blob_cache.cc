#include "stages/sdk/blob_cache.h"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "queue/blob_id.h"

namespace kev {

namespace fs = std::filesystem;

std::optional<std::string> BlobCache::Get(const std::string& sha256) const {
  if (sha256.size() != 64) return std::nullopt;
  const fs::path path = fs::path(folder_) / sha256;
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  if (Sha256Hex(bytes) == sha256) return bytes;
  std::error_code ec;
  fs::remove(path, ec);
  return std::nullopt;
}

void BlobCache::Put(const BlobRef& ref, const std::string& bytes) const {
  static std::atomic<uint64_t> counter{0};
  std::error_code ec;
  const fs::path path = fs::path(folder_) / ref.sha256;
  if (fs::exists(path, ec)) return;
  fs::create_directories(folder_, ec);
  const fs::path part =
      path.string() + "." + std::to_string(getpid()) + "." + std::to_string(++counter);
  std::ofstream out(part, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (out) fs::rename(part, path, ec);
  if (!out || ec) fs::remove(part, ec);
}

}  // namespace kev
