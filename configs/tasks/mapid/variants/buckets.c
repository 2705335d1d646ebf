// An index over the table, built anew in each call: the range of keys is cut into equal buckets of
// a power of two, and starts[b] is the first entry of bucket b. A value is looked for in its own
// bucket only. Skewed tables make full buckets, so a bucket is bisected until it is short.
#include <stdint.h>

#ifndef FACTOR  // buckets: at least this many eighths of the table's length, at most twice that
#define FACTOR 8
#endif
#ifndef GROUP  // searches side by side
#define GROUP 8
#endif
#ifndef SHORT  // entries that are counted rather than bisected
#define SHORT 8
#endif
#ifndef FETCH  // 1: the entries of a whole group are fetched before any is looked at
#define FETCH 0
#endif
#ifndef MOST  // no index at all when the batch is less than one MOST-th of the table
#define MOST 4
#endif

enum { kMaxBuckets = 1 << 18 };
static int32_t starts[kMaxBuckets + 1];

// First entry of table[low .. high) that is not less than value, or high.
static inline int64_t Find(const int64_t* table, int64_t low, int64_t high, int64_t value) {
  while (high - low > SHORT) {
    const int64_t middle = low + (high - low) / 2;
    if (table[middle] < value)
      low = middle + 1;
    else
      high = middle;
  }
  while (low < high && table[low] < value) low++;
  return low;
}

static inline int64_t Place(const int64_t* table, int64_t n, int64_t at, int64_t value) {
  return at < n && table[at] == value ? at + 1 : 0;
}

void mapid(const int64_t* table, const int64_t* values, int64_t* out, int64_t n, int64_t batch) {
  if (batch * MOST < n || n >= kMaxBuckets) {
    for (int64_t i = 0; i < batch; i++)
      out[i] = Place(table, n, Find(table, 0, n, values[i]), values[i]);
    return;
  }
  const uint64_t least = (uint64_t)table[0], range = (uint64_t)table[n - 1] - least;
  int shift = 0;
  while (shift < 63 && (range >> shift) + 1 > kMaxBuckets) shift++;
  while (shift < 63 && (range >> (shift + 1)) + 1 >= (uint64_t)(n * FACTOR / 8)) shift++;
  const int64_t buckets = (int64_t)(range >> shift) + 1;
  int64_t filled = 0;  // starts[0 .. filled) are known
  for (int64_t e = 0; e < n; e++) {
    const int64_t bucket = (int64_t)(((uint64_t)table[e] - least) >> shift);
    while (filled <= bucket) starts[filled++] = (int32_t)e;
  }
  starts[buckets] = (int32_t)n;

  int64_t i = 0;
  for (; i < batch; i += GROUP) {
    const int count = batch - i < GROUP ? (int)(batch - i) : GROUP;
    int64_t bucket[GROUP];
    for (int g = 0; g < count; g++) {
      const uint64_t from = (uint64_t)values[i + g] - least;  // huge for values below the table
      bucket[g] = from <= range ? (int64_t)(from >> shift) : buckets - 1;
    }
    if (FETCH)
      for (int g = 0; g < count; g++) __builtin_prefetch(table + starts[bucket[g]]);
    for (int g = 0; g < count; g++) {
      const int64_t at = Find(table, starts[bucket[g]], starts[bucket[g] + 1], values[i + g]);
      out[i + g] = Place(table, n, at, values[i + g]);
    }
  }
}
