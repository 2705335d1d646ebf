#include "stages/compile/artefact_cache.h"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "engine/core/value.h"
#include "queue/blob_id.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

constexpr char kFirstLine[] = "kevolve-artefact 1";

std::optional<std::string> ReadAll(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

bool WriteAll(const fs::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  return file.good();
}

// The digest of the lines before it closes the file.
std::string MetaOf(const CompiledOnce& entry) {
  std::string lines =
      std::string(kFirstLine) + "\nverdict " + (entry.compiled ? "ok" : "no_compile") +
      "\nseconds " + FormatDouble(entry.seconds) + "\nartefact " + Sha256Hex(entry.artefact) +
      "\nstderr " + Sha256Hex(entry.output) + "\nremarks " + Sha256Hex(entry.remarks) + "\n";
  return lines + "meta " + Sha256Hex(lines) + "\n";
}

}  // namespace

std::string ArtefactCache::KeyOf(const std::string& description) { return Sha256Hex(description); }

std::optional<CompiledOnce> ArtefactCache::Load(const std::string& key) const {
  fs::path folder = fs::path(folder_) / key;
  std::optional<std::string> meta = ReadAll(folder / "meta");
  std::optional<std::string> artefact = ReadAll(folder / "artefact");
  std::optional<std::string> output = ReadAll(folder / "stderr");
  std::optional<std::string> remarks = ReadAll(folder / "remarks");
  if (!meta || !artefact || !output || !remarks) return std::nullopt;
  CompiledOnce entry;
  std::istringstream lines(*meta);
  for (std::string line; std::getline(lines, line);) {
    if (line == "verdict ok") entry.compiled = true;
    if (line.rfind("seconds ", 0) == 0)
      entry.seconds = std::strtod(line.c_str() + sizeof("seconds ") - 1, nullptr);
  }
  entry.artefact = std::move(*artefact);
  entry.output = std::move(*output);
  entry.remarks = std::move(*remarks);
  if (MetaOf(entry) != *meta) return std::nullopt;
  return entry;
}

Status ArtefactCache::Store(const std::string& key, const CompiledOnce& entry) const {
  static std::atomic<uint64_t> counter{0};
  std::error_code error;
  fs::path place = fs::path(folder_) / key;
  fs::path own = fs::path(folder_) /
                 (".new-" + std::to_string(getpid()) + "-" + std::to_string(counter.fetch_add(1)));
  fs::create_directories(own, error);
  bool written = WriteAll(own / "artefact", entry.artefact) &&
                 WriteAll(own / "stderr", entry.output) &&
                 WriteAll(own / "remarks", entry.remarks) && WriteAll(own / "meta", MetaOf(entry));
  if (!written) {
    fs::remove_all(own, error);
    return Error{Code::kUnavailable, "cannot write the compile cache in " + folder_ +
                                         "; check its permissions and the free space"};
  }
  fs::rename(own, place, error);
  if (error && !Load(key)) {  // a damaged entry is in the way: move it aside, then take its place
    fs::path old = own;
    old += "-old";
    fs::rename(place, old, error);
    fs::rename(own, place, error);
    std::error_code ignored;
    fs::remove_all(old, ignored);
  }
  std::error_code ignored;
  fs::remove_all(own,
                 ignored);  // not there any more, unless another process wrote the same entry first
  if (error && !Load(key))
    return Error{Code::kUnavailable, "cannot write " + place.string() + ": " + error.message()};
  return {};
}

}  // namespace kev
