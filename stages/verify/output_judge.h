// Says whether an output is right: made once per expected array, then asked for each output.
//
// One form covers all tolerances: element i has error |got - expected| * weight_i, and limits
// (threshold, elements that may lie above) hold for the whole array. A fixed tolerance is {1 -
// matched above 1, none above cap}, a measured one {half, 0.1 %, none} above its bounds, where the
// first two need enough elements to mean something. A correctly rounded element is always right.
// Infinities are right only where the same infinity is expected, NaN only where NaN is; integers
// and bool must be equal (a bool byte other than 0 and 1 is wrong).
//
// Threads: const member functions may run at once. Errors: kInvalid when the expected values cannot
// be judged (not finite where the task does not allow it; sizes that do not fit).
#ifndef KEV_STAGES_VERIFY_OUTPUT_JUDGE_H_
#define KEV_STAGES_VERIFY_OUTPUT_JUDGE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "configs/task.h"
#include "engine/core/dtype.h"
#include "engine/core/result.h"
#include "stages/verify/error_statistics.h"

namespace kev {

// What an output should be. Views must outlive the call that they are given to only.
struct ExpectedArray {
  DType dtype = DType::kF32;  // of `values`: the output's own, or kF64 from a reference in double
  std::string_view values;
  std::string_view scale;  // f64; for MeasuredTolerance::kAbsolute, else empty
};

// Errors of `got` in ulps relative to scale (see ErrorStatistics), one per element; FLT_MAX
// where not comparable. Of a yardstick's output they give bounds.
Result<std::vector<float>> ScaledErrors(const Argument& output, const MeasuredTolerance& tolerance,
                                        const ExpectedArray& expected, std::string_view got);
// What a candidate's errors may be: factor times the yardstick's, and at least 2 ulp. kInvalid when
// the yardstick's own errors are hopeless. For a judge take the Widest over YardstickCases: one
// run's rounding errors can cancel by luck, where elements share a sum or values repeat.
Result<Quantiles> BoundsFrom(std::vector<float> yardstick_errors,
                             const MeasuredTolerance& tolerance);
Quantiles Widest(const Quantiles& a, const Quantiles& b);

class OutputJudge {
 public:
  // By task.measured when it has one and the output is a float, else by task.tolerance. `bounds`
  // are used by a measured tolerance only.
  static Result<OutputJudge> Make(const Task& task, const Argument& output,
                                  const ExpectedArray& expected, const Quantiles& bounds = {});

  // Whether `got` is right: one pass, no statistics. For outputs of timed calls.
  bool Accepts(std::string_view got) const;
  // All that is known of `got`. `poison`: what the array held before the call, or empty.
  ErrorStatistics Judge(std::string_view got, std::string_view poison = {}) const;

  // One error per element, in the unit of the limits; FLT_MAX where it is hopeless.
  std::vector<float> Errors(std::string_view got) const;

  uint64_t elements() const { return elements_; }

 private:
  struct Limit {
    double threshold = 0;
    uint64_t most = 0;  // elements that may lie above
    const char* name = "";
    double Quantiles::* quantile = nullptr;
  };
  struct Count {
    uint64_t above[3] = {};   // by limit
    uint64_t mismatched = 0;  // not finite where that is not expected, or the other way round
  };

  void SetFixed(const Tolerance& tolerance);
  Status SetMeasured(const MeasuredTolerance& tolerance, std::string_view scale,
                     const Quantiles& bounds);
  Status SetExpected(const Argument& output, const ExpectedArray& expected, bool allow_nonfinite);
  double ErrorOf(double got, uint64_t i) const;  // in the unit of the limits
  void CountBlock(std::string_view got, uint64_t begin, uint64_t count, Count* result) const;
  Count CountAll(std::string_view got) const;
  bool Within(const Count& count) const;
  std::string Reason(const Count& count, const ErrorStatistics& statistics) const;
  void JudgeFloats(std::string_view got, ErrorStatistics* statistics) const;
  void JudgeIntegers(std::string_view got, ErrorStatistics* statistics) const;

  DType dtype_ = DType::kF32;
  bool measured_ = false;
  uint64_t elements_ = 0;
  double flushed_ = 0;            // a difference of this much is none: the least normal value, or 0
  Tolerance tolerance_;           // where not measured
  Quantiles bounds_;              // where measured
  std::string rounded_;           // what is expected, as the output's dtype has it
  std::vector<double> expected_;  // floats; 0 where not finite
  std::vector<double> weight_;    // of an error: 1 / its unit; 0 where not finite
  std::vector<uint64_t> special_;  // indices where infinity or NaN is expected, ascending
  std::vector<Limit> limits_;      // three at most
};

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_OUTPUT_JUDGE_H_
