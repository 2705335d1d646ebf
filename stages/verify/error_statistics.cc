#include "stages/verify/error_statistics.h"

#include <algorithm>
#include <cmath>

#include "stages/verify/compare.h"

namespace kev {
namespace {

// Three digits are what can be meant.
Value Rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return value;
  const double step = std::pow(10.0, std::floor(std::log10(std::fabs(value))) - 2);
  return step > 0 ? std::round(value / step) * step : value;
}

Value ToValue(const Quantiles& quantiles) {
  Value value;
  value.Set("median", Rounded(quantiles.median));
  value.Set("p999", Rounded(quantiles.p999));
  value.Set("max", Rounded(quantiles.max));
  return value;
}

}  // namespace

Value ToValue(const ErrorStatistics& statistics, const std::vector<uint64_t>& dims) {
  Value value;
  value.Set("accepted", statistics.accepted);
  if (!statistics.reason.empty()) value.Set("reason", statistics.reason);
  value.Set("ulp", ToValue(statistics.ulp));
  value.Set("of_allowed", ToValue(statistics.of_allowed));
  const auto elements = static_cast<double>(std::max<uint64_t>(statistics.elements, 1));
  value.Set("wrong_share", Rounded(static_cast<double>(statistics.wrong) / elements));
  value.Set("nonfinite_share", Rounded(static_cast<double>(statistics.nonfinite) / elements));
  value.Set("zero_share", Rounded(statistics.zeros));
  value.Set("untouched_share", Rounded(statistics.poison));
  if (statistics.elements == 0) return value;
  value.Set("elements", statistics.elements);
  Value& worst = value.Set("worst");
  worst.Set("index", IndexText(statistics.worst, dims));
  worst.Set("expected", statistics.expected);
  worst.Set("got", statistics.got);
  return value;
}

}  // namespace kev
