#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "queue/archive.h"
#include "queue/archive_record.h"
#include "queue/blob_id.h"
#include "queue/codec.h"
#include "queue/crc32c.h"

namespace kev {
namespace {

using namespace archive;

struct Record {
  RecordType type;
  std::string raw;
  uint64_t end;  // offset after it
};

class Reader final : public ArchiveReader {
 public:
  Reader(std::string path, int fd, uint64_t size) : path_(std::move(path)), fd_(fd), size_(size) {}
  ~Reader() override { close(fd_); }

  const Value& Header() const override { return header_; }
  const std::vector<LogEntry>& Log() const override { return log_; }
  bool CutTail() const override { return cut_; }
  uint64_t BytesBehind() const override { return behind_; }
  Result<std::string> Blob(const std::string& sha256) override {
    const auto it = blobs_.find(sha256);
    if (it == blobs_.end())
      return Error{Code::kNotFound, "archive " + path_ + " has no blob " + sha256};
    Result<Record> record = ReadRecord(it->second);
    if (!record) return record.error();
    if (record->type != RecordType::kBlob || !record->raw.starts_with(sha256)) {
      return Corrupt("the index names a blob where there is none", it->second);
    }
    std::string bytes = record->raw.substr(64);
    if (Sha256Hex(bytes) != sha256)
      return Corrupt("blob " + sha256 + " has another digest", it->second);
    return bytes;
  }

  uint64_t SnapshotSeq() const override { return snapshot_seq_; }
  Result<std::string> Snapshot() override {
    if (snapshot_seq_ == 0) return Error{Code::kNotFound, "archive " + path_ + " has no snapshot"};
    Result<Record> record = ReadRecord(snapshot_at_);
    if (!record) return record.error();
    if (record->type != RecordType::kSnapshot || record->raw.size() < 8)
      return Corrupt("the index names a snapshot where there is none", snapshot_at_);
    return record->raw.substr(8);
  }

  std::vector<std::string> Blobs() const override {
    std::vector<std::string> names;
    for (const auto& [sha256, at] : blobs_) names.push_back(sha256);
    return names;
  }
  Status Verify() override {
    size_t blobs = 0;
    for (uint64_t at = kPrefixBytes; at < size_;) {
      if (!IsWhole(at)) {
        if (cut_) break;
        return Corrupt("a record is cut off", at);
      }
      const Result<Record> record = ReadRecord(at);
      if (!record) return record.error();
      if (record->type == RecordType::kFooter) {
        if (!cut_ && record->end + kTrailerBytes != size_)
          return Corrupt("something stands between footer and trailer", record->end);
        break;
      }
      if (record->type == RecordType::kBlob) {
        const std::string sha256 = record->raw.substr(0, 64);
        const auto known = blobs_.find(sha256);
        if (known == blobs_.end() || known->second != at)
          return Corrupt("the index does not say that blob " + sha256 + " is here", at);
        if (Sha256Hex(std::string_view(record->raw).substr(64)) != sha256)
          return Corrupt("blob " + sha256 + " has another digest", at);
        ++blobs;
      }
      at = record->end;
    }
    if (blobs == blobs_.size()) return {};
    return Corrupt("the index names " + std::to_string(blobs_.size()) + " blobs, and there are " +
                       std::to_string(blobs),
                   size_);
  }

  Status Load() {
    Result<std::string> prefix = Bytes(0, kPrefixBytes);
    if (!prefix || !prefix->starts_with(kMagic)) {
      return Error{Code::kCorrupt, path_ + " is not a run archive (it does not begin with KEVRUN)"};
    }
    const uint64_t version = GetLittle(*prefix, kMagic.size(), 4);
    if (version != kVersion) {
      return Error{Code::kInvalid, path_ + " has archive version " + std::to_string(version) +
                                       ", this program reads version " + std::to_string(kVersion)};
    }
    if (std::optional<uint64_t> footer = FooterOffset()) {
      Result<Record> record = ReadRecord(*footer);
      if (!record) return record.error();
      if (record->type != RecordType::kFooter)
        return Corrupt("the trailer names a footer where there is none", *footer);
      return LoadByIndex(record->raw);
    }
    cut_ = true;
    return Scan();
  }

 private:
  Error Corrupt(const std::string& what, uint64_t at) const {
    return {Code::kCorrupt,
            "archive " + path_ + " is damaged at byte " + std::to_string(at) + ": " + what};
  }

  Result<std::string> Bytes(uint64_t at, uint64_t count) const {
    if (at > size_ || count > size_ - at) return Corrupt("the file ends too early", size_);
    std::string out(count, '\0');
    size_t got = 0;
    while (got < count) {
      const ssize_t n = pread(fd_, out.data() + got, count - got, static_cast<off_t>(at + got));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0)
        return Corrupt(n < 0 ? std::strerror(errno) : "the file ends too early", at + got);
      got += static_cast<size_t>(n);
    }
    return out;
  }

  std::optional<uint64_t> FooterOffset() const {
    if (size_ < kPrefixBytes + kTrailerBytes) return std::nullopt;
    Result<std::string> trailer = Bytes(size_ - kTrailerBytes, kTrailerBytes);
    if (!trailer || !trailer->ends_with(kTrailerMagic)) return std::nullopt;
    if (GetLittle(*trailer, 8, 4) != Crc32c(std::string_view(*trailer).substr(0, 8)))
      return std::nullopt;
    return GetLittle(*trailer, 0, 8);
  }

  // Whether a whole record stands at `at`, as far as its length says.
  bool IsWhole(uint64_t at) const {
    if (size_ - at < kRecordHeaderBytes) return false;
    const Result<std::string> head = Bytes(at, kRecordHeaderBytes);
    return head && GetLittle(*head, 1, 4) <= size_ - at - kRecordHeaderBytes;
  }

  Result<Record> ReadRecord(uint64_t at) const {
    Result<std::string> head = Bytes(at, kRecordHeaderBytes);
    if (!head) return head.error();
    const uint64_t length = GetLittle(*head, 1, 4);
    Result<std::string> payload = Bytes(at + kRecordHeaderBytes, length);
    if (!payload) return payload.error();
    Result<UnpackedRecord> record = UnpackRecord(*head, *payload);
    if (!record) return Corrupt(record.error().message, at);
    return Record{record->type, std::move(record->raw), at + kRecordHeaderBytes + length};
  }

  Status LoadByIndex(const std::string& raw) {
    Result<Value> footer = Decode(raw, kLogLimits);
    if (!footer) return footer.error();
    if (Status s = Absorb(kPrefixBytes, RecordType::kHeader); !s.ok()) return s;
    for (const Value& offset : (*footer)["log"].AsList()) {
      if (Status s = Absorb(static_cast<uint64_t>(offset.AsInt()), RecordType::kLog); !s.ok())
        return s;
    }
    for (const auto& [sha256, place] : (*footer)["blobs"].AsMap()) {
      if (place.AsList().empty()) return Corrupt("the index is not readable", size_);
      blobs_[sha256] = static_cast<uint64_t>(place.AsList()[0].AsInt());
    }
    for (const Value& place : (*footer)["snapshots"].AsList()) {
      if (place.AsList().size() != 2) return Corrupt("the index is not readable", size_);
      snapshot_seq_ = static_cast<uint64_t>(place.AsList()[0].AsInt());
      snapshot_at_ = static_cast<uint64_t>(place.AsList()[1].AsInt());
    }
    return {};
  }
  Status Absorb(uint64_t at, RecordType type) {
    Result<Record> record = ReadRecord(at);
    if (!record) return record.error();
    if (record->type != type) return Corrupt("a record has another type than the index says", at);
    return Take(*record, at);
  }

  Status Scan() {
    for (uint64_t at = kPrefixBytes; at < size_ && IsWhole(at);) {
      Result<Record> record = ReadRecord(at);
      if (!record) return record.error();
      if (Status s = Take(*record, at); !s.ok()) return s;
      at = record->end;
      if (record->type != RecordType::kFooter) continue;
      behind_ = size_ - std::min(size_, at + kTrailerBytes);
      break;
    }
    if (header_.IsNull()) return Corrupt("there is no whole header record", kPrefixBytes);
    return {};
  }

  Status Take(const Record& record, uint64_t at) {
    if (record.type == RecordType::kBlob) {
      if (record.raw.size() < 64) return Corrupt("a blob record is too short", at);
      blobs_[record.raw.substr(0, 64)] = at;
      return {};
    }
    if (record.type == RecordType::kSnapshot) {
      if (record.raw.size() < 8) return Corrupt("a snapshot record is too short", at);
      snapshot_seq_ = GetLittle(record.raw, 0, 8);
      snapshot_at_ = at;
      return {};
    }
    if (record.type != RecordType::kHeader && record.type != RecordType::kLog) return {};
    if (record.type == RecordType::kHeader) {
      Result<Value> value = Decode(record.raw, kLogLimits);
      if (!value) return Corrupt(value.error().message, at);
      header_ = std::move(*value);
      return {};
    }
    Result<std::vector<LogEntry>> entries = UnpackEntries(record.raw);
    if (!entries) return Corrupt(entries.error().message, at);
    for (LogEntry& entry : *entries) log_.push_back(std::move(entry));
    return {};
  }

  std::string path_;
  int fd_;
  uint64_t size_;
  bool cut_ = false;
  uint64_t behind_ = 0;
  uint64_t snapshot_seq_ = 0;
  uint64_t snapshot_at_ = 0;
  Value header_;
  std::vector<LogEntry> log_;
  std::map<std::string, uint64_t> blobs_;  // sha256 -> offset of its record
};

}  // namespace

Result<std::unique_ptr<ArchiveReader>> ArchiveReader::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a FIFO must not wait
  if (fd < 0) {
    return Error{errno == ENOENT ? Code::kNotFound : Code::kPermission,
                 "cannot open archive " + path + ": " + std::strerror(errno)};
  }
  struct stat st{};
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    close(fd);
    return Error{Code::kCorrupt, path + " is no archive: it is not a regular file"};
  }
  auto reader = std::make_unique<Reader>(path, fd, static_cast<uint64_t>(st.st_size));
  if (Status s = reader->Load(); !s.ok()) return s.error();
  return std::unique_ptr<ArchiveReader>(std::move(reader));
}

}  // namespace kev
