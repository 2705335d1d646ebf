#include "configs/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace kev {
namespace {

constexpr double kMostExact = 9007199254740992.0;  // 2^53

// The number at the start of `text` and what follows it.
std::optional<std::pair<double, std::string_view>> Split(std::string_view text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(number) || number < 0) return std::nullopt;
  return std::pair(number, std::string_view(rest, static_cast<size_t>(end - rest)));
}

template <size_t N>
std::optional<double> Scale(std::string_view unit,
                            const std::array<std::pair<std::string_view, double>, N>& table) {
  for (const auto& [name, scale] : table) {
    if (name == unit) return scale;
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> ParseDurationMs(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 4> kUnits = {
      {{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}}};
  const auto split = Split(text);
  if (!split) return std::nullopt;
  const std::optional<double> scale = Scale(split->second, kUnits);
  if (!scale) return std::nullopt;
  const double ms = std::round(split->first * *scale);
  if (ms > kMostExact) return std::nullopt;
  return static_cast<uint64_t>(ms);
}

std::optional<uint64_t> ParseCount(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 4> kUnits = {
      {{"", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}}};
  uint64_t whole = 0;  // all 64 bits, for seeds
  const char* const end = text.data() + text.size();
  if (const auto [rest, error] = std::from_chars(text.data(), end, whole);
      error == std::errc() && rest == end) {
    return whole;
  }
  const auto split = Split(text);
  if (!split) return std::nullopt;
  const std::optional<double> scale = Scale(split->second, kUnits);
  if (!scale) return std::nullopt;
  const double count = split->first * *scale;
  if (count > kMostExact || std::fabs(count - std::round(count)) > 1e-6) return std::nullopt;
  return static_cast<uint64_t>(std::round(count));
}

std::optional<int64_t> ParseInt(std::string_view text) {
  int64_t out = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, out);
  if (error != std::errc() || rest != end) return std::nullopt;
  return out;
}

std::optional<double> ParseNumber(std::string_view text) {
  double out = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, out);
  if (error != std::errc() || rest != end || !std::isfinite(out)) return std::nullopt;
  return out;
}

bool IsMultipleOrDuration(std::string_view text) {
  const auto split = Split(text);
  if (split && split->second == "x") return split->first >= 1;
  return ParseDurationMs(text).value_or(0) > 0;
}

}  // namespace kev
