// What may be claimed: how far two equal kernels seem apart on this machine, when a kernel is
// called faster, and whether a measurement is too noisy to say. Threads: functions on values.
// Errors: none; what was not measured is NaN.
#ifndef KEV_RUNNERS_STATISTICS_DECISION_H_
#define KEV_RUNNERS_STATISTICS_DECISION_H_

#include <cstddef>
#include <string>
#include <vector>

#include "runners/statistics/statistics.h"

namespace kev {

// A/A band: half-width in log ratio within which 95 % of comparisons of a kernel with its own copy
// stay when each is the median of `launches` launches. `controls` are the per-launch log ratios of
// the controls of this run, one row per comparison: rows tell how launches differ, and from three
// rows on also whether whole comparisons differ more than their launches explain. Infinite without
// values or when one is not finite. REQUIRES: launches >= 1.
double NullBand(const std::vector<std::vector<double>>& controls, size_t launches);

// Of the interval by whose lower end a kernel is called faster. The other ends are of 95 %; of
// equal kernels at most 1 % may be called faster, though, and 0.5 % to one side leave room for what
// launches of one measurement have in common. Fewer launches than kLeastClaimLaunches cannot hold a
// median with it.
constexpr double kClaimConfidence = 0.99;
constexpr size_t kLeastClaimLaunches = 8;

// Whether the lower bound (of kClaimConfidence) of the speed-up is above 1 + the band; false where
// anything is unknown.
bool Faster(const Interval& log_ratio, double band);

// What ran beside a measurement. Shares are of the time measured, NaN where the machine cannot
// tell.
struct Disturbance {
  double windows;    // share of the windows that were disturbed, e.g. by an involuntary switch
  double steal;      // time that the hypervisor gave to others
  double run_delay;  // time that the process was ready and waited for the core
  double aa_band;    // log ratio
};

// At these shares a result can be off by the 2 % that it may be off by, at the very most: stolen
// and waited time adds to windows one to one, so 1 % on either side; of the windows a fifth, all
// disturbed to the slow side, moves a median by a third of a standard deviation.
struct DisturbanceLimits {
  double windows = 0.2;
  double steal = 0.01;
  double run_delay = 0.01;
  double aa_band = 0.03;
};

struct NoiseVerdict {
  bool noisy = false;
  std::string reason;  // all limits that were passed, with the figures; "" when none
};

NoiseVerdict JudgeNoise(const Disturbance& seen, const DisturbanceLimits& limits = {});

}  // namespace kev

#endif  // KEV_RUNNERS_STATISTICS_DECISION_H_
