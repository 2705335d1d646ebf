// Memory-bound kernel whose time is known up to one factor: WORK. y = the head of x, after WORK
// sevenths of x have been read and thrown away.
//
// Why the ratio of two of these is the ratio of their WORK: all of them read the same array again
// and again, by the same instructions, and stop sooner or later. The array is larger than a level-1
// cache and smaller than a level-2 cache, for every WORK alike, so each seventh comes from the same
// place at the same cost; four independent sums keep loads, not arithmetic, the limit. What does not
// scale is entry, exit and 16 outputs: some 100 cycles beside 400,000. This holds where calls are
// timed warm. Where caches are flushed before each call the first 7 of the WORK sevenths come from
// memory: with memory five times as slow, 2 becomes 1.93 and 1.02 becomes 1.0191.
#include <stdint.h>

#ifndef WORK
#define WORK 714
#endif

typedef uint32_t Vector __attribute__((vector_size(32), aligned(4)));

static void read_part(const int32_t* from, const int32_t* to, Vector sums[4]) {
  for (; to - from >= 32; from += 32) {
    for (int k = 0; k < 4; k++) sums[k] ^= *(const Vector*)(from + 8 * k);
  }
}

void stream(const int32_t* x, int32_t* y, int64_t n, int64_t heads) {
  Vector sums[4] = {{0}};
  for (int64_t part = 0; part < WORK; part++) {
    const int64_t seventh = part % 7;
    __asm__ volatile("" : : : "memory");  // no part is remembered from its last reading
    read_part(x + n * seventh / 7, x + n * (seventh + 1) / 7, sums);
  }
  uint32_t sum = 0, none = 0;
  for (int k = 0; k < 32; k++) sum ^= sums[k / 8][k % 8];
  __asm__ volatile("" : "+r"(none));
  for (int64_t i = 0; i < heads; i++) y[i] = x[i] ^ (int32_t)(sum & none);
}
