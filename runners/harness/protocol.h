// What judge and runner process say to each other.
//
// Setting up goes over a SOCK_SEQPACKET pair: fixed structs, one reply per command, echoing its
// nonce. Calls go through a page of shared memory that both spin on, because a timed call may take
// less than a microsecond and a wake-up takes fifty. Both ends are built from this file, so there
// is no version. Neither times nor expected values ever cross: the judge's clock is the judge's,
// and a runner process only calls.
#ifndef KEV_RUNNERS_HARNESS_PROTOCOL_H_
#define KEV_RUNNERS_HARNESS_PROTOCOL_H_

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace kev::harness {

inline constexpr int kControlFd = 3;  // in the runner process
inline constexpr int kArenaFd = 4;    // memfd with the arrays that are written
inline constexpr int kPageFd = 5;     // memfd with the OrderPage and the tables of offsets
inline constexpr int kInputsFd = 6;   // memfd with those that are only read; no write can reach it
inline constexpr uint32_t kMaxArguments = 32;
inline constexpr uint32_t kMaxCalls = 64;
inline constexpr uint32_t kMaxSlots = 4096;  // per call
inline constexpr uint32_t kMaxPath = 1024;
inline constexpr uint64_t kZoneBytes = 512;  // least distance between two arrays of the arena

enum class CommandKind : uint32_t {
  kConfigure,  // limits and mappings, before any foreign code is in the process
  kDefine,     // arguments of call number `call`
  kConfine,    // no system calls but the ones that kernels need; the reply carries the listener
  kLoad,       // dlopen and dlsym
  kServe,      // from here to kLeave orders come through the page
};

enum class ArgumentKind : uint32_t {
  kArray,      // one copy per slot; offset from the table
  kShared,     // one copy for all slots; offset in `value`
  kWorkspace,  // `value` bytes of the process's own
  kScalar,     // `value` holds the bits
};

// How a scalar or the returned value is passed.
enum class PassedAs : uint32_t {
  kNothing,
  kPointer,
  kI64,
  kI32,
  kI16,
  kI8,
  kU32,
  kU16,
  kU8,
  kF64,
  kF32
};

struct ArgumentForm {
  ArgumentKind kind = ArgumentKind::kArray;
  PassedAs as = PassedAs::kPointer;
  uint32_t read = 0;     // an array that the function reads
  uint32_t written = 0;  // an array that the function writes
  uint64_t value = 0;
  uint64_t bytes = 0;  // arrays
};

struct Command {
  CommandKind kind = CommandKind::kConfigure;
  uint32_t call = 0;
  uint64_t nonce = 0;
  // kConfigure
  uint64_t arena_bytes = 0;
  uint64_t input_bytes = 0;  // of them, the first so many, in kInputsFd
  uint64_t page_bytes = 0;
  uint64_t guards = 0;  // offset in the page file of `guard_count` offsets of pages in the arena
  uint64_t guard_count = 0;
  uint32_t patient = 0;  // waits for orders without keeping a core busy: not to be timed
  // kConfine: in the page file
  uint64_t filter = 0;
  uint64_t filter_bytes = 0;
  // kDefine
  uint32_t arguments = 0;
  uint32_t slots = 0;
  PassedAs returns = PassedAs::kNothing;  // stored in the last argument's array
  uint64_t table = 0;  // offset in the page file of slots * arguments offsets in the arena
  uint64_t setup_arguments = 0;  // bit set of the arguments that set-up and tear-down take
  uint32_t grid[3] = {1, 1, 1};  // devices: how the kernel is launched
  uint32_t block[3] = {1, 1, 1};
  uint32_t shared_bytes = 0;  // per block, beside what the kernel declares
  char path[kMaxPath] = {};   // kLoad: library
  char symbol[256] = {};      // kLoad
  char setup[256] = {};       // kLoad: "" when the task has none
  char teardown[256] = {};
  ArgumentForm forms[kMaxArguments] = {};
};

enum class ReplyStatus : uint32_t { kDone, kCannotLoad, kNoSymbol, kBroken };

struct Reply {
  uint64_t nonce = 0;
  ReplyStatus status = ReplyStatus::kDone;
  char message[512] = {};
};

enum class OrderKind : uint32_t {
  kTouch,    // bring the slots' arrays into this core's or device's caches
  kCall,     // call the function once on each slot, in order
  kNothing,  // call an empty function once on each slot: what a call costs without a kernel
  kCopy,     // write each slot's outputs from its inputs, byte for byte, and read all inputs
  kSetUp,    // the candidate's set-up function, once
  kTearDown,
  kLeave,   // back to commands
  kUpload,  // devices: bring the slots, what lies round their arrays too, and the constants there
  kFetch,   // and back
  kClock,   // a chain of `count` thousand dependent additions: how fast this core runs
};

// Written by the judge, but for `answer`. A runner process that answers early or late gains
// nothing: the judge holds the clock and reads the outputs when it sees the answer.
struct OrderPage {
  alignas(64) std::atomic<uint32_t> order;  // number of the order to do; counts up
  OrderKind kind;
  uint32_t call;
  uint32_t count;                            // of slots
  alignas(64) std::atomic<uint32_t> answer;  // number of the last order that was done
  alignas(64) uint16_t slots[kMaxSlots];
};

// For sides that are patient: sleeps until `word` is no longer `seen`, at most for `most_ns`. The
// other side wakes it after a change.
inline void WaitForChange(std::atomic<uint32_t>* word, uint32_t seen, long most_ns) {
  const timespec most = {most_ns / 1000000000, most_ns % 1000000000};
  syscall(SYS_futex, word, FUTEX_WAIT, seen, &most, nullptr, 0);
}
inline void WakeWaiting(std::atomic<uint32_t>* word) {
  syscall(SYS_futex, word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

// Within a loop that waits for the other side.
inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

}  // namespace kev::harness

#endif  // KEV_RUNNERS_HARNESS_PROTOCOL_H_
