#include "runners/measurement/measure.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "engine/core/random.h"
#include "runners/harness/second_clock.h"
#include "runners/measurement/caches.h"
#include "runners/measurement/core_visit.h"
#include "runners/measurement/timed_process.h"

namespace kev {
namespace {

constexpr uint32_t kWarmUp = 1;  // windows at least; up to kMoreWarmUp further ones, at random
constexpr uint32_t kMoreWarmUp = 2;
constexpr uint64_t kMostArenaBytes = uint64_t{1} << 28;
constexpr uint32_t kMostSlots = 2048;
constexpr uint32_t kLeastSlots = 4;
constexpr uint64_t kMostDeviceArenaBytes = uint64_t{1} << 30;
constexpr uint64_t kDeviceWindowBytes = uint64_t{32} << 20;
constexpr uint32_t kLeastDeviceSlots = 8;

std::vector<size_t> Shuffled(const std::vector<size_t>& items, CounterRandom* random) {
  std::vector<size_t> order = items;
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random->Below(i)]);
  return order;
}

class Round {
 public:
  Round(const std::vector<Contestant>& contestants, Arena* arena, CallValues* values,
        CoreThread* there, const MeasureOptions& options, uint32_t launch, Measurement* into)
      : contestants_(contestants),
        arena_(arena),
        values_(values),
        there_(there),
        options_(options),
        launch_(launch),
        into_(into),
        random_(options.seed, "measure/" + options.stream + "/" + std::to_string(launch)),
        processes_(contestants.size()) {
    for (size_t i = 0; i < contestants.size(); ++i) {
      if (contestants[i].launches == 0 || launch < contestants[i].launches)
        taking_part_.push_back(i);
    }
  }

  // False when it ended early: refusal or cancellation, noted in the measurement.
  Result<bool> Run() {
    Result<bool> whole = RunOnce();
    if (!damaged_) return whole;
    // Somebody wrote outside of its arrays, and several could have: once more, with a look at
    // everything after each turn.
    careful_ = true;
    damaged_ = false;
    return RunOnce();
  }

 private:
  Result<bool> RunOnce() {
    arena_->Wipe(random_.Next());
    for (size_t call = 0; call < arena_->calls().size(); ++call)
      values_->FillConstants(*arena_, call);
    for (const size_t c : Shuffled(taking_part_, &random_)) {
      processes_[c].reset();
      auto launched =
          TimedProcess::Launch(contestants_[c], c, launch_, arena_, values_, there_, options_);
      if (!launched.ok()) return launched.error();
      processes_[c] = std::move(*launched);
    }
    for (const size_t c : Shuffled(taking_part_, &random_)) {
      if (!processes_[c]->Ready()) return Refuse(c);
      if (LeftDamage(c)) return RefuseDamage(c);
    }
    std::vector<size_t> calls(arena_->calls().size());
    for (size_t i = 0; i < calls.size(); ++i) calls[i] = i;
    for (const size_t call : Shuffled(calls, &random_)) {
      Result<bool> timed = TimeCall(call);
      if (!timed.ok() || !*timed) return timed;
    }
    return Finish();
  }

  // All contestants, window by window in turn, until each has what it wants.
  Result<bool> TimeCall(size_t call) {
    std::vector<uint32_t> warm_up(contestants_.size());
    for (const size_t c : taking_part_)
      warm_up[c] = kWarmUp + static_cast<uint32_t>(random_.Below(kMoreWarmUp + 1));
    for (uint32_t turn = 0;; ++turn) {
      bool any = false;
      for (const size_t c : Shuffled(taking_part_, &random_)) {
        if (options_.cancelled != nullptr && options_.cancelled->load()) {
          into_->cancelled = true;
          return false;
        }
        const bool keep = turn >= (processes_[c]->Slow(call) ? 1 : warm_up[c]);
        if (keep && !processes_[c]->Wants(call)) continue;
        any = true;
        if (!processes_[c]->TimeWindow(call, keep)) return Refuse(c);
        if (LeftDamage(c)) return RefuseDamage(c);
      }
      if (!any) return true;
    }
  }

  Result<bool> Refuse(size_t c) {
    const Fault& fault = processes_[c]->fault();
    return fault.canary ? BlameFor(c, fault) : Refuse(c, fault);
  }

  Result<bool> Refuse(size_t c, const Fault& fault) {
    const RunnerProcess& process = processes_[c]->process();
    into_->refusal = Refusal{c,
                             launch_,
                             fault.call,
                             fault.outcome,
                             fault.wrong,
                             process.StandardOutput(),
                             process.StandardError()};
    return false;
  }

  // A canary that c's windows met, or the look at the end, may be any process's doing, as long as
  // not all were looked at after each turn; of those that are trusted it is nobody's.
  Result<bool> BlameFor(size_t c, const Fault& fault) {
    std::vector<size_t> suspects;
    for (const size_t one : taking_part_) {
      if (!contestants_[one].trusted) suspects.push_back(one);
    }
    if (careful_ || suspects.empty()) return Refuse(c, fault);
    if (suspects.size() == 1)
      return c == suspects[0] ? Refuse(c, fault) : RefuseDamage(suspects[0]);
    damaged_ = true;
    return false;
  }

  bool LeftDamage(size_t c) const {
    return careful_ && !contestants_[c].trusted && arena_->AnyBrokenCanary();
  }
  Result<bool> RefuseDamage(size_t c) {
    return Refuse(c, Fault{{Outcome::Kind::kOk, kOutside, kOutside},
                           /*wrong=*/true,
                           /*canary=*/true,
                           /*call=*/0});
  }

  Result<bool> Finish() {
    Conditions& conditions = into_->conditions;
    const auto known = std::find_if(taking_part_.begin(), taking_part_.end(),
                                    [this](size_t c) { return contestants_[c].trusted; });
    const double empty_ns = known == taking_part_.end() ? NAN : processes_[*known]->EmptyWindowNs();
    for (const size_t c : taking_part_) processes_[c]->Finish(empty_ns);
    if (arena_->AnyBrokenCanary()) {
      return BlameFor(taking_part_.front(),
                      Fault{{Outcome::Kind::kOk, kOutside, kOutside}, true, true, 0});
    }
    for (const size_t c : taking_part_) {
      TimedProcess& timed = *processes_[c];
      conditions.clock_ghz.push_back(timed.clock_ghz());
      conditions.run_delay_ns += timed.waited_ns();
      conditions.involuntary_switches += timed.process().watched().InvoluntarySwitches();
      into_->isolation = timed.process().isolation();
      for (LaunchSamples& samples : timed.samples()) {
        for (const TimedWindow& window : samples.windows) {
          ++conditions.windows;
          conditions.disturbed += window.disturbed ? 1 : 0;
        }
        into_->samples.push_back(std::move(samples));
      }
      if (launch_ != 0) continue;
      into_->outputs[c] = timed.process().StandardOutput();
      into_->errors[c] = timed.process().StandardError();
    }
    return true;
  }

  const std::vector<Contestant>& contestants_;
  Arena* arena_;
  CallValues* values_;
  CoreThread* there_;
  const MeasureOptions& options_;
  const uint32_t launch_;
  Measurement* into_;
  CounterRandom random_;
  std::vector<size_t> taking_part_;
  std::vector<std::unique_ptr<TimedProcess>> processes_;
  bool careful_ = false;  // all canaries are looked at after each turn of who is not trusted
  bool damaged_ = false;  // a canary was broken, and it is not known by whom
};

}  // namespace

const char* Name(CacheState state) { return state == CacheState::kWarm ? "warm" : "cold"; }

std::vector<double> Measurement::CallTimes(size_t contestant, size_t call) const {
  std::vector<double> times;
  for (const LaunchSamples& launch : samples) {
    if (launch.contestant == contestant && launch.call == call) times.push_back(launch.call_ns);
  }
  return times;
}

std::vector<double> Measurement::LogRatios(size_t of, size_t by, size_t call) const {
  const std::vector<double> above = CallTimes(of, call);
  const std::vector<double> below = CallTimes(by, call);
  std::vector<double> ratios;
  for (size_t i = 0; i < above.size() && i < below.size(); ++i)
    ratios.push_back(std::log(above[i]) - std::log(below[i]));
  return ratios;
}

std::vector<uint32_t> SlotsFor(const std::vector<CallSpec>& calls, bool on_host) {
  const uint64_t window = on_host ? PrivateCacheBytes() / 4 : kDeviceWindowBytes;
  const uint64_t least = on_host ? kLeastSlots : kLeastDeviceSlots;
  const uint64_t all = on_host ? kMostArenaBytes : kMostDeviceArenaBytes;
  std::vector<uint32_t> slots;
  for (const CallSpec& call : calls) {
    const uint64_t bytes = std::max<uint64_t>(call.slot_bytes(), 64);
    const uint64_t most = std::max<uint64_t>(all / calls.size() / bytes, 2);
    const uint64_t wanted = std::clamp<uint64_t>(2 * window / bytes, least, kMostSlots);
    slots.push_back(static_cast<uint32_t>(std::min(wanted, most)));
  }
  return slots;
}

Result<Measurement> Measure(const std::vector<Contestant>& contestants, Arena* arena,
                            CallValues* values, const MeasureOptions& options,
                            const std::function<bool(const Measurement&)>& stop) {
  Measurement measurement;
  measurement.outputs.resize(contestants.size());
  measurement.errors.resize(contestants.size());
  const CoreAvoidance away(options.core);
  CoreThread there(options.core);
  const CoreCounters before = CoreCounters::Read(options.core);
  const auto begin = RunnerProcess::Clock::now();
  const uint64_t begin_ticks = SecondClock();
  for (uint32_t launch = 0; launch < options.rounds; ++launch) {
    Round round(contestants, arena, values, &there, options, launch, &measurement);
    Result<bool> whole = round.Run();
    if (!whole.ok()) return whole.error();
    if (!*whole) break;
    if (stop && launch + 1 < options.rounds && stop(measurement)) {
      measurement.stopped = true;
      break;
    }
  }
  const std::chrono::duration<double, std::nano> all = RunnerProcess::Clock::now() - begin;
  measurement.ticks_per_ns = static_cast<double>(SecondClock() - begin_ticks) / all.count();
  const CoreCounters after = CoreCounters::Read(options.core);
  measurement.conditions.wall_ms = after.wall_ms - before.wall_ms;
  measurement.conditions.steal_ms = after.steal_ms - before.steal_ms;
  measurement.conditions.others_ms = after.others_ms - before.others_ms;
  return measurement;
}

}  // namespace kev
