// C = A * B in the manner of Goto and van de Geijn (2008): a register tile of MR rows by NR vectors
// is accumulated over KC steps; A and B may be copied first, block by block, into the order in
// which the tile reads them.
#include <stdint.h>

#ifndef LANES  // floats of one vector
#define LANES 16
#endif
#ifndef MR  // rows of the register tile
#define MR 12
#endif
#ifndef NR  // vectors of the register tile
#define NR 2
#endif
#ifndef KC  // depth of a block
#define KC 256
#endif
#ifndef MC  // rows of a block of A
#define MC 96
#endif
#ifndef NC  // columns of a block of B
#define NC 256
#endif
#ifndef UNROLL  // steps of k taken together
#define UNROLL 1
#endif
#ifndef PACK_A  // 0: A is read in place; 1: its rows are copied
#define PACK_A 1
#endif
#ifndef PACK_B  // 0: B is read in place; 1: copied into strips as wide as the tile
#define PACK_B 1
#endif
#ifndef AHEAD  // steps of k by which a strip of B is fetched ahead; 0: not at all
#define AHEAD 0
#endif

#define PRAGMA(text) _Pragma(#text)
#define UNROLL_LOOP(times) PRAGMA(GCC unroll times)

// Rows of the copy of A lie kDepth floats apart: not a power of two, so that they do not share the
// sets of the cache.
enum { kWidth = NR * LANES, kRowsOfBlock = (MC + MR - 1) / MR * MR, kDepth = KC + 16 };

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef float Loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

static inline Vec Load(const float* p) { return *(const Loose*)p; }
static inline void Store(float* p, Vec v) { *(Loose*)p = v; }

#if PACK_A
static float packed_a[kRowsOfBlock * kDepth] __attribute__((aligned(64)));
#else
static float edge_a[MR * kDepth] __attribute__((aligned(64)));
#endif
#if PACK_B
static float packed_b[(NC + kWidth - 1) / kWidth * kWidth * KC] __attribute__((aligned(64)));
#else
static float edge_b[KC * kWidth] __attribute__((aligned(64)));
#endif
static float edge_c[MR * kWidth] __attribute__((aligned(64)));

// c[MR][kWidth] (+)= a[MR][depth] * b[depth][kWidth]; rows of a, b and c lie a_row, b_row and c_row
// apart.
static __attribute__((noinline)) void RunTile(const float* a, int64_t a_row, const float* b,
                                              int64_t b_row, float* c, int64_t c_row, int64_t depth,
                                              int add) {
#if PACK_A  // what packing fixes is a constant in the code
  a_row = kDepth;
#endif
#if PACK_B
  b_row = kWidth;
#endif
  Vec sum[MR][NR];
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++)
#pragma GCC unroll 8
    for (int j = 0; j < NR; j++) sum[i][j] = (Vec){0};
  UNROLL_LOOP(UNROLL)
  for (int64_t p = 0; p < depth; p++) {
    Vec row[NR];
#pragma GCC unroll 8
    for (int j = 0; j < NR; j++) {
      row[j] = Load(b + j * LANES);
      if (AHEAD) __builtin_prefetch(b + AHEAD * b_row + j * LANES);
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++) {
      const float value = a[i * a_row + p];
#pragma GCC unroll 8
      for (int j = 0; j < NR; j++) sum[i][j] += value * row[j];
    }
    b += b_row;
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; i++)
#pragma GCC unroll 8
    for (int j = 0; j < NR; j++) {
      float* to = c + i * c_row + j * LANES;
      Store(to, add ? Load(to) + sum[i][j] : sum[i][j]);
    }
}

// Copies MR rows of A, of which `rows` exist, into `to`; the others are 0.
static inline void CopyA(const float* a, int64_t lda, int64_t rows, int64_t depth, float* to) {
  for (int64_t i = 0; i < rows; i++)
    __builtin_memcpy(to + i * kDepth, a + i * lda, (unsigned long)depth * 4);
  for (int64_t i = rows; i < MR; i++)
    __builtin_memset(to + i * kDepth, 0, (unsigned long)depth * 4);
}

// Copies a strip of B, of which `columns` exist, into `to`; the others are 0.
static inline void CopyB(const float* b, int64_t ldb, int64_t columns, int64_t depth, float* to) {
  if (columns == kWidth) {
    for (int64_t p = 0; p < depth; p++)
#pragma GCC unroll 8
      for (int j = 0; j < NR; j++)
        Store(to + p * kWidth + j * LANES, Load(b + p * ldb + j * LANES));
    return;
  }
  for (int64_t p = 0; p < depth; p++) {
    __builtin_memcpy(to + p * kWidth, b + p * ldb, (unsigned long)columns * 4);
    __builtin_memset(to + p * kWidth + columns, 0, (unsigned long)(kWidth - columns) * 4);
  }
}

static inline int64_t Min(int64_t a, int64_t b) { return a < b ? a : b; }

// Rows m of C, of which A's block and B's block have been chosen: all tiles, the edges through
// edge_c.
static inline void Block(const float* a, int64_t lda, const float* b, int64_t ldb, float* c,
                         int64_t ldc, int64_t m, int64_t n, int64_t depth, int add) {
#if PACK_A
  for (int64_t i = 0; i < m; i += MR)
    CopyA(a + i * lda, lda, Min(MR, m - i), depth, packed_a + i * kDepth);
#else
  const int64_t odd_rows = m % MR;
  if (odd_rows) CopyA(a + (m - odd_rows) * lda, lda, odd_rows, depth, edge_a);
#endif
  for (int64_t j = 0; j < n; j += kWidth) {
    const int64_t columns = Min(kWidth, n - j);
#if PACK_B
    const float* strip = packed_b + j * KC;
    const int64_t strip_row = kWidth;
#else
    const float* strip = columns == kWidth ? b + j : edge_b;
    const int64_t strip_row = columns == kWidth ? ldb : kWidth;
#endif
    for (int64_t i = 0; i < m; i += MR) {
      const int64_t rows = Min(MR, m - i);
#if PACK_A
      const float* tile_a = packed_a + i * kDepth;
      const int64_t a_row = kDepth;
#else
      const float* tile_a = rows == MR ? a + i * lda : edge_a;
      const int64_t a_row = rows == MR ? lda : kDepth;
#endif
      float* to = c + i * ldc + j;
      if (rows == MR && columns == kWidth) {
        RunTile(tile_a, a_row, strip, strip_row, to, ldc, depth, add);
        continue;
      }
      const unsigned long bytes = (unsigned long)columns * 4;
      for (int64_t r = 0; add && r < rows; r++)
        __builtin_memcpy(edge_c + r * kWidth, to + r * ldc, bytes);
      RunTile(tile_a, a_row, strip, strip_row, edge_c, kWidth, depth, add);
      for (int64_t r = 0; r < rows; r++) __builtin_memcpy(to + r * ldc, edge_c + r * kWidth, bytes);
    }
  }
  (void)b, (void)ldb;
}

void matmul(const float* a, const float* b, float* c, int64_t m, int64_t n, int64_t k) {
  for (int64_t jc = 0; jc < n; jc += NC) {
    const int64_t columns = Min(NC, n - jc);
    for (int64_t pc = 0; pc < k; pc += KC) {
      const int64_t depth = Min(KC, k - pc);
      const float* from = b + pc * n + jc;
#if PACK_B
      for (int64_t j = 0; j < columns; j += kWidth)
        CopyB(from + j, n, Min(kWidth, columns - j), depth, packed_b + j * KC);
#else
      const int64_t odd_columns = columns % kWidth;
      if (odd_columns) CopyB(from + columns - odd_columns, n, odd_columns, depth, edge_b);
#endif
      for (int64_t ic = 0; ic < m; ic += MC)
        Block(a + ic * k + pc, k, from, n, c + ic * n + jc, n, Min(MC, m - ic), columns, depth,
              pc > 0);
    }
  }
}
