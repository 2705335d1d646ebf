#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "queue/archive.h"
#include "queue/archive_record.h"
#include "queue/crc32c.h"
#include "queue/sync_folder.h"

namespace kev {
namespace {

using namespace archive;
constexpr int kLevel = 3;
constexpr size_t kLogBatchBytes = size_t{32}
                                  << 10;  // entries compress better together; a cut takes few

class Writer final : public ArchiveWriter {
 public:
  Writer(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}
  ~Writer() override {
    if (fd_ < 0) return;
    close(fd_);
    unlink(temporary_.c_str());
  }
  Status Begin() {
    std::string prefix(kMagic);
    PutLittle(kVersion, 4, &prefix);
    return Write(prefix);
  }

  Status AddHeader(const Value& header) override {
    if (offset_ != kPrefixBytes)
      return Error{Code::kInternal, "the archive's header must come first"};
    return Record(RecordType::kHeader, EncodeCanonical(header));
  }
  Status AddLog(const LogEntry& entry) override {
    pending_bytes_ += entry.body.size() + entry.what.size();
    pending_.push_back(entry);
    return pending_bytes_ < kLogBatchBytes ? Status() : FlushLog();
  }
  Status AddBlob(const BlobRef& ref, const std::string& bytes) override {
    if (!named_.insert(ref.sha256).second) return {};
    if (Status s = FlushLog(); !s.ok()) return s;
    blobs_.Set(ref.sha256, Value::List{offset_, static_cast<uint64_t>(bytes.size())});
    return Record(RecordType::kBlob, ref.sha256 + bytes);
  }
  Status AddSnapshot(uint64_t seq, const std::string& state) override {
    if (Status s = FlushLog(); !s.ok()) return s;
    snapshots_.Append(Value::List{Value(seq), Value(offset_)});
    std::string raw;
    PutLittle(seq, 8, &raw);
    return Record(RecordType::kSnapshot, raw + state);
  }
  Status Finish() override {
    if (Status s = FlushLog(); !s.ok()) return s;
    Value footer;
    if (!snapshots_.IsNull()) footer.Set("snapshots", std::move(snapshots_));
    footer.Set("blobs", blobs_.IsNull() ? Value(Value::Map()) : std::move(blobs_));
    footer.Set("log", logs_.IsNull() ? Value(Value::List()) : std::move(logs_));
    std::string trailer;
    PutLittle(offset_, 8, &trailer);
    PutLittle(Crc32c(trailer), 4, &trailer);
    trailer += kTrailerMagic;
    if (Status s = Record(RecordType::kFooter, EncodeCanonical(footer)); !s.ok()) return s;
    if (Status s = Write(trailer); !s.ok()) return s;
    if (fsync(fd_) != 0) return Failed("fsync");
    close(fd_);
    fd_ = -1;
    if (rename(temporary_.c_str(), path_.c_str()) != 0) {
      Status s = Failed("rename");
      unlink(temporary_.c_str());
      return s;
    }
    return SyncFolderOf(path_);
  }

 private:
  Status FlushLog() {
    if (pending_.empty()) return {};
    logs_.Append(offset_);
    const std::vector<LogEntry> entries = std::exchange(pending_, {});
    pending_bytes_ = 0;
    return Record(RecordType::kLog, PackEntries(entries));
  }
  Status Record(RecordType type, const std::string& raw) {
    auto record = PackRecord(type, raw, kLevel);
    return record ? Write(*record) : Status(record.error());
  }
  Status Write(std::string_view bytes) {
    offset_ += bytes.size();
    while (!bytes.empty()) {
      const ssize_t n = write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Failed("write");
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return {};
  }
  Error Failed(const char* what) const {
    const bool full = errno == ENOSPC || errno == EDQUOT;
    return {full ? Code::kDiskFull : Code::kInternal,
            std::string(what) + " of archive " + path_ + ": " + std::strerror(errno)};
  }

  std::string path_, temporary_;
  int fd_;
  uint64_t offset_ = 0;
  std::vector<LogEntry> pending_;
  Value logs_, blobs_, snapshots_;
  size_t pending_bytes_ = 0;
  std::set<std::string> named_;
};

}  // namespace

Result<std::unique_ptr<ArchiveWriter>> ArchiveWriter::Create(const std::string& path) {
  const std::string temporary = path + ".part";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) {
    const Code code = errno == EACCES || errno == EROFS ? Code::kPermission
                      : errno == ENOSPC                 ? Code::kDiskFull
                                                        : Code::kInvalid;
    return Error{code, "cannot create archive " + temporary + ": " + std::strerror(errno)};
  }
  auto writer = std::make_unique<Writer>(path, temporary, fd);
  if (Status s = writer->Begin(); !s.ok()) return s.error();
  return std::unique_ptr<ArchiveWriter>(std::move(writer));
}

}  // namespace kev
