// The runner process's clock: the system call itself, inlined, so that no symbol and no GOT slot
// stands between the harness and the kernel's clock. Costs 0.1–0.2 µs a reading; samples are a
// thousand times longer.
#ifndef KEV_RUNNERS_HARNESS_CLOCK_H_
#define KEV_RUNNERS_HARNESS_CLOCK_H_

#include <sys/syscall.h>
#include <time.h>

#include <cstdint>
#if !defined(__x86_64__) && !defined(__aarch64__)
#include <unistd.h>
#endif

namespace kev::harness {

inline __attribute__((always_inline)) uint64_t NowNs() {
  timespec now = {};
#if defined(__x86_64__)
  long result = SYS_clock_gettime;
  __asm__ volatile("syscall"
                   : "+a"(result)
                   : "D"(static_cast<long>(CLOCK_MONOTONIC)), "S"(&now)
                   : "rcx", "r11", "memory");
#elif defined(__aarch64__)
  register long number __asm__("x8") = SYS_clock_gettime;
  register long clock __asm__("x0") = CLOCK_MONOTONIC;
  register timespec* out __asm__("x1") = &now;
  __asm__ volatile("svc 0" : "+r"(clock) : "r"(number), "r"(out) : "memory");
#else
  syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
#endif
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace kev::harness

#endif  // KEV_RUNNERS_HARNESS_CLOCK_H_
