// Softmax in explicit vectors, two passes over a row: the running maximum with the sum of
// exponentials, rescaled when the maximum grows (Milakov and Gimelshein 2018); then the
// exponentials again, times the reciprocal of the sum. exp(x) = 2^n * 2^f with n = round(x * log2
// e) and a polynomial for 2^f on [-0.5, 0.5].
#include <stdint.h>

#ifndef LANES  // floats of one vector
#define LANES 16
#endif
#ifndef UNROLL  // vectors of one step, which share one rescaling
#define UNROLL 4
#endif
#ifndef DEGREE  // of the polynomial: 4 (2.6e-6), 5 (7.5e-8) or 6 (2e-9 relative)
#define DEGREE 5
#endif
#ifndef ESTRIN  // 1: pairs of terms side by side; 0: Horner's rule
#define ESTRIN 0
#endif
#ifndef REDUCE  // words of log2 e in the range reduction
#define REDUCE 1
#endif

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef float Loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t Int __attribute__((vector_size(LANES * 4)));

static inline Vec Load(const float* p) { return *(const Loose*)p; }
static inline void Store(float* p, Vec v) { *(Loose*)p = v; }
static inline Vec All(float s) { return s - (Vec){0}; }

static inline Vec Max(Vec a, Vec b) {
#if LANES == 16 && defined(__AVX512F__)
  return __builtin_ia32_maxps512_mask(a, b, a, -1, 4);
#elif LANES == 8 && defined(__AVX__)
  return __builtin_ia32_maxps256(a, b);
#else
  const Int more = a > b;
  return (Vec)((more & (Int)a) | (~more & (Int)b));
#endif
}

#if LANES == 16
#define LANE_NUMBERS ((Int){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
#elif LANES == 8
#define LANE_NUMBERS ((Int){0, 1, 2, 3, 4, 5, 6, 7})
#else
#define LANE_NUMBERS ((Int){0, 1, 2, 3})
#endif
// The maximum, or the sum, of all lanes, in every lane.
static inline Vec MaxOf(Vec v) {
  for (int w = LANES / 2; w > 0; w /= 2) v = Max(v, __builtin_shuffle(v, LANE_NUMBERS ^ w));
  return v;
}
static inline Vec SumOf(Vec v) {
  for (int w = LANES / 2; w > 0; w /= 2) v += __builtin_shuffle(v, LANE_NUMBERS ^ w);
  return v;
}

// The end of a row of n floats whose last `rest` do not fill a vector: they come in the last lanes.
// The lanes before them hold the floats that precede, or row[0] where there are none.
static inline Vec LoadEnd(const float* row, int64_t n, int64_t rest) {
  if (n >= LANES) return Load(row + n - LANES);
  float v[LANES];
  for (int l = 0; l < LANES; l++) v[l] = row[0];
  for (int64_t i = 0; i < rest; i++) v[LANES - rest + i] = row[i];
  return Load(v);
}
static inline void StoreEnd(float* row, int64_t n, int64_t rest, Vec v) {
  if (n >= LANES) {
    Store(row + n - LANES, v);
    return;
  }
  float f[LANES];
  Store(f, v);
  for (int64_t i = 0; i < rest; i++) row[i] = f[LANES - rest + i];
}
// v in the last `rest` lanes, 0 in the others.
static inline Vec KeepEnd(Vec v, int64_t rest) {
  return (Vec)((Int)v & (LANE_NUMBERS >= LANES - (int32_t)rest));
}

// exp(x) for x <= 0; exactly 1 at 0, so that rescaling by it loses nothing; below -80 it stays at
// exp(-80), which is 0 next to the row's maximum.
static inline Vec Exp(Vec x) {
  const float kRound =
      12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, found in the low bits
  x = Max(x, All(-80.0f));
  const Vec t = x * 1.44269502f + kRound;
  const Vec n = t - kRound;
  Vec f = x * 1.44269502f - n;
#if REDUCE == 2
  f += x * 1.92596303e-8f;
#endif
#if DEGREE == 4
  const float c0 = 1.0f, c1 = 0.6931218145593889f, c2 = 0.24024744841457024f,
              c3 = 0.05591786178284777f, c4 = 0.009570101877354156f;
#define HIGH All(c4)
#elif DEGREE == 5
  const float c0 = 1.0f, c1 = 0.6931469670628818f, c2 = 0.2402211972074985f,
              c3 = 0.055507132750666675f, c4 = 0.009675541502712248f, c5 = 0.001327647195955458f;
#define HIGH (f * c5 + c4)
#else
  const float c0 = 1.0f, c1 = 0.6931472057374535f, c2 = 0.2402264689060647f,
              c3 = 0.05550328776555501f, c4 = 0.00961848895863425f, c5 = 0.0013399931385559166f,
              c6 = 0.00015345811984923428f;
#define HIGH ((f * c6 + c5) * f + c4)
#endif
#if ESTRIN
  const Vec f2 = f * f;
  const Vec p = (HIGH * f2 + (f * c3 + c2)) * f2 + (f * c1 + c0);
#else
  const Vec p = (((HIGH * f + c3) * f + c2) * f + c1) * f + c0;
#endif
  return (Vec)((Int)p + ((Int)t << 23));
}

void softmax(const float* x, float* y, int64_t rows, int64_t cols) {
  const int64_t step = UNROLL * LANES;
  const int64_t rest = cols % LANES, whole = cols - rest;
  for (int64_t r = 0; r < rows; r++, x += cols, y += cols) {
    Vec max = All(x[0]), sum = {0};  // each lane has a maximum and a sum of its own
    int64_t c = 0;
    for (; c + step <= whole; c += step) {
      Vec v[UNROLL], more = max, part = {0};
      for (int u = 0; u < UNROLL; u++) v[u] = Load(x + c + u * LANES);
      for (int u = 0; u < UNROLL; u++) more = Max(more, v[u]);
      for (int u = 0; u < UNROLL; u++) part += Exp(v[u] - more);
      sum = sum * Exp(max - more) + part;
      max = more;
    }
    for (; c < whole; c += LANES) {
      const Vec v = Load(x + c), more = Max(max, v);
      sum = sum * Exp(max - more) + Exp(v - more);
      max = more;
    }
    const Vec end = rest ? LoadEnd(x, cols, rest) : max;
    const Vec top = MaxOf(Max(max, end));
    sum *= Exp(max - top);
    if (rest) sum += KeepEnd(Exp(end - top), rest);

    const Vec scale = 1 / SumOf(sum);
    for (c = 0; c + step <= whole; c += step)
      for (int u = 0; u < UNROLL; u++)
        Store(y + c + u * LANES, Exp(Load(x + c + u * LANES) - top) * scale);
    for (; c < whole; c += LANES) Store(y + c, Exp(Load(x + c) - top) * scale);
    if (rest) StoreEnd(y, cols, rest, Exp(end - top) * scale);
  }
}
