#include "queue/archive_record.h"

#include <zstd.h>

#include <utility>

#include "engine/core/packed.h"
#include "queue/codec.h"
#include "queue/crc32c.h"

namespace kev::archive {

Result<std::string> PackRecord(RecordType type, std::string_view raw, int level) {
  if (raw.size() > kMaxRaw) {
    return Error{Code::kInvalid, "a record of " + std::to_string(raw.size()) +
                                     " bytes is above the archive's limit"};
  }
  std::string payload(ZSTD_compressBound(raw.size()), '\0');
  const size_t n = ZSTD_compress(payload.data(), payload.size(), raw.data(), raw.size(), level);
  if (ZSTD_isError(n)) return Error{Code::kInternal, std::string("zstd: ") + ZSTD_getErrorName(n)};
  payload.resize(n);
  std::string record;
  record.reserve(kRecordHeaderBytes + n);
  record.push_back(static_cast<char>(type));
  PutLittle(payload.size(), 4, &record);
  PutLittle(Crc32c(payload, Crc32c(record)), 4, &record);
  return record + payload;
}

Result<UnpackedRecord> UnpackRecord(std::string_view head, std::string_view payload) {
  if (GetLittle(head, 5, 4) != Crc32c(payload, Crc32c(head.substr(0, 5))))
    return Error{Code::kCorrupt, "a record's checksum is wrong"};
  const unsigned long long raw_size = ZSTD_getFrameContentSize(payload.data(), payload.size());
  if (raw_size > kMaxRaw) return Error{Code::kCorrupt, "a record is larger than the format allows"};
  UnpackedRecord record{static_cast<RecordType>(head[0]), std::string(raw_size, '\0')};
  const size_t n =
      ZSTD_decompress(record.raw.data(), record.raw.size(), payload.data(), payload.size());
  if (ZSTD_isError(n) || n != raw_size)
    return Error{Code::kCorrupt, "a record cannot be decompressed"};
  return record;
}

std::string PackEntries(const std::vector<LogEntry>& entries) {
  std::string raw;
  PackedWriter writer(&raw);
  writer.List(entries.size());
  for (const LogEntry& entry : entries) {
    writer.List(4);
    writer.Int(static_cast<int64_t>(entry.last_seq));
    writer.Bytes(entry.body);
    writer.Text(entry.digest);
    writer.Text(entry.what);
  }
  return raw;
}

Result<std::vector<LogEntry>> UnpackEntries(std::string_view raw) {
  const Result<PackedView> view = CheckPacked(raw, kLogLimits);
  if (!view) return view.error();
  std::vector<LogEntry> entries;
  for (PackedItems items(*view); items.Next();) {
    LogEntry entry;
    size_t part = 0;
    for (PackedItems parts(items.value()); parts.Next(); ++part) {
      const PackedView& value = parts.value();
      if (part == 0)
        entry.last_seq = static_cast<uint64_t>(value.AsInt());
      else if (part == 1)
        entry.body = value.AsBytes();
      else if (part == 2)
        entry.digest = value.AsString();
      else if (part == 3)
        entry.what = value.AsString();
    }
    if (part < 4 || entry.last_seq == 0 || entry.body.empty())
      return Error{Code::kCorrupt, "a log entry is not readable"};
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace kev::archive
