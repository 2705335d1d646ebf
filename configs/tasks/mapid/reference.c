// For each value its 1-based place in the sorted table of distinct values, 0 if it is not there:
// the first entry that is not less is found by bisection and compared.
#include <stdint.h>

void mapid(const int64_t* table, const int64_t* values, int64_t* out, int64_t n, int64_t batch) {
  for (int64_t i = 0; i < batch; i++) {
    int64_t low = 0, high = n;  // table[low - 1] < value <= table[high]
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (table[middle] < values[i]) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    out[i] = low < n && table[low] == values[i] ? low + 1 : 0;
  }
}
