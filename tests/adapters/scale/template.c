#include <stdint.h>

// MODE 1: right. 2: right and REPEATS times as slow. 3: wrong. 4: no C.
void scale(const float* x, float* y, int64_t n) {
#if MODE == 4
  this is no C;
#endif
  for (int repeat = 0; repeat < (MODE == 2 ? REPEATS : 1); ++repeat) {
    for (int64_t i = 0; i < n; ++i) y[i] = (MODE == 3 ? 2 : 3) * x[i];
    __asm__ volatile("" ::: "memory");
  }
}
