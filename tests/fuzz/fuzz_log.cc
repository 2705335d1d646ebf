// Stored bytes: an event log, a snapshot, a log file and an archive as somebody may hand them to
// us. Nothing that reads them may crash, hang or take memory without bound; and what a log folds to
// can be put down as a snapshot and taken up again.
//
// The first byte says what the rest is: 'l' a log, 's' a snapshot, 'f' a file byte by byte, 'r' the
// records of a file without what protects them (length, checksum, compression: no change of bytes
// would get past those). Parts are a length (two bytes, little end first) and that many bytes.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/run_core.h"
#include "queue/archive.h"
#include "queue/archive_record.h"
#include "queue/codec.h"
#include "queue/crc32c.h"
#include "queue/log_file.h"

namespace kev {
namespace {

// Cut off at the end of the input.
std::string_view TakePart(std::string_view* rest) {
  if (rest->size() < 2) return std::exchange(*rest, {});
  const size_t length = static_cast<uint8_t>((*rest)[0]) + 256u * static_cast<uint8_t>((*rest)[1]);
  rest->remove_prefix(2);
  const std::string_view part = rest->substr(0, length);
  rest->remove_prefix(part.size());
  return part;
}

void LookAt(const RunCore& core) {
  (void)core.OpenAttempts();
  (void)core.NextDeadline();
  (void)core.RunRecord();
  (void)core.ExplainRun();
  for (uint32_t number = 1; number <= core.candidates().size() && number < 20; ++number)
    (void)core.CandidateRecord({SubjectKind::kCandidate, number});
}

// Down and up again: the same state, and the same decisions from there.
void CheckSnapshot(const RunCore& core, const RunCore::Options& options) {
  const std::string state = core.Snapshot();
  const auto again = RunCore::FromSnapshot(state, options);
  if (!again || (*again)->Snapshot() != state) std::abort();
  LookAt(**again);
}

void ReadLog(std::string_view rest) {
  const RunCore::Options options{.payloads = rest.size() % 2 == 0,
                                 .keep_ended = rest.size() % 3 == 0};
  RunCore core("fuzz", options);
  while (!rest.empty()) {
    Result<EventGroup> group = DecodeGroup(TakePart(&rest), "");
    // A group that does not follow is refused before it is folded (tools/live, log_feed).
    if (!group || group->first_seq != core.last_seq() + 1) continue;
    (void)RunCore::DigestCommands(core.Apply(*group));
  }
  LookAt(core);
  CheckSnapshot(core, options);
}

void ReadSnapshot(std::string_view rest) {
  const RunCore::Options options;
  const auto core = RunCore::FromSnapshot(TakePart(&rest), options);
  if (!core) return;
  LookAt(**core);
  while (!rest.empty()) {
    Result<EventGroup> group = DecodeGroup(TakePart(&rest), "");
    if (!group || group->first_seq != (*core)->last_seq() + 1) continue;
    (*core)->Apply(*group);
  }
  CheckSnapshot(**core, options);
}

// A file that is never on a disk.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    if (fd_ < 0 || write(fd_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
      std::abort();
  }
  ~MemoryFile() { close(fd_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

void ReadFile(std::string_view bytes) {
  const MemoryFile file(bytes);
  uint64_t last = 0;
  if (const auto archive = ArchiveReader::Open(file.path())) {
    for (const LogEntry& entry : (*archive)->Log()) (void)DecodeGroup(entry.body, entry.digest);
    (void)(*archive)->Blob(std::string(64, 'a'));
    if (const auto state = (*archive)->Snapshot()) (void)RunCore::FromSnapshot(*state, {});
  }
  if (const auto log = LogFile::Read(file.path())) {
    const auto each = [&](const LogEntry& entry) {
      last = entry.last_seq;
      return Status();
    };
    (void)(*log)->ForEach(0, UINT64_MAX, each);
    (void)(*log)->ForEach(last / 2, last, each);
  }
  // For writing it is opened last: that cuts a torn tail off, after which it must be whole.
  Value header;
  header.Set("run", "fuzz");
  if (const auto log = LogFile::Open(file.path(), header)) {
    LogEntry entry;
    entry.last_seq = (*log)->last_seq() + 1;
    entry.body = "x";
    if (entry.last_seq == 0) return;
    if (!(*log)->Append(entry).ok() || !(*log)->Sync().ok()) std::abort();
    const auto again = LogFile::Read(file.path());
    if (!again || (*again)->last_seq() != entry.last_seq) std::abort();
  }
}

void ReadRecords(std::string_view rest) {
  using namespace archive;
  std::string file(kMagic);
  PutLittle(kVersion, 4, &file);
  while (rest.size() >= 3) {
    const auto type = static_cast<RecordType>(rest[0] & 7);
    rest.remove_prefix(1);
    const auto record = PackRecord(type, TakePart(&rest), 1);
    if (!record) return;
    const uint64_t at = file.size();
    file += *record;
    if (type != RecordType::kFooter) continue;
    std::string trailer;
    PutLittle(at, 8, &trailer);
    PutLittle(Crc32c(trailer), 4, &trailer);
    file += trailer;
    file += kTrailerMagic;
  }
  ReadFile(file);
}

}  // namespace
}  // namespace kev

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'l':
      kev::ReadLog(rest);
      break;
    case 's':
      kev::ReadSnapshot(rest);
      break;
    case 'f':
      kev::ReadFile(rest);
      break;
    case 'r':
      kev::ReadRecords(rest);
      break;
    default:
      break;
  }
  return 0;
}
