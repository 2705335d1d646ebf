// Binary search as one writes it first: three ways at each step, done when the value is met.
#include <stdint.h>

void mapid(const int64_t* table, const int64_t* values, int64_t* out, int64_t n, int64_t batch) {
  for (int64_t i = 0; i < batch; i++) {
    int64_t low = 0, high = n - 1, found = 0;
    while (low <= high) {
      const int64_t middle = low + (high - low) / 2;
      if (table[middle] == values[i]) {
        found = middle + 1;
        break;
      }
      if (table[middle] < values[i]) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    out[i] = found;
  }
}
