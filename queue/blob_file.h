// BlobFile: blobs that have left Redis, beside each other in one file, and an index in another
// (PATH and PATH.index). What was appended stands in the index after Sync, and may then leave the
// store; what was not is forgotten when the file is opened again, since the store still has it.
//
// An index entry is 52 bytes: SHA-256, offset and size (8 bytes each, little endian), CRC-32C of
// these. Each stands for itself: one that is damaged costs its own blob, and opening cuts nothing
// off. A blob is checked against its SHA-256 whenever it is read. Memory: about 40 bytes a blob.
//
// Threads: none of its own; one object, one thread; others may Read while one writes. Errors:
// kCorrupt, kDiskFull, kPermission with the path.
#ifndef KEV_QUEUE_BLOB_FILE_H_
#define KEV_QUEUE_BLOB_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/result.h"

namespace kev {

class BlobFile {
 public:
  // For writing: made when it does not exist. kCorrupt when one of the two files is missing.
  static Result<std::unique_ptr<BlobFile>> Open(const std::string& path);
  // For reading only: what is in the index now. kNotFound when there is none.
  static Result<std::unique_ptr<BlobFile>> Read(const std::string& path);
  ~BlobFile();

  // One that is there already is not added again.
  Status Append(const std::string& sha256, std::string_view bytes);
  // All that was appended is on the disk, and in the index, when it returns.
  Status Sync();
  // Nullopt: it is not there.
  Result<std::optional<std::string>> Get(const std::string& sha256) const;
  size_t size() const { return entries_.size(); }
  // Entries of the index that are damaged, or whose bytes are not there.
  size_t damaged() const { return damaged_; }
  Status Clear();  // no blob is wanted any more

 private:
  struct Entry {
    uint64_t prefix;  // of the SHA-256: what the table goes by
    uint64_t offset;
    uint64_t size;
  };
  BlobFile(std::string path, int data, int index)
      : path_(std::move(path)), data_(data), index_(index) {}
  Status Load();
  Status Write();
  void Insert(const Entry& entry);
  Result<std::string> BytesOf(const Entry& entry) const;
  Status Flush();
  Error Failed(const char* what) const;

  std::string path_;
  int data_, index_;  // descriptors
  size_t damaged_ = 0;
  std::optional<Error> failed_;  // what was not written may never be: nothing leaves the store
  uint64_t written_ = 0;         // bytes of the data file
  uint64_t index_bytes_ = 0;     // of the index file
  std::string waiting_;          // bytes behind them
  std::string unindexed_;        // index entries of what was appended since the last Sync
  std::vector<Entry> entries_;
  std::vector<uint32_t> table_;  // open addressing: place in entries_ + 1; at most half full
};

}  // namespace kev

#endif  // KEV_QUEUE_BLOB_FILE_H_
