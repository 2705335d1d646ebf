// RMS norm in explicit vectors, one pass per row: while a row is scaled, the next one's squares are
// summed, so that the latency of the sum, the root and the division is hidden and every row is
// fetched early.
#include <stdint.h>

#ifndef LANES  // floats of one vector
#define LANES 16
#endif
#ifndef UNROLL  // vectors of one step, each with an accumulator of its own
#define UNROLL 4
#endif
#ifndef RECIPROCAL  // 1: multiply by 1 / sqrt; 0: divide each element by the root
#define RECIPROCAL 1
#endif
#ifndef AHEAD  // bytes of x fetched ahead; 0: none
#define AHEAD 0
#endif

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef float Loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t Int __attribute__((vector_size(LANES * 4)));

static inline Vec Load(const float* p) { return *(const Loose*)p; }
static inline void Store(float* p, Vec v) { *(Loose*)p = v; }

#if LANES == 16
#define LANE_NUMBERS ((Int){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
#elif LANES == 8
#define LANE_NUMBERS ((Int){0, 1, 2, 3, 4, 5, 6, 7})
#else
#define LANE_NUMBERS ((Int){0, 1, 2, 3})
#endif
// What to multiply the row by (or divide it by), from its sum of squares in parts.
static inline float Scale(const Vec* sum, float rest, int64_t cols) {
  Vec v = sum[0];
  for (int u = 1; u < UNROLL; u++) v += sum[u];
  for (int w = LANES / 2; w > 0; w /= 2) v += __builtin_shuffle(v, LANE_NUMBERS ^ w);
  const float root = __builtin_sqrtf((v[0] + rest) / (float)cols + 1e-6f);
  return RECIPROCAL ? 1 / root : root;
}
#if RECIPROCAL
#define SCALED(value, scale) ((value) * (scale))
#else
#define SCALED(value, scale) ((value) / (scale))
#endif

// Sums the squares of `next` (when there is one) and writes the scaled `row` (when there is one).
static inline __attribute__((always_inline)) float Pass(const float* row, const float* gamma,
                                                        float* to, float scale, const float* next,
                                                        int64_t cols, const int write,
                                                        const int read) {
  Vec sum[UNROLL];
  float rest = 0;
  for (int u = 0; u < UNROLL; u++) sum[u] = (Vec){0};
  int64_t c = 0;
  for (; c + UNROLL * LANES <= cols; c += UNROLL * LANES)
    for (int u = 0; u < UNROLL; u++) {
      const int64_t at = c + u * LANES;
      if (read) {
        if (AHEAD && u * LANES % 16 == 0) __builtin_prefetch((const char*)(next + at) + AHEAD);
        const Vec v = Load(next + at);
        sum[u] += v * v;
      }
      if (write) Store(to + at, SCALED(Load(row + at), scale) * Load(gamma + at));
    }
  for (; c + LANES <= cols; c += LANES) {
    if (read) {
      const Vec v = Load(next + c);
      sum[0] += v * v;
    }
    if (write) Store(to + c, SCALED(Load(row + c), scale) * Load(gamma + c));
  }
  for (; c < cols; c++) {
    if (read) rest += next[c] * next[c];
    if (write) to[c] = SCALED(row[c], scale) * gamma[c];
  }
  return read ? Scale(sum, rest, cols) : 0;
}

void rmsnorm(const float* x, const float* gamma, float* y, int64_t rows, int64_t cols) {
  float scale = Pass(x, gamma, y, 0, x, cols, 0, 1);
  for (int64_t r = 0; r + 1 < rows; r++, x += cols, y += cols)
    scale = Pass(x, gamma, y, scale, x + cols, cols, 1, 1);
  Pass(x, gamma, y, scale, x, cols, 1, 0);
}
