#include "queue/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "queue/archive_record.h"
#include "queue/sync_folder.h"

namespace kev {
namespace {

using namespace archive;
constexpr int kLevel = 1;
constexpr size_t kBatchBytes = size_t{256} << 10;  // entries compress better together

class File final : public LogFile {
 public:
  File(std::string path, int fd, bool writable)
      : path_(std::move(path)), fd_(fd), writable_(writable) {}
  ~File() override {
    if (writable_) (void)FlushBatch();
    close(fd_);
  }

  Status Begin(const Value& header);
  // Finds the records, up to the first that is none; damage() says why, unless it is a torn tail.
  Status Scan();
  const std::optional<Error>& damage() const { return damage_; }
  Status CutTail() { return CutAt(size_); }
  Status KeepTo(uint64_t seq);
  Status Append(const LogEntry& entry) override;
  Status EndRecord() override { return FlushBatch(); }
  Status Sync() override;
  uint64_t last_seq() const override {
    return !batch_.empty() ? batch_.back().last_seq : blocks_.empty() ? 0 : blocks_.back().last_seq;
  }
  Status ForEach(uint64_t from, uint64_t to, const std::function<Status(LogEntry)>& each) override;

 private:
  struct Block {
    uint64_t offset;
    uint64_t last_seq;
  };
  Status FlushBatch();
  Status CutAt(uint64_t at);
  // Drops the records from `block` on, and writes `kept` in their place; one or the other is there
  // whenever the machine stops.
  Status Rewrite(std::vector<Block>::iterator block, const std::vector<LogEntry>& kept);
  Status Write(std::string_view bytes);
  // Nullopt: no whole record stands there.
  Result<std::optional<UnpackedRecord>> RecordAt(uint64_t at, uint64_t* end) const;
  Result<std::string> Bytes(uint64_t at, uint64_t count) const;
  Error Failed(const char* what) const {
    const bool full = errno == ENOSPC || errno == EDQUOT;
    return {full ? Code::kDiskFull : Code::kInternal,
            std::string(what) + " of " + path_ + ": " + std::strerror(errno)};
  }
  Error Corrupt(const std::string& what, uint64_t at) const {
    return {Code::kCorrupt,
            "log file " + path_ + " is damaged at byte " + std::to_string(at) + ": " + what};
  }

  std::string path_;
  int fd_;
  bool writable_;
  uint64_t size_ = 0;  // of what is whole
  std::optional<Error> damage_;
  std::vector<Block> blocks_;
  std::vector<LogEntry> batch_;  // not written yet
  size_t batch_bytes_ = 0;
};

Status File::Begin(const Value& header) {
  std::string bytes(kMagic);
  PutLittle(kVersion, 4, &bytes);
  auto record = PackRecord(RecordType::kHeader, EncodeCanonical(header), kLevel);
  if (!record) return record.error();
  return Write(bytes + *record);
}

Result<std::string> File::Bytes(uint64_t at, uint64_t count) const {
  std::string out(count, '\0');
  size_t got = 0;
  while (got < count) {
    const ssize_t n = pread(fd_, out.data() + got, count - got, static_cast<off_t>(at + got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("read");
    if (n == 0) break;
    got += static_cast<size_t>(n);
  }
  out.resize(got);
  return out;
}

Result<std::optional<UnpackedRecord>> File::RecordAt(uint64_t at, uint64_t* end) const {
  const std::optional<UnpackedRecord> none;
  Result<std::string> head = Bytes(at, kRecordHeaderBytes);
  if (!head) return head.error();
  if (head->size() < kRecordHeaderBytes) return none;
  const uint64_t length = GetLittle(*head, 1, 4);
  if (length > size_ - at - kRecordHeaderBytes) return none;
  Result<std::string> payload = Bytes(at + kRecordHeaderBytes, length);
  if (!payload) return payload.error();
  Result<UnpackedRecord> record = UnpackRecord(*head, *payload);
  // A last record that does not fit its checksum was being written when the machine went down.
  if (!record && at + kRecordHeaderBytes + length == size_) return none;
  if (!record) return Corrupt(record.error().message, at);
  *end = at + kRecordHeaderBytes + length;
  return std::optional<UnpackedRecord>(std::move(*record));
}

Status File::Scan() {
  struct stat st{};
  if (fstat(fd_, &st) != 0) return Failed("stat");
  size_ = static_cast<uint64_t>(st.st_size);
  const Result<std::string> prefix = Bytes(0, kPrefixBytes);
  if (!prefix) return prefix.error();
  if (!prefix->starts_with(kMagic) || prefix->size() < kPrefixBytes)
    return Corrupt("it does not begin with KEVRUN", 0);
  if (const uint64_t version = GetLittle(*prefix, kMagic.size(), 4); version != kVersion) {
    return Error{Code::kInvalid, path_ + " has archive version " + std::to_string(version) +
                                     ", this program reads version " + std::to_string(kVersion)};
  }
  uint64_t at = kPrefixBytes;
  while (at < size_) {
    uint64_t end = 0;
    auto record = RecordAt(at, &end);
    if (!record && record.error().code != Code::kCorrupt) return record.error();
    if (!record) damage_ = record.error();
    if (!record || !*record) break;
    if ((*record)->type == RecordType::kLog) {
      auto entries = UnpackEntries((*record)->raw);
      if (!entries) {
        damage_ = Corrupt(entries.error().message, at);
        break;
      }
      if (!entries->empty()) blocks_.push_back({at, entries->back().last_seq});
    }
    at = end;
  }
  size_ = at;
  return {};
}

Status File::CutAt(uint64_t at) {
  if (ftruncate(fd_, static_cast<off_t>(at)) != 0) return Failed("truncate");
  size_ = at;
  return {};
}

Status File::KeepTo(uint64_t seq) {
  const auto block = std::upper_bound(blocks_.begin(), blocks_.end(), seq,
                                      [](uint64_t s, const Block& b) { return s < b.last_seq; });
  uint64_t last = block == blocks_.begin() ? 0 : std::prev(block)->last_seq;
  std::vector<LogEntry> kept;  // of a record that goes on behind `seq`
  if (last < seq && block != blocks_.end()) {
    const Status read = ForEach(last + 1, seq, [&](LogEntry entry) {
      if (entry.last_seq > seq) return Status();
      last = entry.last_seq;
      kept.push_back(std::move(entry));
      return Status();
    });
    if (!read.ok()) return read;
  }
  if (last != seq) {
    const std::string what =
        damage_ ? damage_->message : "log file " + path_ + " ends at event " + std::to_string(last);
    return Error{Code::kCorrupt, what + ", and events up to " + std::to_string(seq) +
                                     " have left the store for it: nothing was changed; give the "
                                     "folder the whole file back"};
  }
  if (!kept.empty()) return Rewrite(block, kept);
  const uint64_t at = block == blocks_.end() ? size_ : block->offset;
  blocks_.erase(block, blocks_.end());
  return CutAt(at);
}

Status File::Rewrite(std::vector<Block>::iterator block, const std::vector<LogEntry>& kept) {
  const std::string beside = path_ + ".new";
  std::error_code error;
  std::filesystem::copy_file(path_, beside, std::filesystem::copy_options::overwrite_existing,
                             error);
  int fd = error ? -1 : open(beside.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0)
    return Error{Code::kInternal, "cannot copy " + path_ + " to " + beside + ": " +
                                      (error ? error.message() : std::strerror(errno))};
  std::swap(fd, fd_);
  close(fd);
  const uint64_t at = block->offset;
  blocks_.erase(block, blocks_.end());
  if (Status s = CutAt(at); !s.ok()) return s;
  batch_ = kept;
  if (Status s = Sync(); !s.ok()) return s;
  if (rename(beside.c_str(), path_.c_str()) != 0) return Failed("rename of the new form");
  return SyncFolderOf(path_);
}

Status File::Write(std::string_view bytes) {
  uint64_t at = size_;
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Failed("write");
    bytes.remove_prefix(static_cast<size_t>(n));
    at += static_cast<uint64_t>(n);
  }
  size_ = at;
  return {};
}

Status File::Append(const LogEntry& entry) {
  batch_bytes_ += entry.body.size() + entry.what.size();
  batch_.push_back(entry);
  return batch_bytes_ < kBatchBytes ? Status() : FlushBatch();
}

Status File::FlushBatch() {
  if (batch_.empty()) return {};
  auto record = PackRecord(RecordType::kLog, PackEntries(batch_), kLevel);
  if (!record) return record.error();
  const Block block{size_, batch_.back().last_seq};
  if (Status s = Write(*record); !s.ok()) return s;
  blocks_.push_back(block);
  batch_.clear();
  batch_bytes_ = 0;
  return {};
}

Status File::Sync() {
  if (Status s = FlushBatch(); !s.ok()) return s;
  return fdatasync(fd_) == 0 ? Status() : Status(Failed("fsync"));
}

Status File::ForEach(uint64_t from, uint64_t to, const std::function<Status(LogEntry)>& each) {
  // The group that holds `from` can end in a later block's first entry only.
  auto block = std::lower_bound(blocks_.begin(), blocks_.end(), from,
                                [](const Block& b, uint64_t seq) { return b.last_seq < seq; });
  uint64_t before = block == blocks_.begin() ? 0 : std::prev(block)->last_seq;
  for (; block != blocks_.end() && before < to; ++block) {
    uint64_t end = 0;
    auto record = RecordAt(block->offset, &end);
    if (!record) return record.error();
    if (!*record) return Corrupt("a record that was there is gone", block->offset);
    auto entries = UnpackEntries((*record)->raw);
    if (!entries) return Corrupt(entries.error().message, block->offset);
    for (LogEntry& entry : *entries) {
      const uint64_t last = entry.last_seq;
      if (last >= from && before < to) {
        if (Status s = each(std::move(entry)); !s.ok()) return s;
      }
      before = last;
    }
  }
  for (const LogEntry& entry : batch_) {
    if (entry.last_seq >= from && before < to) {
      if (Status s = each(entry); !s.ok()) return s;
    }
    before = entry.last_seq;
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<LogFile>> LogFile::Open(const std::string& path, const Value& header,
                                               std::optional<uint64_t> keep_to) {
  std::error_code none;
  if (keep_to.value_or(0) > 0 && !std::filesystem::exists(path, none)) {
    return Error{Code::kCorrupt, "log file " + path + " is missing, and events up to " +
                                     std::to_string(*keep_to) +
                                     " have left the store for it: nothing was changed; give the "
                                     "folder its file back"};
  }
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) {
    const Code code = errno == EACCES || errno == EROFS ? Code::kPermission
                      : errno == ENOSPC                 ? Code::kDiskFull
                                                        : Code::kInvalid;
    return Error{code, "cannot open log file " + path + ": " + std::strerror(errno)};
  }
  auto file = std::make_unique<File>(path, fd, true);
  struct stat st{};
  fstat(fd, &st);
  // A file shorter than its first lines was being made when the machine went down.
  if (static_cast<size_t>(st.st_size) < kPrefixBytes + kRecordHeaderBytes &&
      keep_to.value_or(0) == 0) {
    if (ftruncate(fd, 0) != 0)
      return Error{Code::kInternal,
                   "cannot truncate log file " + path + ": " + std::strerror(errno)};
    if (Status s = file->Begin(header); !s.ok()) return s.error();
    if (Status s = SyncFolderOf(path); !s.ok()) return s.error();
    return std::unique_ptr<LogFile>(std::move(file));
  }
  if (Status s = file->Scan(); !s.ok()) return s.error();
  if (!keep_to && file->damage()) return *file->damage();
  if (Status s = keep_to ? file->KeepTo(*keep_to) : file->CutTail(); !s.ok()) return s.error();
  return std::unique_ptr<LogFile>(std::move(file));
}

Result<std::unique_ptr<LogFile>> LogFile::Read(const std::string& path, uint64_t need_to) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return Error{errno == ENOENT ? Code::kNotFound : Code::kPermission,
                 "cannot open log file " + path + ": " + std::strerror(errno)};
  }
  auto file = std::make_unique<File>(path, fd, false);
  struct stat st{};
  fstat(fd, &st);
  // A file shorter than its first lines is being made, or was when the machine went down.
  if (static_cast<size_t>(st.st_size) < kPrefixBytes + kRecordHeaderBytes && need_to == UINT64_MAX)
    return std::unique_ptr<LogFile>(std::move(file));
  if (Status s = file->Scan(); !s.ok()) return s.error();
  if (file->damage() && file->last_seq() < need_to) return *file->damage();
  return std::unique_ptr<LogFile>(std::move(file));
}

}  // namespace kev
