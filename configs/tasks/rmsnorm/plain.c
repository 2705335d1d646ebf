// RMS norm as one writes it first: the sum of squares, then one pass that scales.
#include <math.h>
#include <stdint.h>

void rmsnorm(const float* x, const float* gamma, float* y, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; r++) {
    const float* in = x + r * cols;
    float* out = y + r * cols;
    float squares = 0;
    for (int64_t c = 0; c < cols; c++) squares += in[c] * in[c];
    const float scale = 1 / sqrtf(squares / (float)cols + 1e-6f);
    for (int64_t c = 0; c < cols; c++) out[c] = in[c] * scale * gamma[c];
  }
}
