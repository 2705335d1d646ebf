#include "tools/sim/story.h"

#include <cstdio>

namespace kev::sim {

const char* Name(CrashPoint point) {
  static constexpr const char* kNames[] = {"before a submit", "after a submit", "after an answer",
                                           "before a send",   "before a flush", "after a flush"};
  return kNames[static_cast<size_t>(point)];
}

void Tally::Add(const Tally& other) {
  steps += other.steps;
  jobs += other.jobs;
  restarts += other.restarts;
  takeovers += other.takeovers;
  store_losses += other.store_losses;
  lost_tails += other.lost_tails;
  cuts += other.cuts;
  worker_deaths += other.worker_deaths;
  lies += other.lies;
  orders += other.orders;
  unfinished += other.unfinished;
  virtual_ms += other.virtual_ms;
  for (size_t i = 0; i < crashes.size(); ++i) crashes[i] += other.crashes[i];
}

void Story::Tell(const std::string& what) {
  if (listener_ == nullptr) return;
  char time[32];
  std::snprintf(time, sizeof time, "%10.3f  ", static_cast<double>(now_ms) / 1000);
  *listener_ << time << what << "\n";
}

void Story::Violate(const std::string& what) {
  Tell("VIOLATION: " + what);
  if (!violation_) violation_ = "at " + std::to_string(now_ms) + " ms: " + what;
}

}  // namespace kev::sim
