// Softmax of each row, computed in double: y = exp(x - max) / sum exp(x - max).
#include <math.h>
#include <stdint.h>

void softmax(const float* x, float* y, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; r++) {
    const float* in = x + r * cols;
    float* out = y + r * cols;
    double max = in[0];
    for (int64_t c = 1; c < cols; c++) max = fmax(max, in[c]);
    double sum = 0;
    for (int64_t c = 0; c < cols; c++) sum += exp(in[c] - max);
    for (int64_t c = 0; c < cols; c++) out[c] = (float)(exp(in[c] - max) / sum);
  }
}
