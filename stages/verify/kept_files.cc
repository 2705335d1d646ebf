#include "stages/verify/kept_files.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "engine/core/digest.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

}  // namespace

// The content's digest goes before it: a file that was cut or damaged counts as absent.
std::optional<std::string> KeptFiles::Read(const std::string& key) const {
  std::ifstream file(folder_ + "/" + key, std::ios::binary);
  if (!file) return std::nullopt;
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  const size_t head = DigestOf("").Hex().size() + 1;
  if (bytes.size() < head) return std::nullopt;
  const std::string digest = bytes.substr(0, head - 1);
  bytes.erase(0, head);
  if (DigestOf(bytes).Hex() != digest) return std::nullopt;
  return bytes;
}

void KeptFiles::Write(const std::string& key, const std::string& bytes) const {
  static std::atomic<uint64_t> count{0};
  std::error_code error;
  fs::create_directories(folder_, error);
  const fs::path path = fs::path(folder_) / key;
  const fs::path draft =
      path.string() + "." + std::to_string(getpid()) + "." + std::to_string(++count);
  std::ofstream file(draft, std::ios::binary);
  file << DigestOf(bytes).Hex() << "\n" << bytes;
  file.close();
  if (file) fs::rename(draft, path, error);
  if (!file || error) fs::remove(draft, error);
  Prune();
}

void KeptFiles::Prune() const {
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_, error))
    files.emplace_back(entry.last_write_time(error), entry.path());
  if (files.size() <= most_) return;
  std::sort(files.begin(), files.end());
  for (size_t i = 0; i < files.size() / 2; ++i) fs::remove(files[i].second, error);
}

}  // namespace kev
