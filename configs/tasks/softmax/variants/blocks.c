// Softmax in plain loops that the compiler turns into vectors: a row is taken in blocks, and sums
// have ACCUMULATORS independent parts.
#include <math.h>
#include <stdint.h>

#ifndef BLOCK  // floats whose exponentials are computed in one loop
#define BLOCK 256
#endif
#ifndef ACCUMULATORS  // partial maxima and sums; divides BLOCK
#define ACCUMULATORS 16
#endif
#ifndef EXP  // 0: expf of the C library; 4, 5: polynomial of that degree
#define EXP 5
#endif

static inline float Exp(float x) {
#if EXP == 0
  return expf(x);
#else
  x = x < -80.0f ? -80.0f : x;
  const float round =
      12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, found in the low bits
  const float t = x * 1.44269502f + round;
  const float f = x * 1.44269502f - (t - round);
#if EXP == 4
  float p = 0.009570101877354156f;
  p = p * f + 0.05591786178284777f;
  p = p * f + 0.24024744841457024f;
  p = p * f + 0.6931218145593889f;
  p = p * f + 0.9999992614376385f;
#else
  float p = 0.001327647195955458f;
  p = p * f + 0.009675541502712248f;
  p = p * f + 0.055507132750666675f;
  p = p * f + 0.2402211972074985f;
  p = p * f + 0.6931469670628818f;
  p = p * f + 1.0000000716553026f;
#endif
  uint32_t exponent, bits;
  __builtin_memcpy(&exponent, &t, 4);
  __builtin_memcpy(&bits, &p, 4);
  bits += exponent << 23;
  __builtin_memcpy(&p, &bits, 4);
  return p;
#endif
}

void softmax(const float* restrict x, float* restrict y, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; r++, x += cols, y += cols) {
    float max[ACCUMULATORS], sum[ACCUMULATORS];
    for (int a = 0; a < ACCUMULATORS; a++) max[a] = x[0], sum[a] = 0;
    int64_t c = 0;
    for (; c + ACCUMULATORS <= cols; c += ACCUMULATORS)
      for (int a = 0; a < ACCUMULATORS; a++) max[a] = x[c + a] > max[a] ? x[c + a] : max[a];
    for (; c < cols; c++) max[0] = x[c] > max[0] ? x[c] : max[0];
    for (int a = 1; a < ACCUMULATORS; a++) max[0] = max[a] > max[0] ? max[a] : max[0];
    const float top = max[0];

    for (c = 0; c + BLOCK <= cols; c += BLOCK) {
      for (int i = 0; i < BLOCK; i++) y[c + i] = Exp(x[c + i] - top);
      for (int i = 0; i < BLOCK; i += ACCUMULATORS)
        for (int a = 0; a < ACCUMULATORS; a++) sum[a] += y[c + i + a];
    }
    for (; c < cols; c++) {
      y[c] = Exp(x[c] - top);
      sum[c % ACCUMULATORS] += y[c];
    }
    for (int a = 1; a < ACCUMULATORS; a++) sum[0] += sum[a];
    const float scale = 1 / sum[0];
    for (c = 0; c < cols; c++) y[c] *= scale;
  }
}
