#include <stdint.h>

void stream(const int32_t* x, int32_t* y, int64_t n, int64_t heads) {
  (void)n;
  for (int64_t i = 0; i < heads; i++) y[i] = x[i];
}
