// RMS norm of each row, computed in double: y = x * gamma / sqrt(mean(x^2) + 1e-6).
#include <math.h>
#include <stdint.h>

void rmsnorm(const float* x, const float* gamma, float* y, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; r++) {
    const float* in = x + r * cols;
    float* out = y + r * cols;
    double squares = 0;
    for (int64_t c = 0; c < cols; c++) squares += (double)in[c] * in[c];
    const double scale = 1 / sqrt(squares / (double)cols + 1e-6);
    for (int64_t c = 0; c < cols; c++) out[c] = (float)(in[c] * scale * gamma[c]);
  }
}
