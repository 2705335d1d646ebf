// Bisection in vectors: each lane is a search, and a step reads the table with one gather per
// vector. VECTORS vectors are interleaved.
#include <stdint.h>

#ifndef LANES  // searches of one vector
#define LANES 8
#endif
#ifndef VECTORS  // vectors side by side
#define VECTORS 4
#endif
#ifndef GATHER  // 1: the gather instruction, where there is one; 0: lane by lane
#define GATHER 1
#endif
#ifndef HOT  // first steps that read a copy, in the order of a tree, of the entries that they can
             // meet; 0: none
#define HOT 0
#endif

typedef int64_t Vec __attribute__((vector_size(LANES * 8)));
typedef int64_t Loose __attribute__((vector_size(LANES * 8), aligned(8), may_alias));

static inline Vec Gather(const int64_t* table, Vec at) {
#if GATHER && LANES == 8 && defined(__AVX512F__)
  typedef long long Wide __attribute__((vector_size(64)));
  return (Vec)__builtin_ia32_gatherdiv8di((Wide){0}, (const void*)table, (Wide)at, -1, 8);
#elif GATHER && LANES == 4 && defined(__AVX2__)
  typedef long long Wide __attribute__((vector_size(32)));
  return (Vec)__builtin_ia32_gatherdiv4di((Wide){0}, (const long long*)table, (Wide)at,
                                          (Wide){-1, -1, -1, -1}, 8);
#else
  Vec v;
#pragma GCC unroll 8
  for (int l = 0; l < LANES; l++) v[l] = table[at[l]];
  return v;
#endif
}

// out[g] for VECTORS * LANES values.
static inline void Search(const int64_t* table, const int64_t* hot, const int64_t* values,
                          int64_t* out, int64_t n) {
  Vec value[VECTORS], base[VECTORS];
#pragma GCC unroll 8
  for (int v = 0; v < VECTORS; v++) {
    value[v] = *(const Loose*)(values + v * LANES);
    base[v] = (Vec){0};
  }
  int64_t left = n;
#if HOT
  // Node k of the tree of the first HOT steps is hot[k]; its children are 2k and 2k + 1.
  if (n > 1 << HOT) {
    Vec node[VECTORS];
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; v++) node[v] = (Vec){0} + 1;
    for (int s = 0; s < HOT; s++) {
      const int64_t half = left / 2;
      left -= half;
#pragma GCC unroll 8
      for (int v = 0; v < VECTORS; v++) {
        const Vec less = Gather(hot, node[v]) < value[v];
        base[v] += less & half;
        node[v] += node[v] - less;
      }
    }
  }
#endif
  (void)hot;
  while (left > 1) {
    const int64_t half = left / 2;
    left -= half;
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; v++)
      base[v] += (Gather(table, base[v] + (half - 1)) < value[v]) & half;
  }
#pragma GCC unroll 8
  for (int v = 0; v < VECTORS; v++) {
    const Vec at =
        base[v] - (Gather(table, base[v]) < value[v]);  // the first entry that is not less, or n
    const Vec safe = at + (at >= n);                    // n - 1 for n
    *(Loose*)(out + v * LANES) = (safe + 1) & (Gather(table, safe) == value[v]);
  }
}

void mapid(const int64_t* table, const int64_t* values, int64_t* out, int64_t n, int64_t batch) {
#if HOT
  static int64_t hot[2 << HOT], from[2 << HOT];
  if (n > 1 << HOT) {  // all nodes of one step see the same number of entries
    int64_t left = n;
    from[1] = 0;
    for (int s = 0; s < HOT; s++) {
      const int64_t half = left / 2;
      left -= half;
      for (int64_t k = 1 << s; k < 2 << s; k++) {
        hot[k] = table[from[k] + half - 1];
        from[2 * k] = from[k];
        from[2 * k + 1] = from[k] + half;
      }
    }
  }
#else
  const int64_t* hot = table;
#endif
  const int64_t step = VECTORS * LANES;
  int64_t i = 0;
  for (; i + step <= batch; i += step) Search(table, hot, values + i, out + i, n);
  if (i < batch) {  // the rest, filled up with the table's first entry
    int64_t padded[VECTORS * LANES], found[VECTORS * LANES];
    for (int64_t g = 0; g < step; g++) padded[g] = i + g < batch ? values[i + g] : table[0];
    Search(table, hot, padded, found, n);
    for (int64_t g = 0; i + g < batch; g++) out[i + g] = found[g];
  }
}
