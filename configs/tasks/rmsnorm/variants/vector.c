// RMS norm in explicit vectors: ROWS rows at a time share each load of gamma; sums of squares have
// UNROLL independent accumulators per row.
#include <stdint.h>

#ifndef LANES  // floats of one vector
#define LANES 16
#endif
#ifndef UNROLL  // vectors of one step
#define UNROLL 4
#endif
#ifndef ROWS  // rows taken together
#define ROWS 1
#endif
#ifndef AHEAD  // bytes of x fetched ahead in the first pass; 0: none
#define AHEAD 0
#endif
#ifndef BACKWARD  // 1: the second pass runs from the end, where the first one left the cache warm
#define BACKWARD 0
#endif

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef float Loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

static inline Vec Load(const float* p) { return *(const Loose*)p; }
static inline void Store(float* p, Vec v) { *(Loose*)p = v; }

static inline float SumOf(Vec v) {
  typedef int32_t Int __attribute__((vector_size(LANES * 4)));
#if LANES == 16
  const Int lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif LANES == 8
  const Int lane = {0, 1, 2, 3, 4, 5, 6, 7};
#else
  const Int lane = {0, 1, 2, 3};
#endif
  for (int w = LANES / 2; w > 0; w /= 2) v += __builtin_shuffle(v, lane ^ w);
  return v[0];
}

// Rows x + r * cols of `count` (a constant, once inlined) rows.
static inline __attribute__((always_inline)) void Rows(const float* x, const float* gamma, float* y,
                                                       int64_t cols, const int count) {
  const int64_t step = UNROLL * LANES, whole = cols - cols % step;
  Vec sum[ROWS][UNROLL];
  float scale[ROWS];
#pragma GCC unroll 8
  for (int r = 0; r < count; r++)
#pragma GCC unroll 8
    for (int u = 0; u < UNROLL; u++) sum[r][u] = (Vec){0};
  int64_t c = 0;
  for (; c < whole; c += step)
#pragma GCC unroll 8
    for (int r = 0; r < count; r++) {
      const float* in = x + r * cols + c;
#pragma GCC unroll 8
      for (int u = 0; u < UNROLL; u++) {
        if (AHEAD && u * LANES % 16 == 0) __builtin_prefetch((const char*)(in + u * LANES) + AHEAD);
        const Vec v = Load(in + u * LANES);
        sum[r][u] += v * v;
      }
    }
  for (; c + LANES <= cols; c += LANES)
#pragma GCC unroll 8
    for (int r = 0; r < count; r++) {
      const Vec v = Load(x + r * cols + c);
      sum[r][0] += v * v;
    }
#pragma GCC unroll 8
  for (int r = 0; r < count; r++) {
    const float* in = x + r * cols;
#pragma GCC unroll 8
    for (int u = 1; u < UNROLL; u++) sum[r][0] += sum[r][u];
    float squares = SumOf(sum[r][0]);
    for (int64_t i = c; i < cols; i++) squares += in[i] * in[i];
    scale[r] = 1 / __builtin_sqrtf(squares / (float)cols + 1e-6f);
  }
  for (int64_t i = c; i < cols; i++)
#pragma GCC unroll 8
    for (int r = 0; r < count; r++) y[r * cols + i] = x[r * cols + i] * scale[r] * gamma[i];
#if BACKWARD
  for (c -= LANES; c >= whole; c -= LANES)
#pragma GCC unroll 8
    for (int r = 0; r < count; r++)
      Store(y + r * cols + c, Load(x + r * cols + c) * scale[r] * Load(gamma + c));
  for (c = whole - step; c >= 0; c -= step)
#else
  for (int64_t i = whole; i < c; i += LANES)
#pragma GCC unroll 8
    for (int r = 0; r < count; r++)
      Store(y + r * cols + i, Load(x + r * cols + i) * scale[r] * Load(gamma + i));
  for (c = 0; c < whole; c += step)
#endif
#pragma GCC unroll 8
    for (int u = 0; u < UNROLL; u++) {
      const Vec g = Load(gamma + c + u * LANES);
#pragma GCC unroll 8
      for (int r = 0; r < count; r++) {
        const int64_t at = r * cols + c + u * LANES;
        Store(y + at, Load(x + at) * scale[r] * g);
      }
    }
}

void rmsnorm(const float* x, const float* gamma, float* y, int64_t rows, int64_t cols) {
  int64_t r = 0;
  for (; r + ROWS <= rows; r += ROWS) Rows(x + r * cols, gamma, y + r * cols, cols, ROWS);
#if ROWS > 1
  for (; r < rows; r++) Rows(x + r * cols, gamma, y + r * cols, cols, 1);
#endif
}
