// Softmax as one writes it first: the row's maximum, expf and the sum, one multiplication by the
// reciprocal.
#include <math.h>
#include <stdint.h>

void softmax(const float* x, float* y, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; r++) {
    const float* in = x + r * cols;
    float* out = y + r * cols;
    float max = in[0];
    for (int64_t c = 1; c < cols; c++) max = in[c] > max ? in[c] : max;
    float sum = 0;
    for (int64_t c = 0; c < cols; c++) {
      out[c] = expf(in[c] - max);
      sum += out[c];
    }
    const float scale = 1 / sum;
    for (int64_t c = 0; c < cols; c++) out[c] *= scale;
  }
}
