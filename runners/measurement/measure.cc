#include "runners/measurement/measure.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <utility>

#include "engine/core/random.h"
#include "runners/statistics/statistics.h"

namespace kev {
namespace {

std::vector<size_t> Shuffled(size_t n, CounterRandom* random) {
  std::vector<size_t> order(n);
  for (size_t i = 0; i < n; ++i) order[i] = i;
  for (size_t i = n; i > 1; --i) std::swap(order[i - 1], order[random->Below(i)]);
  return order;
}

// How to time one call in one process, found by calibration in its first turn.
struct Plan {
  uint64_t batch = 0;  // 0: not yet calibrated
  uint64_t warmup = 1;
  uint32_t samples = 1;
};

Plan PlanFor(double call_ns, const MeasureOptions& options) {
  Plan plan;
  const double call = std::max(call_ns, 1.0);
  plan.batch = static_cast<uint64_t>(std::max(1.0, std::ceil(options.sample_ns / call)));
  const double sample = call * static_cast<double>(plan.batch);
  plan.warmup = std::max<uint64_t>(1, plan.batch);
  double samples = std::floor(options.turn_ns / sample);
  samples = call > options.turn_ns ? 1 : std::max<double>(samples, options.least_samples);
  plan.samples = static_cast<uint32_t>(std::min<double>(samples, options.most_samples));
  return plan;
}

class Round {
 public:
  Round(const std::vector<Contestant>& contestants, const RegionImage& image,
        const MeasureOptions& options, uint32_t launch, Measurement* into)
      : contestants_(contestants),
        image_(image),
        options_(options),
        launch_(launch),
        into_(into),
        random_(options.seed, "measure/" + options.stream + "/" + std::to_string(launch)) {
    for (size_t i = 0; i < contestants.size(); ++i) {
      if (contestants[i].launches == 0 || launch < contestants[i].launches)
        taking_part_.push_back(i);
    }
    processes_.resize(contestants.size());
    plans_.assign(contestants.size(), std::vector<Plan>(image.calls().size()));
    samples_.resize(contestants.size());
    files_.resize(contestants.size());
  }
  ~Round() {
    for (const std::string& file : files_) {
      if (!file.empty()) unlink(file.c_str());
    }
  }

  // False when it ended early: refusal or cancellation, noted in the measurement.
  Result<bool> Run() {
    for (const size_t i : Shuffled(taking_part_.size(), &random_)) {
      Result<bool> launched = Launch(taking_part_[i]);
      if (!launched.ok() || !*launched) return launched;
    }
    for (uint32_t turn = 0; turn < std::max(options_.turns, 1u); ++turn) {
      for (const size_t i : Shuffled(taking_part_.size(), &random_)) {
        if (options_.cancelled != nullptr && options_.cancelled->load()) {
          into_->cancelled = true;
          return false;
        }
        if (!Time(taking_part_[i])) return false;
      }
    }
    for (const size_t c : taking_part_) {
      for (LaunchSamples& samples : samples_[c]) into_->samples.push_back(std::move(samples));
      if (launch_ != 0) continue;
      Result<std::string> region = processes_[c]->ReadRegion();
      if (!region.ok()) return region.error();
      into_->regions[c] = std::move(*region);
      into_->outputs[c] = processes_[c]->StandardOutput();
      into_->errors[c] = processes_[c]->StandardError();
    }
    return true;
  }

 private:
  // Every process gets a copy of its library that was written just now, in the same way.
  Result<bool> Launch(size_t c) {
    files_[c] =
        options_.folder + "/launch-" + std::to_string(launch_) + "-" + std::to_string(c) + ".so";
    std::ofstream file(files_[c], std::ios::binary);
    file << contestants_[c].library;
    file.close();
    if (!file) return Error{Code::kDiskFull, "cannot write " + files_[c] + "; is the disk full?"};
    RunnerOptions runner;
    runner.library = files_[c];
    runner.symbol = contestants_[c].symbol;
    runner.environment = options_.environment;
    runner.folder = options_.folder;
    runner.core = options_.core;
    runner.limits = options_.limits;
    auto process = RunnerProcess::Start(runner, image_);
    if (!process.ok()) return process.error();
    processes_[c] = std::move(*process);
    into_->pinned = into_->pinned && processes_[c]->pinned();
    const Outcome outcome = processes_[c]->Load(options_.deadline);
    if (!outcome.ok()) return Refuse(c, 0, outcome);
    processes_[c]->Freeze();
    return true;
  }

  bool Refuse(size_t c, size_t call, const Outcome& outcome) {
    into_->refusal = Refusal{
        c, launch_, call, outcome, processes_[c]->StandardOutput(), processes_[c]->StandardError()};
    return false;
  }

  bool Time(size_t c) {
    RunnerProcess& process = *processes_[c];
    std::vector<Plan>& plans = plans_[c];
    if (samples_[c].empty()) samples_[c].resize(plans.size());
    process.Thaw();
    for (const size_t call : Shuffled(plans.size(), &random_)) {
      TimedSamples timed;
      Outcome outcome;
      Plan& plan = plans[call];
      if (plan.batch == 0) outcome = Calibrate(&process, call, &plan);
      if (!outcome.ok()) return Refuse(c, call, outcome);
      outcome = process.Measure(static_cast<uint32_t>(call), plan.warmup, plan.batch, plan.samples,
                                options_.deadline, &timed);
      if (!outcome.ok()) return Refuse(c, call, outcome);
      LaunchSamples& samples = samples_[c][call];
      samples.contestant = c;
      samples.launch = launch_;
      samples.call = call;
      samples.batch = timed.batch;
      samples.ns.insert(samples.ns.end(), timed.ns.begin(), timed.ns.end());
    }
    process.Freeze();
    return true;
  }

  // The first call of a process pays for faults and cold caches, so the length is taken from calls
  // after it.
  Outcome Calibrate(RunnerProcess* process, size_t call, Plan* plan) {
    TimedSamples timed;
    const auto number = static_cast<uint32_t>(call);
    Outcome outcome = process->Measure(number, 0, 1, 1, options_.deadline, &timed);
    if (!outcome.ok()) return outcome;
    double ns = timed.ns.front();
    if (ns < 10 * options_.sample_ns) {  // for longer calls the cold start is a small part
      outcome = process->Measure(number, 0, 1, 2, options_.deadline, &timed);
      if (!outcome.ok()) return outcome;
      ns = *std::min_element(timed.ns.begin(), timed.ns.end());
    }
    if (ns < 0.1 * options_.sample_ns) {  // the clock's own cost counts: time a batch
      const auto batch =
          static_cast<uint64_t>(std::ceil(0.5 * options_.sample_ns / std::max(ns, 50.0)));
      outcome = process->Measure(number, 0, batch, 1, options_.deadline, &timed);
      if (!outcome.ok()) return outcome;
      ns = timed.ns.front();
    }
    *plan = PlanFor(ns, options_);
    if (ns > options_.turn_ns) plan->warmup = 0;  // calibration has just warmed it up
    return {};
  }

  const std::vector<Contestant>& contestants_;
  const RegionImage& image_;
  const MeasureOptions& options_;
  const uint32_t launch_;
  Measurement* into_;
  CounterRandom random_;
  std::vector<size_t> taking_part_;
  std::vector<std::unique_ptr<RunnerProcess>> processes_;
  std::vector<std::vector<Plan>> plans_;
  std::vector<std::vector<LaunchSamples>> samples_;
  std::vector<std::string> files_;
};

}  // namespace

std::vector<double> Measurement::LaunchMedians(size_t contestant, size_t call) const {
  std::vector<double> medians;
  for (const LaunchSamples& launch : samples) {
    if (launch.contestant == contestant && launch.call == call)
      medians.push_back(Median(launch.ns));
  }
  return medians;
}

std::vector<double> Measurement::LogRatios(size_t of, size_t by, size_t call) const {
  const std::vector<double> above = LaunchMedians(of, call);
  const std::vector<double> below = LaunchMedians(by, call);
  std::vector<double> ratios;
  for (size_t i = 0; i < above.size() && i < below.size(); ++i)
    ratios.push_back(std::log(above[i]) - std::log(below[i]));
  return ratios;
}

Result<Measurement> Measure(const std::vector<Contestant>& contestants, const RegionImage& image,
                            const MeasureOptions& options,
                            const std::function<bool(const Measurement&)>& stop) {
  Measurement measurement;
  measurement.regions.resize(contestants.size());
  measurement.outputs.resize(contestants.size());
  measurement.errors.resize(contestants.size());
  for (uint32_t launch = 0; launch < options.rounds; ++launch) {
    Round round(contestants, image, options, launch, &measurement);
    Result<bool> whole = round.Run();
    if (!whole.ok()) return whole.error();
    if (!*whole) break;
    if (stop && launch + 1 < options.rounds && stop(measurement)) {
      measurement.stopped = true;
      break;
    }
  }
  return measurement;
}

}  // namespace kev
