#include "runners/statistics/call_time.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kev {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A departure from the line has to be both certain and large. At 4 standard errors an honest kernel
// is flagged once in 15,000 estimates; below a tenth caches that warm up within a window explain
// it.
constexpr double kCertain = 4;
constexpr double kLarge = 0.1;

struct Slope {
  Interval ns = {kNaN, -kInfinity, kInfinity};
  double standard_error = kInfinity;
};

struct PairSlope {
  double slope;
  double weight;
};

double Sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

double MeanCalls(const std::vector<Window>& windows) {
  double sum = 0;
  for (const Window& window : windows) sum += window.calls;
  return sum / static_cast<double>(windows.size());
}

// Least slope below which there is at least this share of the weight.
double AtWeight(const std::vector<PairSlope>& sorted, double weight) {
  if (weight <= 0) return -kInfinity;
  for (const PairSlope& pair : sorted) {
    weight -= pair.weight;
    if (weight <= 0) return pair.slope;
  }
  return kInfinity;
}

// Standard deviation of T(b) = sum over pairs of |dN| sign(slope - b) at the true slope. By
// permutation of equal errors it is sqrt(Sxx n (n + 1) / 3); where errors grow with N (frequency,
// pre-emption) the projection onto single windows is larger.
double DeviationOfSigns(const std::vector<Window>& windows, double slope) {
  const double n = static_cast<double>(windows.size());
  const double mean = MeanCalls(windows);
  double squares = 0, projected = 0;
  for (const Window& window : windows) {
    squares += (window.calls - mean) * (window.calls - mean);
    double of_window = 0;
    for (const Window& other : windows) {
      const double calls = window.calls - other.calls;
      of_window += calls * Sign(window.ns - other.ns - slope * calls);
    }
    projected += of_window * of_window;
  }
  return std::sqrt(std::max(squares * n * (n + 1) / 3, projected));
}

Slope FitSlope(const std::vector<Window>& windows) {
  std::vector<PairSlope> pairs;
  double total = 0;
  for (size_t i = 0; i < windows.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const double calls = windows[i].calls - windows[j].calls;
      if (calls == 0) continue;
      pairs.push_back({(windows[i].ns - windows[j].ns) / calls, std::fabs(calls)});
      total += std::fabs(calls);
    }
  }
  if (pairs.empty()) return {};
  std::sort(pairs.begin(), pairs.end(),
            [](const PairSlope& a, const PairSlope& b) { return a.slope < b.slope; });
  const double point = AtWeight(pairs, 0.5 * total);
  const double deviation = DeviationOfSigns(windows, point);
  const auto at = [&](double z) { return AtWeight(pairs, 0.5 * (total + z * deviation)); };
  // Above `total` the sum is never reached: infinite, as it should be with so few windows.
  return {{point, at(-1.96), at(1.96)}, 0.5 * (at(1) - at(-1))};
}

std::vector<double> Distances(const std::vector<double>& values) {
  const double median = Median(values);
  std::vector<double> distances;
  for (const double value : values) distances.push_back(std::fabs(value - median));
  return distances;
}

// Standard error of the median of so many windows with this median absolute deviation, as for
// normal noise: 1.4826 * 1.2533 MAD / sqrt(n).
double ErrorOfMedian(double deviation, size_t n) {
  return n < 5 ? kInfinity : 1.858 * deviation / std::sqrt(static_cast<double>(n));
}

std::vector<double> Residuals(const std::vector<Window>& windows, double slope) {
  std::vector<double> residuals;
  for (const Window& window : windows) residuals.push_back(window.ns - slope * window.calls);
  return residuals;
}

// Mean ranks, less their average.
std::vector<double> CentredRanks(const std::vector<double>& values) {
  std::vector<double> ranks;
  for (const double value : values) {
    double below = 0;
    for (const double other : values) below += 0.5 * Sign(value - other);
    ranks.push_back(below);
  }
  return ranks;
}

// Standard score of curvature: ranks of the residuals against that part of N^2 that no line
// explains. Negative when concave.
double Curvature(const std::vector<Window>& windows, double slope) {
  const double n = static_cast<double>(windows.size());
  const double mean = MeanCalls(windows);
  double second = 0, third = 0;
  for (const Window& window : windows) {
    second += std::pow(window.calls - mean, 2);
    third += std::pow(window.calls - mean, 3);
  }
  if (second == 0) return 0;
  const std::vector<double> ranks = CentredRanks(Residuals(windows, slope));
  double sum = 0, squares = 0;
  for (size_t i = 0; i < windows.size(); ++i) {
    const double x = windows[i].calls - mean;
    const double quadratic = x * x - second / n - x * third / second;
    sum += quadratic * ranks[i];
    squares += quadratic * quadratic;
  }
  return squares > 0 ? sum / std::sqrt(squares * n * (n + 1) / 12) : 0;
}

// (slope over the lower half of N - slope over the upper half) / slope.
double Bend(std::vector<Window> windows, double slope) {
  std::sort(windows.begin(), windows.end(),
            [](const Window& a, const Window& b) { return a.calls < b.calls; });
  const auto middle = windows.begin() + static_cast<std::ptrdiff_t>(windows.size() / 2);
  const double low = FitSlope({windows.begin(), middle}).ns.point;
  const double high = FitSlope({middle, windows.end()}).ns.point;
  const double bend = (low - high) / slope;
  return std::isfinite(bend) ? bend : 0;
}

Growth GrowthOf(const CallTime& time, double curvature, double excess_error, bool several) {
  if (!std::isfinite(time.ns.low)) return Growth::kUnknown;
  if (time.ns.low <= 0) return Growth::kFlat;
  if (!several) return Growth::kUntested;
  if (curvature < -kCertain && time.bend > kLarge) return Growth::kConcave;
  if (curvature > kCertain && time.bend < -kLarge) return Growth::kConvex;
  const bool certain = std::fabs(time.excess_ns) > kCertain * excess_error;
  if (certain && time.excess_ns < -kLarge * time.ns.point) return Growth::kDeferred;
  if (certain && time.excess_ns > time.ns.point) return Growth::kFrontLoaded;
  return Growth::kLine;
}

}  // namespace

CallTime EstimateCallTime(const std::vector<Window>& windows) {
  std::vector<Window> with_calls;
  std::vector<double> without;
  double least = kInfinity, most = 0;
  for (const Window& window : windows) {
    if (window.calls == 0) {
      without.push_back(window.ns);
      continue;
    }
    with_calls.push_back(window);
    least = std::min(least, window.calls);
    most = std::max(most, window.calls);
  }
  // Windows without calls are another path through the judge. They hold up the line only where the
  // others are too close together for one.
  const bool several = most >= 2 * least && with_calls.size() >= 3;
  const std::vector<Window>& fitted = several ? with_calls : windows;
  const Slope slope = FitSlope(fitted);
  CallTime time;
  time.ns = slope.ns;
  time.standard_error = slope.standard_error;
  if (std::isnan(slope.ns.point)) {
    time.overhead_ns = without.empty() ? kNaN : Median(without);
    time.excess_ns = kNaN;
    return time;
  }
  const std::vector<double> residuals = Residuals(fitted, slope.ns.point);
  const double intercept = Median(residuals);
  time.overhead_ns = without.empty() ? intercept : Median(without);
  time.excess_ns = without.empty() || !several ? kNaN : intercept - time.overhead_ns;
  // Few windows are without calls, too few to tell their own spread: at least that of the others.
  const double deviation = Median(Distances(residuals));
  const double excess_error =
      std::hypot(ErrorOfMedian(deviation, residuals.size()),
                 ErrorOfMedian(std::max(deviation, Median(Distances(without))), without.size()),
                 MeanCalls(fitted) * slope.standard_error);
  if (several) time.bend = Bend(with_calls, slope.ns.point);
  time.growth =
      GrowthOf(time, several ? Curvature(with_calls, slope.ns.point) : 0, excess_error, several);
  return time;
}

std::string_view Describe(Growth growth) {
  switch (growth) {
    case Growth::kLine:
      return "windows grow in a line with their calls";
    case Growth::kUntested:
      return "windows of one number of calls only: a line was not tested";
    case Growth::kUnknown:
      return "too few windows for a time per call";
    case Growth::kFlat:
      return "windows do not grow with their calls";
    case Growth::kConcave:
      return "windows grow less with each further call";
    case Growth::kConvex:
      return "windows grow more with each further call";
    case Growth::kDeferred:
      return "windows with calls lack a constant amount of time";
    case Growth::kFrontLoaded:
      return "the first call of a window costs more than two others";
  }
  return "";
}

}  // namespace kev
