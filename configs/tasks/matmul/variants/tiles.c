// C = A * B in plain loops that the compiler turns into vectors: loops interchanged so that the
// innermost runs along rows of B and C, and cut into tiles; ROWS rows of A share each row of B.
#include <stdint.h>

#ifndef ROWS  // rows of C that are computed together
#define ROWS 4
#endif
#ifndef DEPTH  // steps of k in a tile
#define DEPTH 64
#endif
#ifndef WIDTH  // columns in a tile, kept in a local array
#define WIDTH 64
#endif

static inline int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }

void matmul(const float* restrict a, const float* restrict b, float* restrict c, int64_t m,
            int64_t n, int64_t k) {
  for (int64_t i = 0; i < m * n; i++) c[i] = 0;
  for (int64_t p0 = 0; p0 < k; p0 += DEPTH) {
    const int64_t p1 = Min(k, p0 + DEPTH);
    for (int64_t j0 = 0; j0 < n; j0 += WIDTH) {
      const int64_t width = Min(WIDTH, n - j0);
      int64_t i = 0;
      for (; i + ROWS <= m && width == WIDTH; i += ROWS) {
        float sum[ROWS][WIDTH];
        for (int r = 0; r < ROWS; r++)
          for (int j = 0; j < WIDTH; j++) sum[r][j] = c[(i + r) * n + j0 + j];
        for (int64_t p = p0; p < p1; p++)
          for (int r = 0; r < ROWS; r++)
            for (int j = 0; j < WIDTH; j++) sum[r][j] += a[(i + r) * k + p] * b[p * n + j0 + j];
        for (int r = 0; r < ROWS; r++)
          for (int j = 0; j < WIDTH; j++) c[(i + r) * n + j0 + j] = sum[r][j];
      }
      for (; i < m; i++)
        for (int64_t p = p0; p < p1; p++)
          for (int64_t j = j0; j < j0 + width; j++) c[i * n + j] += a[i * k + p] * b[p * n + j];
    }
  }
}
