// What judge and runner process say to each other: fixed structs over a SOCK_SEQPACKET pair, one
// reply per command.
//
// Both ends are built from this file, so there is no version. A reply must echo the command's
// nonce; a reply that does not was written by the candidate. No expected value ever crosses: the
// runner process only calls.
#ifndef KEV_RUNNERS_HARNESS_PROTOCOL_H_
#define KEV_RUNNERS_HARNESS_PROTOCOL_H_

#include <cstdint>

namespace kev::harness {

inline constexpr int kControlFd = 3;  // in the runner process
inline constexpr int kRegionFd = 4;   // memfd with all arrays
inline constexpr uint32_t kMaxArguments = 32;
inline constexpr uint32_t kMaxCalls = 64;
inline constexpr uint32_t kMaxSamples = 64;
inline constexpr uint32_t kMaxPath = 1024;

enum class CommandKind : uint32_t {
  kConfigure,  // limits, core, folder; before any foreign code is in the process
  kDefine,     // arguments of call number `call`
  kLoad,       // dlopen and dlsym
  kCall,       // once
  kMeasure,    // warm up, then `samples` samples of `batch` calls each
};

enum class Element : uint32_t { kF32, kF64, kI32, kI64, kU8 };

struct ArgumentSlot {
  uint32_t is_array = 0;
  Element element = Element::kF32;
  uint32_t disturb = 0;  // an output: overwrite a few elements before each sample
  uint32_t unused = 0;
  int64_t value = 0;   // scalar, or offset of the array in the region
  uint64_t count = 0;  // elements
};

struct Command {
  CommandKind kind = CommandKind::kConfigure;
  uint32_t call = 0;
  uint64_t nonce = 0;
  // kConfigure
  uint64_t cpu_seconds = 0;
  uint64_t address_bytes = 0;
  uint64_t file_bytes = 0;
  uint64_t open_files = 0;
  uint64_t processes = 0;
  uint64_t region_bytes = 0;
  int32_t core = -1;
  int32_t parent = 0;
  // kDefine
  uint32_t arguments = 0;
  // kMeasure
  uint32_t samples = 0;
  uint64_t warmup = 0;
  uint64_t batch = 1;
  char path[kMaxPath] = {};  // kConfigure: folder; kLoad: library
  char symbol[256] = {};     // kLoad
  ArgumentSlot slots[kMaxArguments] = {};
};

enum class ReplyStatus : uint32_t { kDone, kNotPinned, kCannotLoad, kNoSymbol, kBroken };

struct Reply {
  uint64_t nonce = 0;
  ReplyStatus status = ReplyStatus::kDone;
  uint32_t samples = 0;
  uint64_t total_ns = 0;          // first clock reading to the last, warm-up included
  uint64_t ns[kMaxSamples] = {};  // of one sample: `batch` calls
  char message[512] = {};
};

}  // namespace kev::harness

#endif  // KEV_RUNNERS_HARNESS_PROTOCOL_H_
