// Archive: a run that has ended, as one file (.kevrun): log, snapshots and blobs. Read without
// Redis.
//
// The byte layout is in queue/ARCHIVE.md. Records carry a length and a CRC-32C; a footer index
// makes blobs quick to find; a file without a footer (cut tail) is read from the front up to the
// last whole record. Writing goes to a temporary name, is fsynced, then renamed. Threads: none of
// its own; one object, one thread. Errors: kCorrupt.
#ifndef KEV_QUEUE_ARCHIVE_H_
#define KEV_QUEUE_ARCHIVE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/core/job.h"
#include "engine/core/result.h"
#include "engine/core/value.h"

namespace kev {

struct LogEntry {
  uint64_t last_seq = 0;
  std::string body;    // canonical bytes of the event group
  std::string digest;  // hex
  std::string what;
};

class ArchiveWriter {
 public:
  virtual ~ArchiveWriter() = default;
  virtual Status AddHeader(const Value& header) = 0;  // first: run, version, times
  virtual Status AddLog(const LogEntry& entry) = 0;
  virtual Status AddBlob(const BlobRef& ref, const std::string& bytes) = 0;
  // State of the core after event `seq` (RunCore::Snapshot).
  virtual Status AddSnapshot(uint64_t seq, const std::string& state) = 0;
  // Writes the footer, fsyncs, renames to the final path.
  virtual Status Finish() = 0;
  static Result<std::unique_ptr<ArchiveWriter>> Create(const std::string& path);
};

class ArchiveReader {
 public:
  virtual ~ArchiveReader() = default;
  virtual const Value& Header() const = 0;
  virtual const std::vector<LogEntry>& Log() const = 0;
  virtual Result<std::string> Blob(const std::string& sha256) = 0;
  virtual uint64_t SnapshotSeq() const = 0;  // of the last snapshot; 0: there is none
  virtual Result<std::string> Snapshot() = 0;
  virtual bool CutTail() const = 0;  // it does not end with a whole footer and its trailer
  // Bytes behind the end, where something was written after a whole file; then CutTail() as well.
  virtual uint64_t BytesBehind() const = 0;
  virtual std::vector<std::string> Blobs() const = 0;  // names, in order
  // Reads all of the file: each record's length and checksum, each blob against its name, and the
  // index against where things are. The first difference is an error.
  virtual Status Verify() = 0;
  static Result<std::unique_ptr<ArchiveReader>> Open(const std::string& path);
};

}  // namespace kev

#endif  // KEV_QUEUE_ARCHIVE_H_
