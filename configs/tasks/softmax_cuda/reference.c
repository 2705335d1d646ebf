// Softmax of each row in double: y = exp(x - max) / sum exp(x - max).
#include <math.h>
#include <stdint.h>

void softmax(const double* x, double* y, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; r++) {
    const double* in = x + r * cols;
    double* out = y + r * cols;
    double max = in[0], sum = 0;
    for (int64_t c = 1; c < cols; c++) max = fmax(max, in[c]);
    for (int64_t c = 0; c < cols; c++) sum += out[c] = exp(in[c] - max);
    for (int64_t c = 0; c < cols; c++) out[c] /= sum;
  }
}
