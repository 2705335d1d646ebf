// bsearch of the C library for each value.
#include <stdint.h>
#include <stdlib.h>

static int Compare(const void* a, const void* b) {
  const int64_t x = *(const int64_t*)a, y = *(const int64_t*)b;
  return (x > y) - (x < y);
}

void mapid(const int64_t* table, const int64_t* values, int64_t* out, int64_t n, int64_t batch) {
  for (int64_t i = 0; i < batch; i++) {
    const int64_t* at = bsearch(&values[i], table, (size_t)n, sizeof *table, Compare);
    out[i] = at ? at - table + 1 : 0;
  }
}
