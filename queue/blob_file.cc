#include "queue/blob_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "queue/archive_format.h"
#include "queue/blob_id.h"
#include "queue/crc32c.h"
#include "queue/sync_folder.h"

namespace kev {
namespace {

using archive::GetLittle;
using archive::PutLittle;

constexpr size_t kShaBytes = 32;
constexpr size_t kEntryBytes = kShaBytes + 8 + 8 + 4;
constexpr size_t kWaitingBytes = size_t{1} << 20;

uint64_t PrefixOf(std::string_view sha256) {
  uint64_t prefix = 0;
  for (size_t i = 0; i < 16 && i < sha256.size(); ++i) {
    const char c = sha256[i];
    prefix = prefix << 4 | static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return prefix;
}

std::string Raw(std::string_view sha256) {
  std::string raw;
  for (size_t i = 0; i + 1 < sha256.size(); i += 2)
    raw.push_back(static_cast<char>(PrefixOf(sha256.substr(i, 2))));
  return raw;
}

uint64_t PrefixOfRaw(std::string_view raw) {
  uint64_t prefix = 0;
  for (size_t i = 0; i < 8; ++i) prefix = prefix << 8 | static_cast<unsigned char>(raw[i]);
  return prefix;
}

bool WriteAll(int fd, std::string_view bytes, uint64_t at) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
    at += static_cast<uint64_t>(n);
  }
  return true;
}

// Fewer bytes than asked for when the file ends before.
bool ReadAll(int fd, uint64_t at, std::string* bytes) {
  size_t got = 0;
  while (got < bytes->size()) {
    const ssize_t n =
        pread(fd, bytes->data() + got, bytes->size() - got, static_cast<off_t>(at + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  bytes->resize(got);
  return true;
}

Result<uint64_t> SizeOf(int fd, const std::string& path) {
  struct stat st{};
  if (fstat(fd, &st) != 0)
    return Error{Code::kInternal, "cannot look at " + path + ": " + std::strerror(errno)};
  return static_cast<uint64_t>(st.st_size);
}

Error CannotOpen(const std::string& path) {
  const Code code = errno == EACCES || errno == EROFS ? Code::kPermission
                    : errno == ENOENT                 ? Code::kNotFound
                    : errno == ENOSPC                 ? Code::kDiskFull
                                                      : Code::kInvalid;
  return {code, "cannot open blob file " + path + ": " + std::strerror(errno)};
}

}  // namespace

BlobFile::~BlobFile() {
  if (data_ >= 0) close(data_);
  if (index_ >= 0) close(index_);
}

Error BlobFile::Failed(const char* what) const {
  const bool full = errno == ENOSPC || errno == EDQUOT;
  return {full ? Code::kDiskFull : Code::kInternal,
          std::string("cannot ") + what + " blob file " + path_ + ": " + std::strerror(errno)};
}

Result<std::unique_ptr<BlobFile>> BlobFile::Open(const std::string& path) {
  std::error_code none;
  const std::string index = path + ".index";
  for (const auto& [one, other] : {std::pair(path, index), std::pair(index, path)}) {
    if (!std::filesystem::exists(one, none) && std::filesystem::file_size(other, none) > 0 && !none)
      return Error{Code::kCorrupt, "blob file " + one + " is missing, and " + other +
                                       " beside it is not empty: nothing was changed; give the "
                                       "folder its file back"};
  }
  constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC;
  std::unique_ptr<BlobFile> file(new BlobFile(path, -1, -1));
  file->data_ = open(path.c_str(), kFlags, 0644);
  if (file->data_ < 0) return CannotOpen(path);
  file->index_ = open(index.c_str(), kFlags, 0644);
  if (file->index_ < 0) return CannotOpen(index);
  if (Status s = file->Load(); !s.ok()) return s.error();
  if (Status s = SyncFolderOf(path); !s.ok()) return s.error();
  return file;
}

Result<std::unique_ptr<BlobFile>> BlobFile::Read(const std::string& path) {
  std::unique_ptr<BlobFile> file(new BlobFile(path, -1, -1));
  file->data_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file->data_ < 0) return CannotOpen(path);
  file->index_ = open((path + ".index").c_str(), O_RDONLY | O_CLOEXEC);
  if (file->index_ < 0) return CannotOpen(path + ".index");
  if (Status s = file->Load(); !s.ok()) return s.error();
  return file;
}

// Entries are synced after what they name. Those of an unfinished write, at the end, may hold
// anything, and bytes behind what is named were never promised: both are left where they are, and
// what is written next comes behind them.
Status BlobFile::Load() {
  const Result<uint64_t> index_size = SizeOf(index_, path_ + ".index");
  if (!index_size) return index_size.error();
  const Result<uint64_t> data_size = SizeOf(data_, path_);
  if (!data_size) return data_size.error();
  std::string index(*index_size, '\0');
  if (!ReadAll(index_, 0, &index)) return Failed("read the index of");
  const size_t count = index.size() / kEntryBytes;
  entries_.reserve(count);
  size_t bad = 0;  // at the end, so far
  for (size_t i = 0; i < count; ++i) {
    const std::string_view raw(index.data() + i * kEntryBytes, kEntryBytes);
    const Entry entry{PrefixOfRaw(raw), GetLittle(raw, kShaBytes, 8),
                      GetLittle(raw, kShaBytes + 8, 8)};
    if (GetLittle(raw, kEntryBytes - 4, 4) != Crc32c(raw.substr(0, kEntryBytes - 4))) {
      ++bad;
      continue;
    }
    damaged_ += std::exchange(bad, 0);
    if (entry.size > *data_size || entry.offset > *data_size - entry.size)
      ++damaged_;
    else
      Insert(entry);
  }
  written_ = *data_size;
  index_bytes_ = (count - bad) * kEntryBytes;
  return {};
}

void BlobFile::Insert(const Entry& entry) {
  entries_.push_back(entry);
  const auto put = [&](uint32_t place) {
    size_t at = entries_[place - 1].prefix & (table_.size() - 1);
    while (table_[at] != 0) at = (at + 1) & (table_.size() - 1);
    table_[at] = place;
  };
  if (2 * entries_.size() > table_.size()) {
    table_.assign(std::max<size_t>(64, 2 * table_.size()), 0);
    for (uint32_t place = 1; place <= entries_.size(); ++place) put(place);
  } else {
    put(static_cast<uint32_t>(entries_.size()));
  }
}

Result<std::string> BlobFile::BytesOf(const Entry& entry) const {
  if (entry.offset >= written_) {
    return waiting_.substr(entry.offset - written_, entry.size);
  }
  std::string bytes(entry.size, '\0');
  if (!ReadAll(data_, entry.offset, &bytes)) return Failed("read");
  return bytes;
}

Result<std::optional<std::string>> BlobFile::Get(const std::string& sha256) const {
  const std::optional<std::string> none;
  if (table_.empty()) return none;
  const uint64_t prefix = PrefixOf(sha256);
  bool damaged = false;
  for (size_t at = prefix & (table_.size() - 1); table_[at] != 0;
       at = (at + 1) & (table_.size() - 1)) {
    const Entry& entry = entries_[table_[at] - 1];
    if (entry.prefix != prefix) continue;
    Result<std::string> bytes = BytesOf(entry);
    if (!bytes) return bytes.error();
    if (Sha256Hex(*bytes) == sha256) return std::optional<std::string>(std::move(*bytes));
    damaged = true;  // or another one that begins the same
  }
  if (!damaged) return none;
  return Error{Code::kCorrupt, "blob " + sha256 + " is damaged in " + path_};
}

Status BlobFile::Append(const std::string& sha256, std::string_view bytes) {
  const auto there = Get(sha256);
  if (there && *there) return {};
  const Entry entry{PrefixOf(sha256), written_ + waiting_.size(), bytes.size()};
  std::string raw = Raw(sha256);
  PutLittle(entry.offset, 8, &raw);
  PutLittle(entry.size, 8, &raw);
  PutLittle(Crc32c(raw), 4, &raw);
  unindexed_ += raw;
  waiting_ += bytes;
  Insert(entry);
  return waiting_.size() < kWaitingBytes ? Status() : Flush();
}

Status BlobFile::Flush() {
  if (!WriteAll(data_, waiting_, written_)) return Failed("write");
  written_ += waiting_.size();
  waiting_.clear();
  return {};
}

Status BlobFile::Sync() {
  if (failed_) return *failed_;
  if (unindexed_.empty()) return {};
  const Status s = Write();
  // The kernel says only once that it could not write.
  if (!s.ok()) failed_ = s.error();
  return s;
}

Status BlobFile::Write() {
  if (Status s = Flush(); !s.ok()) return s;
  if (fdatasync(data_) != 0) return Failed("sync");
  if (!WriteAll(index_, unindexed_, index_bytes_)) return Failed("write the index of");
  if (fdatasync(index_) != 0) return Failed("sync the index of");
  index_bytes_ += unindexed_.size();
  unindexed_.clear();
  return {};
}

Status BlobFile::Clear() {
  entries_.clear();
  table_.clear();
  waiting_.clear();
  unindexed_.clear();
  written_ = index_bytes_ = damaged_ = 0;
  failed_.reset();
  if (ftruncate(index_, 0) != 0 || ftruncate(data_, 0) != 0) return Failed("truncate");
  return {};
}

}  // namespace kev
