// Bisection without branches, GROUP searches interleaved so that their loads overlap: all searches
// of a call take the same steps, since these depend on the table's length alone.
#include <stdint.h>

#ifndef GROUP  // searches side by side
#define GROUP 8
#endif
#ifndef TAIL  // entries left at which bisection gives way to counting; 1: never
#define TAIL 1
#endif
#ifndef FETCH  // 1: fetch both possible next entries early
#define FETCH 0
#endif
#ifndef SELECT  // how a step moves: 0 by multiplying with the comparison, 1 by a mask, 2 by a
                // conditional expression
#define SELECT 1
#endif

static inline __attribute__((always_inline)) void Search(const int64_t* table,
                                                         const int64_t* values, int64_t* out,
                                                         int64_t n, const int count) {
  const int64_t* base[GROUP];
  for (int g = 0; g < count; g++) base[g] = table;
  int64_t left = n;  // the first entry that is not less lies in base[0 .. left]
  while (left > TAIL) {
    const int64_t half = left / 2;
    left -= half;
    for (int g = 0; g < count; g++) {
      if (FETCH) {
        __builtin_prefetch(base[g] + left / 2);
        __builtin_prefetch(base[g] + half + left / 2);
      }
      const int64_t less = base[g][half - 1] < values[g];
#if SELECT == 0
      base[g] += less * half;
#elif SELECT == 1
      base[g] += -less & half;
#else
      base[g] = less ? base[g] + half : base[g];
#endif
    }
  }
  for (int g = 0; g < count; g++) {
    int64_t at = base[g] - table, more = 0;
    for (int64_t i = 0; i < left; i++) more += base[g][i] < values[g];
    at += more;
    const int64_t safe = at < n ? at : n - 1;
    out[g] = table[safe] == values[g] ? safe + 1 : 0;
  }
}

void mapid(const int64_t* table, const int64_t* values, int64_t* out, int64_t n, int64_t batch) {
  int64_t i = 0;
  for (; i + GROUP <= batch; i += GROUP) Search(table, values + i, out + i, n, GROUP);
  for (; i < batch; i++) Search(table, values + i, out + i, n, 1);
}
