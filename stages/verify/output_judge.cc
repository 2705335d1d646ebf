#include "stages/verify/output_judge.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

namespace kev {
namespace {

constexpr uint64_t kBlock = 1024;       // elements that are converted and counted at a time
constexpr double kLeastAllowedUlp = 2;  // errors up to here are never refused
constexpr uint64_t kEnoughForMedian = 32;
constexpr uint64_t kEnoughForP999 = 1000;

std::string Text(const char* format, double a, double b) {
  char text[160];
  std::snprintf(text, sizeof(text), format, a, b);
  return text;
}

std::string ElementText(DType dtype, const char* at) {
  char text[40];
  if (dtype == DType::kU64 || dtype == DType::kI64) {  // a double would round them
    uint64_t bits = 0;
    std::memcpy(&bits, at, sizeof(bits));
    return dtype == DType::kU64 ? std::to_string(bits) : std::to_string(static_cast<int64_t>(bits));
  }
  const int digits = dtype == DType::kF64 ? 16 : 8;
  std::snprintf(text, sizeof(text), "%.*g", IsFloat(dtype) ? digits : 10, ToDouble(dtype, at));
  return text;
}

// The k largest are left out: what remains at the top. Reorders `errors`.
double AfterLargest(std::vector<float>* errors, uint64_t k) {
  const auto at = errors->end() - static_cast<int64_t>(k) - 1;
  std::nth_element(errors->begin(), at, errors->end());
  return *at;
}

Quantiles QuantilesOf(std::vector<float>* errors) {
  Quantiles quantiles;
  if (errors->empty()) return quantiles;
  quantiles.median = AfterLargest(errors, errors->size() / 2);
  quantiles.p999 = AfterLargest(errors, errors->size() / 1000);
  quantiles.max = *std::max_element(errors->begin(), errors->end());
  return quantiles;
}

float Narrow(double error) {
  constexpr double kMost = std::numeric_limits<float>::max();
  return error <= kMost ? static_cast<float>(error) : std::numeric_limits<float>::max();
}

double Widen(double error) {
  return error >= std::numeric_limits<float>::max() ? kHopelessError : error;
}
Quantiles Widen(const Quantiles& q) { return {Widen(q.median), Widen(q.p999), Widen(q.max)}; }

// What one ulp of error is for an element.
double UnitOf(FloatFormat format, const MeasuredTolerance& tolerance, double scale) {
  return format.Epsilon() * std::max({std::fabs(scale), tolerance.floor, format.SmallestNormal()});
}

double Ratio(double a, double b) {
  if (a == 0) return 0;
  return b > 0 && a < kHopelessError ? std::min(a / b, kHopelessError) : kHopelessError;
}

}  // namespace

Result<std::vector<float>> ScaledErrors(const Argument& output, const MeasuredTolerance& tolerance,
                                        const ExpectedArray& expected, std::string_view got) {
  // As a judge with bounds that refuse nothing sees them.
  Task task;
  task.measured = tolerance;
  task.allow_nonfinite = true;
  Result<OutputJudge> judge =
      OutputJudge::Make(task, output, expected, {kHopelessError, kHopelessError, kHopelessError});
  if (!judge.ok()) return judge.error();
  return judge->Errors(got);
}

Result<Quantiles> BoundsFrom(std::vector<float> yardstick_errors,
                             const MeasuredTolerance& tolerance) {
  Quantiles bounds = Widen(QuantilesOf(&yardstick_errors));
  if (bounds.max >= kHopelessError) {
    return Error{Code::kInvalid,
                 "the yardstick " + tolerance.yardstick +
                     " gives NaN or infinity where the reference gives a finite value, or the "
                     "other way round; leave such inputs out of `values`, or take another one"};
  }
  for (double* bound : {&bounds.median, &bounds.p999, &bounds.max})
    *bound = std::max(*bound * tolerance.factor, kLeastAllowedUlp);
  return bounds;
}

Quantiles Widest(const Quantiles& a, const Quantiles& b) {
  return {std::max(a.median, b.median), std::max(a.p999, b.p999), std::max(a.max, b.max)};
}

Result<OutputJudge> OutputJudge::Make(const Task& task, const Argument& output,
                                      const ExpectedArray& expected, const Quantiles& bounds) {
  OutputJudge judge;
  judge.dtype_ = output.dtype;
  const uint32_t size = SizeOf(expected.dtype);
  judge.elements_ = expected.values.size() / size;
  if (expected.values.size() % size != 0 ||
      (!IsFloat(output.dtype) && expected.dtype != output.dtype)) {
    return Error{Code::kInvalid, "the expected values of " + output.name + " have another form"};
  }
  if (Status set = judge.SetExpected(output, expected, task.allow_nonfinite); !set.ok())
    return set.error();
  if (!IsFloat(output.dtype)) return judge;
  if (task.allow_flush_to_zero) judge.flushed_ = FormatOf(output.dtype).SmallestNormal();
  if (task.measured) {
    if (Status set = judge.SetMeasured(*task.measured, expected.scale, bounds); !set.ok())
      return set.error();
  } else {
    const auto allowed = task.tolerance.find(Name(output.dtype));
    judge.SetFixed(allowed == task.tolerance.end() ? Tolerance() : allowed->second);
  }
  for (const uint64_t i : judge.special_) judge.weight_[i] = 0;
  return judge;
}

Status OutputJudge::SetExpected(const Argument& output, const ExpectedArray& expected,
                                bool allow_nonfinite) {
  if (!IsFloat(dtype_)) {
    rounded_ = expected.values;
    for (size_t i = 0; dtype_ == DType::kBool && i < rounded_.size(); ++i) {
      if (rounded_[i] != 0 && rounded_[i] != 1)
        return Error{Code::kInvalid, "the reference gives a bool that is neither 0 nor 1 in " +
                                         output.name + "; such a value has no meaning"};
    }
    return {};
  }
  expected_.resize(elements_);
  ToDoubles(expected.dtype, expected.values, expected_.data());
  rounded_.resize(elements_ * SizeOf(dtype_));
  FromDoubles(dtype_, expected_.data(), elements_, rounded_.data());
  for (uint64_t i = 0; i < elements_; ++i) {
    if (std::isfinite(ToDouble(dtype_, rounded_.data() + i * SizeOf(dtype_)))) continue;
    special_.push_back(i);
    expected_[i] = 0;
  }
  if (special_.empty() || allow_nonfinite) return {};
  return Error{Code::kInvalid,
               "the reference gives NaN or infinity (or a value that " + std::string(Name(dtype_)) +
                   " cannot hold) in " + output.name +
                   "; say `nonfinite: allow`, or leave such inputs out of `values`"};
}

void OutputJudge::SetFixed(const Tolerance& tolerance) {
  tolerance_ = tolerance;
  weight_.resize(elements_);
  for (uint64_t i = 0; i < elements_; ++i) {
    const double allowed = tolerance.atol + tolerance.rtol * std::fabs(expected_[i]);
    weight_[i] = allowed > 1 / kHopelessError ? 1 / allowed : kHopelessError;
  }
  // Rounded up to a whole element where the product is one but for its own rounding.
  const double rest = (1 - tolerance.matched) * static_cast<double>(elements_);
  const auto most = static_cast<uint64_t>(std::floor(rest + 1e-9));
  limits_ = {{1, most, "matched", nullptr},
             {tolerance.matched < 1 ? tolerance.cap : 1, 0, "cap", nullptr}};
}

Status OutputJudge::SetMeasured(const MeasuredTolerance& tolerance, std::string_view scale,
                                const Quantiles& bounds) {
  const bool absolute = tolerance.scale == MeasuredTolerance::Scale::kAbsolute;
  if (absolute && scale.size() != elements_ * sizeof(double))
    return Error{Code::kInvalid, "a measured tolerance with `scale: absolute` needs the scales"};
  if (bounds.max < kLeastAllowedUlp)
    return Error{Code::kInvalid, "a measured tolerance needs the bounds of its yardstick"};
  measured_ = true;
  const FloatFormat format = FormatOf(dtype_);
  weight_.resize(elements_);
  if (absolute) ToDoubles(DType::kF64, scale, weight_.data());
  for (uint64_t i = 0; i < elements_; ++i) {
    const double unit = UnitOf(format, tolerance, absolute ? weight_[i] : expected_[i]);
    // f64's least unit is below what has an inverse.
    weight_[i] = unit > 1 / kHopelessError ? 1 / unit : kHopelessError;
  }
  if (elements_ >= kEnoughForMedian)
    limits_.push_back({bounds.median, elements_ / 2, "median", &Quantiles::median});
  if (elements_ >= kEnoughForP999)
    limits_.push_back(
        {bounds.p999, elements_ / 1000, "99.9th percentile of the", &Quantiles::p999});
  limits_.push_back({bounds.max, 0, "largest", &Quantiles::max});
  bounds_ = bounds;
  return {};
}

// One block's elements above each limit. The loop has no branch and no call, so that it becomes
// vector code; where infinity or NaN is expected it counts a NaN error, which CountAll takes back.
void OutputJudge::CountBlock(std::string_view got, uint64_t begin, uint64_t count,
                             Count* result) const {
  double values[kBlock];
  const uint64_t size = SizeOf(dtype_);
  ToDoubles(dtype_, got.substr(begin * size, count * size), values);
  const double* expected = expected_.data() + begin;
  const double* weight = weight_.data() + begin;
  const double flushed = flushed_;
  double thresholds[3];
  for (size_t l = 0; l < 3; ++l) thresholds[l] = limits_[std::min(l, limits_.size() - 1)].threshold;
  const double t0 = thresholds[0], t1 = thresholds[1], t2 = thresholds[2];
  uint64_t within[3] = {};
  for (uint64_t i = 0; i < count; ++i) {
    const double difference = std::fabs(values[i] - expected[i]) - flushed;
    const double error = difference * weight[i];
    within[0] += error <= t0 ? 1 : 0;  // false for NaN
    within[1] += error <= t1 ? 1 : 0;
    within[2] += error <= t2 ? 1 : 0;
  }
  for (size_t l = 0; l < limits_.size(); ++l) result->above[l] += count - within[l];
}

OutputJudge::Count OutputJudge::CountAll(std::string_view got) const {
  Count count;
  const uint64_t size = SizeOf(dtype_);
  auto special = special_.begin();
  for (uint64_t begin = 0; begin < elements_; begin += kBlock) {
    const uint64_t length = std::min(kBlock, elements_ - begin);
    const auto first = special;
    while (special != special_.end() && *special < begin + length) ++special;
    if (std::memcmp(got.data() + begin * size, rounded_.data() + begin * size, length * size) == 0)
      continue;
    CountBlock(got, begin, length, &count);
    for (auto at = first; at != special; ++at) {
      const double value = ToDouble(dtype_, got.data() + *at * size);
      const double wanted = ToDouble(dtype_, rounded_.data() + *at * size);
      const bool same = std::isnan(wanted) ? std::isnan(value) : value == wanted;
      if (!same) ++count.mismatched;
      if (std::isfinite(value)) continue;
      for (size_t l = 0; l < limits_.size(); ++l) --count.above[l];
    }
  }
  return count;
}

bool OutputJudge::Within(const Count& count) const {
  if (count.mismatched > 0) return false;
  for (size_t l = 0; l < limits_.size(); ++l) {
    if (count.above[l] > limits_[l].most) return false;
  }
  return true;
}

bool OutputJudge::Accepts(std::string_view got) const {
  if (got.size() != rounded_.size()) return false;
  if (!IsFloat(dtype_)) return got == rounded_;
  return Within(CountAll(got));
}

double OutputJudge::ErrorOf(double got, uint64_t i) const {
  const double difference = std::max(std::fabs(got - expected_[i]) - flushed_, 0.0);
  const double error = difference * weight_[i];
  return error < kHopelessError ? error : kHopelessError;  // NaN and infinity too
}

std::vector<float> OutputJudge::Errors(std::string_view got) const {
  std::vector<float> errors(elements_, std::numeric_limits<float>::max());
  if (got.size() != rounded_.size()) return errors;
  const uint64_t size = SizeOf(dtype_);
  auto special = special_.begin();
  for (uint64_t i = 0; i < elements_; ++i) {
    const double value = ToDouble(dtype_, got.data() + i * size);
    if (special != special_.end() && *special == i) {
      ++special;
      const double wanted = ToDouble(dtype_, rounded_.data() + i * size);
      if (std::isnan(wanted) ? std::isnan(value) : value == wanted) errors[i] = 0;
    } else {
      errors[i] = Narrow(ErrorOf(value, i));
    }
  }
  return errors;
}

std::string OutputJudge::Reason(const Count& count, const ErrorStatistics& statistics) const {
  const auto elements = static_cast<double>(elements_);
  if (statistics.nonfinite > 0) {
    return Text(
        "%.0f of %.0f elements are NaN or infinite where another value is expected, or "
        "finite where it is not",
        static_cast<double>(statistics.nonfinite), elements);
  }
  if (!measured_) {
    char text[160];
    std::snprintf(text, sizeof(text), "%.0f of %.0f elements outside rtol %g atol %g",
                  static_cast<double>(statistics.wrong), elements, tolerance_.rtol,
                  tolerance_.atol);
    return text;
  }
  for (size_t l = limits_.size(); l-- > 0;) {
    if (count.above[l] <= limits_[l].most) continue;
    const double error = statistics.ulp.*limits_[l].quantile;
    return "the " + std::string(limits_[l].name) +
           Text(" error is %.3g ulp, allowed are %.3g", error, limits_[l].threshold);
  }
  return "";
}

void OutputJudge::JudgeFloats(std::string_view got, ErrorStatistics* statistics) const {
  const Count count = CountAll(got);
  const uint64_t size = SizeOf(dtype_);
  std::vector<float> errors = Errors(got);
  statistics->worst = static_cast<uint64_t>(
      std::distance(errors.begin(), std::max_element(errors.begin(), errors.end())));
  statistics->wrong = count.mismatched + count.above[measured_ ? limits_.size() - 1 : 0];
  for (uint64_t i = 0; i < elements_; ++i) {
    const double value = ToDouble(dtype_, got.data() + i * size);
    const double wanted = ToDouble(dtype_, rounded_.data() + i * size);
    const bool same = std::isnan(wanted) ? std::isnan(value) : value == wanted;
    if ((!std::isfinite(value) || !std::isfinite(wanted)) && !same) ++statistics->nonfinite;
  }
  const Quantiles quantiles = Widen(QuantilesOf(&errors));
  if (measured_) {
    statistics->ulp = quantiles;
    statistics->of_allowed = {Ratio(quantiles.median, bounds_.median),
                              Ratio(quantiles.p999, bounds_.p999),
                              Ratio(quantiles.max, bounds_.max)};
  } else {
    statistics->of_allowed = quantiles;
    for (uint64_t i = 0; i < elements_; ++i) {
      const double difference = std::fabs(ToDouble(dtype_, got.data() + i * size) - expected_[i]);
      const bool special = std::binary_search(special_.begin(), special_.end(), i);
      errors[i] = special ? 0 : Narrow(difference / UlpAt(dtype_, expected_[i]));
      if (std::isnan(difference)) errors[i] = std::numeric_limits<float>::max();
    }
    statistics->ulp = Widen(QuantilesOf(&errors));
  }
  statistics->accepted = Within(count);
  if (!statistics->accepted) statistics->reason = Reason(count, *statistics);
}

void OutputJudge::JudgeIntegers(std::string_view got, ErrorStatistics* statistics) const {
  const uint64_t size = SizeOf(dtype_);
  std::vector<float> errors(elements_);
  float worst = -1;
  for (uint64_t i = 0; i < elements_; ++i) {
    const char* a = got.data() + i * size;
    const char* b = rounded_.data() + i * size;
    if (std::memcmp(a, b, size) != 0) {
      ++statistics->wrong;
      // Neighbours beyond 2^53, and bools such as 2, are different without a difference.
      const double difference = std::fabs(ToDouble(dtype_, a) - ToDouble(dtype_, b));
      errors[i] = Narrow(std::max(difference, 1.0));
    }
    if (errors[i] > worst) {
      worst = errors[i];
      statistics->worst = i;
    }
  }
  statistics->ulp = Widen(QuantilesOf(&errors));
  const Quantiles& ulp = statistics->ulp;
  statistics->of_allowed = {Ratio(ulp.median, 0), Ratio(ulp.p999, 0), Ratio(ulp.max, 0)};
  statistics->accepted = statistics->wrong == 0;
  if (statistics->wrong > 0) {
    statistics->reason =
        Text("%.0f of %.0f elements are not equal", static_cast<double>(statistics->wrong),
             static_cast<double>(elements_));
  }
}

ErrorStatistics OutputJudge::Judge(std::string_view got, std::string_view poison) const {
  ErrorStatistics statistics;
  statistics.elements = elements_;
  if (got.size() != rounded_.size()) {
    statistics.reason = Text("the output has %.0f bytes, expected are %.0f",
                             static_cast<double>(got.size()), static_cast<double>(rounded_.size()));
    return statistics;
  }
  if (elements_ == 0) {
    statistics.accepted = true;
    return statistics;
  }
  if (IsFloat(dtype_)) {
    JudgeFloats(got, &statistics);
  } else {
    JudgeIntegers(got, &statistics);
  }
  const uint64_t size = SizeOf(dtype_);
  uint64_t zeros = 0, untouched = 0;
  for (uint64_t at = 0; at < got.size(); at += size) {
    if (std::memcmp(got.data() + at, rounded_.data() + at, size) == 0) continue;
    zeros += ToDouble(dtype_, got.data() + at) == 0 && ToDouble(dtype_, rounded_.data() + at) != 0;
    untouched +=
        poison.size() == got.size() && std::memcmp(got.data() + at, poison.data() + at, size) == 0;
  }
  statistics.zeros = static_cast<double>(zeros) / static_cast<double>(elements_);
  statistics.poison = static_cast<double>(untouched) / static_cast<double>(elements_);
  statistics.expected = ElementText(dtype_, rounded_.data() + statistics.worst * size);
  statistics.got = ElementText(dtype_, got.data() + statistics.worst * size);
  return statistics;
}

}  // namespace kev
