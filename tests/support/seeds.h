// How many seeds a random test tries.
#ifndef KEV_TESTS_SUPPORT_SEEDS_H_
#define KEV_TESTS_SUPPORT_SEEDS_H_

#include <algorithm>
#include <cstdint>

namespace kev::testing {

#if defined(KEVOLVE_SANITIZED)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// All of them; under sanitizers, where each takes some twenty times as long, a tenth. They are the
// first ones: a sanitizer looks for other faults than the checks, and a few seeds go everywhere.
inline uint64_t Seeds(uint64_t all) { return kSanitized ? std::max<uint64_t>(1, all / 10) : all; }

}  // namespace kev::testing

#endif  // KEV_TESTS_SUPPORT_SEEDS_H_
