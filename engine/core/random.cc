#include "engine/core/random.h"

#include <cmath>

#include "engine/core/digest.h"

namespace kev {

uint64_t Mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

CounterRandom::CounterRandom(uint64_t seed, std::string_view stream)
    : key_(Mix64(seed) ^ DigestOf(stream, seed).lo) {}

uint64_t CounterRandom::At(uint64_t counter) const { return Mix64(key_ ^ Mix64(counter)); }

uint64_t CounterRandom::Below(uint64_t n) {
  const uint64_t limit = n * (UINT64_MAX / n);  // values at or above would favour small results
  uint64_t x = Next();
  while (x >= limit) x = Next();
  return x % n;
}

double CounterRandom::Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

double CounterRandom::Normal() {
  const double u = 1.0 - Unit();  // in (0, 1]
  const double v = Unit();
  return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v);
}

}  // namespace kev
