#include "queue/prefetch.h"

#include <algorithm>
#include <cmath>

#include "queue/wire.h"

namespace kev {
namespace {

constexpr double kLongJobUs = 100'000;
constexpr double kLikelyRoundTripUs = 1000;  // until one was seen
constexpr double kNewest = 1.0 / 16;

}  // namespace

void Prefetch::JobTook(double us) {
  job_us_ = job_us_ < 0 ? us : job_us_ + (us - job_us_) * kNewest;
}

void Prefetch::RoundTripTook(double us) {
  if (round_trip_us_ < us)
    round_trip_us_ = us;
  else
    round_trip_us_ += (us - round_trip_us_) * kNewest;
}

uint32_t Prefetch::Count(uint32_t slots) const {
  if (fixed_) return std::min(*fixed_, kMostPrefetch);
  if (job_us_ < 0 || job_us_ >= kLongJobUs) return 0;
  const double round_trip_us = round_trip_us_ < 0 ? kLikelyRoundTripUs : round_trip_us_;
  const double ahead = std::ceil(slots * round_trip_us / std::max(job_us_, 0.1));
  return static_cast<uint32_t>(std::min<double>(ahead, kMostPrefetch));
}

}  // namespace kev
