// A clock beside steady_clock, which the operating system neither sets nor bends: the CPU's time
// stamp counter where there is one, else the raw hardware clock. Ticks of a length that is not
// known; it is found by comparing over a long time. Threads: any. Errors: none.
#ifndef KEV_RUNNERS_HARNESS_SECOND_CLOCK_H_
#define KEV_RUNNERS_HARNESS_SECOND_CLOCK_H_

#include <time.h>

#include <cstdint>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

namespace kev {

inline uint64_t SecondClock() {
#ifdef __x86_64__
  return __rdtsc();
#else
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC_RAW, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
#endif
}

}  // namespace kev

#endif  // KEV_RUNNERS_HARNESS_SECOND_CLOCK_H_
