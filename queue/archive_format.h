// Constants of the archive's byte layout (queue/ARCHIVE.md), shared by writer and reader.
#ifndef KEV_QUEUE_ARCHIVE_FORMAT_H_
#define KEV_QUEUE_ARCHIVE_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kev::archive {

inline constexpr std::string_view kMagic =
    "KEVRUN\r\n";  // the line end shows what a text transfer did to the file
inline constexpr uint32_t kVersion = 1;
inline constexpr size_t kPrefixBytes = 12;       // magic, version u32
inline constexpr size_t kRecordHeaderBytes = 9;  // type u8, length u32, crc32c u32
inline constexpr std::string_view kTrailerMagic = "KEVEND\r\n";
inline constexpr size_t kTrailerBytes =
    20;  // footer offset u64, crc32c u32 of those 8 bytes, magic
inline constexpr uint64_t kMaxRaw = (uint64_t{256} << 20) + 4096;

enum class RecordType : uint8_t { kHeader = 1, kLog = 2, kBlob = 3, kFooter = 4, kSnapshot = 5 };

inline void PutLittle(uint64_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}
inline uint64_t GetLittle(std::string_view bytes, size_t at, int count) {
  uint64_t value = 0;
  for (int i = 0; i < count; ++i) {
    value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[at + static_cast<size_t>(i)]))
             << (8 * i);
  }
  return value;
}

}  // namespace kev::archive

#endif  // KEV_QUEUE_ARCHIVE_FORMAT_H_
