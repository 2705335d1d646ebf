#include "runners/measurement/caches.h"

#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kev {

uint64_t PrivateCacheBytes() {
  static const long known = sysconf(_SC_LEVEL2_CACHE_SIZE);
  return known > 0 ? static_cast<uint64_t>(known) : uint64_t{1} << 20;
}

void ReadIntoCaches(const void* from, size_t bytes) {
  const auto* at = static_cast<const volatile char*>(from);
  for (size_t i = 0; i < bytes; i += 64) (void)at[i];
}

bool FlushFromCaches(const void* from, size_t bytes) {
  constexpr uintptr_t kLine = 64;
  const auto begin = reinterpret_cast<uintptr_t>(from) / kLine * kLine;
  const uintptr_t end = reinterpret_cast<uintptr_t>(from) + bytes;
#if defined(__x86_64__)
  for (uintptr_t at = begin; at < end; at += kLine) _mm_clflush(reinterpret_cast<const void*>(at));
  _mm_mfence();
  return true;
#elif defined(__aarch64__)
  for (uintptr_t at = begin; at < end; at += kLine)
    __asm__ volatile("dc civac, %0" : : "r"(at) : "memory");
  __asm__ volatile("dsb ish" : : : "memory");
  return true;
#else
  return end < begin;
#endif
}

}  // namespace kev
