// RMS norm of each row in double: y = x * gamma / sqrt(mean(x^2) + 1e-6).
#include <math.h>
#include <stdint.h>

void rmsnorm(const double* x, const double* gamma, double* y, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; r++) {
    const double* in = x + r * cols;
    double* out = y + r * cols;
    double squares = 0;
    for (int64_t c = 0; c < cols; c++) squares += in[c] * in[c];
    const double scale = 1 / sqrt(squares / (double)cols + 1e-6);
    for (int64_t c = 0; c < cols; c++) out[c] = in[c] * scale * gamma[c];
  }
}
