// RMS norm in plain loops that the compiler turns into vectors: the sum of squares has PARTS
// independent parts.
#include <math.h>
#include <stdint.h>

#ifndef PARTS  // independent sums
#define PARTS 32
#endif
#ifndef SPLIT  // 1: x * scale first, then gamma in a loop of its own; 0: both in one loop
#define SPLIT 0
#endif
#ifndef DOUBLE  // 1: sums in double
#define DOUBLE 0
#endif

#if DOUBLE
typedef double Sum;
#else
typedef float Sum;
#endif

void rmsnorm(const float* restrict x, const float* restrict gamma, float* restrict y, int64_t rows,
             int64_t cols) {
  for (int64_t r = 0; r < rows; r++, x += cols, y += cols) {
    Sum part[PARTS];
    for (int p = 0; p < PARTS; p++) part[p] = 0;
    int64_t c = 0;
    for (; c + PARTS <= cols; c += PARTS)
      for (int p = 0; p < PARTS; p++) part[p] += (Sum)x[c + p] * x[c + p];
    for (; c < cols; c++) part[0] += (Sum)x[c] * x[c];
    for (int p = 1; p < PARTS; p++) part[0] += part[p];
    const float scale = 1 / sqrtf((float)part[0] / (float)cols + 1e-6f);
#if SPLIT
    for (c = 0; c < cols; c++) y[c] = x[c] * scale;
    for (c = 0; c < cols; c++) y[c] *= gamma[c];
#else
    for (c = 0; c < cols; c++) y[c] = x[c] * scale * gamma[c];
#endif
  }
}
