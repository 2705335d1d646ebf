// Numbers with units as people write them in YAML: durations `250ms 30s 5m 2h`, counts `400 10k
// 2M`. Threads: functions on values. Errors: no value; the caller names the place.
#ifndef KEV_CONFIGS_UNITS_H_
#define KEV_CONFIGS_UNITS_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace kev {

// Milliseconds; a fraction (1.5h) is allowed, a missing unit is not.
std::optional<uint64_t> ParseDurationMs(std::string_view text);
// k = 1e3, M = 1e6, G = 1e9; a fraction (1.5M) must give a whole number.
std::optional<uint64_t> ParseCount(std::string_view text);
std::optional<int64_t> ParseInt(std::string_view text);
std::optional<double> ParseNumber(std::string_view text);  // finite; 1e11, -0.5
// A multiple (3x) or a duration (20s).
bool IsMultipleOrDuration(std::string_view text);

}  // namespace kev

#endif  // KEV_CONFIGS_UNITS_H_
