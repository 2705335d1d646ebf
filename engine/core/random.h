// Counter-based random numbers: a value depends only on its key and counter, never on how many were
// drawn before, so that a retried or reordered job draws the same ones. No standard-library
// distributions (they differ by library).
#ifndef KEV_ENGINE_CORE_RANDOM_H_
#define KEV_ENGINE_CORE_RANDOM_H_

#include <cstdint>
#include <string_view>

namespace kev {

// Mixes 64 bits (SplitMix64's finaliser, Steele et al. 2014).
uint64_t Mix64(uint64_t x);

class CounterRandom {
 public:
  // `seed` of the run; `stream` names the use, e.g. "c12/tune#1".
  CounterRandom(uint64_t seed, std::string_view stream);
  uint64_t At(uint64_t counter) const;  // uniform 64 bits
  uint64_t Next() { return At(counter_++); }
  // Uniform in [0, n), without modulo bias. REQUIRES: n > 0.
  uint64_t Below(uint64_t n);
  // Uniform in [0, 1), 53 bits.
  double Unit();
  // Standard normal (Box-Muller).
  double Normal();

 private:
  uint64_t key_;
  uint64_t counter_ = 0;
};

}  // namespace kev

#endif  // KEV_ENGINE_CORE_RANDOM_H_
