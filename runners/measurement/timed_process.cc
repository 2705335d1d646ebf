#include "runners/measurement/timed_process.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "runners/measurement/caches.h"
#include "runners/measurement/core_visit.h"
#include "runners/statistics/statistics.h"

namespace kev {
namespace {

constexpr uint32_t kSightings = 16;  // elements looked at when an answer is seen
constexpr double kMostLateNs = 500;  // longer: the judge was not looking
constexpr uint32_t kFirstLooks = 2;  // windows in which calls are checked in full in any case
constexpr double kWarmUpNs = 100e3;  // of calls before the values of a window are laid out
constexpr double kSlowCallNs = 5e6;
// Of windows that are shorter more are taken: what being let go on takes differs by a microsecond.
constexpr double kShortWindowNs = 100e3;
constexpr size_t kRetakes = 3;  // windows for each that is wanted, where others are disturbed
constexpr size_t kDrawsAtOnce = 512;
constexpr int kEmptyOrders = 25;        // to measure what the harness costs
constexpr int kThawedOrders = 9;        // the same of orders to a process that is stopped
constexpr uint32_t kEmptyWindows = 4;   // of each call in a trusted process
constexpr size_t kLeastEmpty = 3;       // fewer say nothing
constexpr uint32_t kEmptyCalls = 1024;  // at most, in one order
constexpr int kCopyOrders = 5;
constexpr uint64_t kCopyBytes = 1 << 20;  // in one order

// Of what can only be held up, never be too quick.
double LowerQuartile(std::vector<double> values) {
  const auto at = values.begin() + static_cast<ptrdiff_t>(values.size() / 4);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace

Result<std::unique_ptr<TimedProcess>> TimedProcess::Launch(const Contestant& contestant,
                                                           size_t number, uint32_t launch,
                                                           Arena* arena, CallValues* values,
                                                           CoreThread* there,
                                                           const MeasureOptions& options) {
  std::unique_ptr<TimedProcess> made(
      new TimedProcess(contestant, number, launch, arena, values, there, options));
  // Every process gets a copy of its library that was written just now, in the same way.
  std::ofstream file(made->file_, std::ios::binary);
  file << contestant.library;
  file.close();
  if (!file) return Error{Code::kDiskFull, "cannot write " + made->file_ + "; is the disk full?"};
  RunnerOptions runner = options.runner;
  runner.library = made->file_;
  runner.symbol = contestant.symbol;
  runner.device = contestant.device;
  runner.core = options.core;
  auto process = RunnerProcess::Start(runner, *arena);
  if (!process.ok()) return process.error();
  made->process_ = std::move(*process);
  made->process_->GiveOrdersBy(
      [there](std::function<void()> give) { there->Post(std::move(give)); });
  return made;
}

TimedProcess::TimedProcess(const Contestant& contestant, size_t number, uint32_t launch,
                           Arena* arena, CallValues* values, CoreThread* there,
                           const MeasureOptions& options)
    : options_(options),
      contestant_(contestant),
      arena_(arena),
      values_(values),
      there_(there),
      random_(options.seed, "measure/" + options.stream + "/" + std::to_string(launch) + "/" +
                                std::to_string(number)),
      file_(options.folder + "/launch-" + std::to_string(launch) + "-" + std::to_string(number) +
            ".so"),
      paces_(arena->calls().size()),
      samples_(arena->calls().size()),
      next_turn_(random_.Next()) {
  for (size_t call = 0; call < samples_.size(); ++call) {
    samples_[call].contestant = number;
    samples_[call].launch = launch;
    samples_[call].call = call;
  }
}

TimedProcess::~TimedProcess() {
  there_->Wait();
  process_.reset();
  unlink(file_.c_str());
}

bool TimedProcess::Fail(const Outcome& outcome, size_t call, bool wrong) {
  fault_ = {outcome, wrong, /*canary=*/false, call};
  return false;
}

bool TimedProcess::Ready() {
  if (Outcome outcome = process_->Prepare(); !outcome.ok()) return Fail(outcome, 0);
  if (Outcome outcome = process_->MeasureClock(&clock_ghz_); !outcome.ok()) return Fail(outcome, 0);
  if (!MeasureHarness()) return false;
  if (Outcome outcome = process_->Load(options_.deadline); !outcome.ok()) return Fail(outcome, 0);
  return SetUpAll() && Freeze(0);
}

// Before foreign code is in the process, so that nobody can make it seem dearer than it is.
bool TimedProcess::MeasureHarness() {
  for (size_t call = 0; call < paces_.size(); ++call) {
    const auto number = static_cast<uint32_t>(call);
    DrawSlots(call, std::min(kEmptyCalls, arena_->slots(call)));
    std::vector<double> orders, calls;
    OrderTimes times;
    for (int i = 0; i < kEmptyOrders; ++i) {
      if (Outcome outcome = process_->CallNothing(number, {}, &times); !outcome.ok())
        return Fail(outcome, call);
      orders.push_back(times.ns);
      if (i % 3 != 0) continue;
      if (Outcome outcome = process_->CallNothing(number, slots_, &times); !outcome.ok())
        return Fail(outcome, call);
      calls.push_back(times.ns);
    }
    const double order = LowerQuartile(orders);
    double from_thaw = order;
    if (contestant_.device.on_host()) {
      std::vector<double> thawed;
      for (int i = 0; i < kThawedOrders; ++i) {
        if (!Freeze(call)) return false;
        if (Outcome outcome = process_->CallNothing(number, {}, &times); !outcome.ok())
          return Fail(outcome, call);
        thawed.push_back(times.ns);
      }
      from_thaw = LowerQuartile(thawed);
    }
    const auto each = [order](double ns, size_t count) {
      return std::max(ns - order, 0.0) / static_cast<double>(count);
    };
    samples_[call].harness = {from_thaw, each(LowerQuartile(calls), slots_.size())};
    if (!contestant_.trusted) continue;  // one of each launch is enough
    const uint64_t slot_bytes = std::max<uint64_t>(arena_->calls()[call].slot_bytes(), 1);
    const auto some = std::clamp<uint64_t>(kCopyBytes / slot_bytes, 1, slots_.size());
    std::vector<double> copies;
    for (int i = 0; i < kCopyOrders; ++i) {
      Outcome outcome =
          process_->Copy(number, std::span<const uint16_t>(slots_).first(some), &times);
      if (!outcome.ok()) return Fail(outcome, call);
      copies.push_back(times.ns);
    }
    samples_[call].copy_ns = each(Median(copies), some);
  }
  return true;
}

bool TimedProcess::SetUpAll() {
  if (options_.runner.setup.empty()) return true;
  for (size_t call = 0; call < paces_.size(); ++call) {
    OrderTimes times;
    Outcome outcome = process_->SetUp(static_cast<uint32_t>(call), options_.deadline, &times);
    if (!outcome.ok()) return Fail(outcome, call);
    samples_[call].setup_ns = times.ns;
  }
  return true;
}

bool TimedProcess::Slow(size_t call) const { return paces_[call].call_ns > kSlowCallNs; }

// Windows that were disturbed are taken again, within limits.
bool TimedProcess::Wants(size_t call) const {
  const size_t kept = samples_[call].windows.size();
  const uint32_t good = paces_[call].undisturbed;
  if (LacksEmpty(call) && kept < kRetakes * options_.most_windows) return true;
  if (good < options_.least_windows) return kept < kRetakes * options_.least_windows;
  if (good >= options_.windows && paces_[call].spent_ns >= options_.windows * kShortWindowNs)
    return false;
  return good < options_.most_windows && kept < kRetakes * options_.most_windows &&
         paces_[call].spent_ns < options_.turn_ns;
}

// Who is trusted tells what a window takes without calls.
bool TimedProcess::LacksEmpty(size_t call) const {
  return contestant_.trusted && contestant_.device.on_host() && paces_[call].empty < kEmptyWindows;
}

// Windows of random length, now and then without a call: how they grow is looked at.
uint32_t TimedProcess::CallsFor(size_t call) {
  const Pace& pace = paces_[call];
  if (!contestant_.called) return 0;
  if (pace.call_ns <= 0) return 1;
  const uint32_t most = std::max(arena_->slots(call) / 2, 1u);
  const double wanted = std::max(1.0, options_.window_ns / pace.call_ns);
  const auto full = static_cast<uint32_t>(std::min<double>(most, wanted));
  if (LacksEmpty(call) && (pace.undisturbed >= options_.windows || random_.Below(3) == 0)) return 0;
  if (random_.Below(12) == 0) return 0;
  return full - static_cast<uint32_t>(random_.Below(full / 2 + 1));
}

void TimedProcess::DrawSlots(size_t call, uint32_t count) {
  const uint32_t all = arena_->slots(call);
  std::vector<uint16_t> order(all);
  for (uint32_t i = 0; i < all; ++i) order[i] = static_cast<uint16_t>(i);
  for (uint32_t i = 0; i < count; ++i) std::swap(order[i], order[i + random_.Below(all - i)]);
  order.resize(count);
  slots_ = std::move(order);
}

// Whoever could foresee a draw could do its work in time that is not counted.
DrawnCall TimedProcess::Draw(uint16_t slot) {
  if (draws_.empty()) {
    draws_.resize(kDrawsAtOnce);
    char* to = reinterpret_cast<char*>(draws_.data());
    for (size_t left = draws_.size() * sizeof(uint64_t); left > 0;) {
      const ssize_t got = getrandom(to, left, 0);
      if (got < 0) continue;  // interrupted
      to += got;
      left -= static_cast<size_t>(got);
    }
  }
  const uint64_t draw = draws_.back();
  draws_.pop_back();
  return {slot, draw, next_turn_++};
}

// On the host the order is there before the process is let go on, and its time begins then: values
// that can be read before the clock is started are worked on before it is started.
bool TimedProcess::TimeWindow(size_t call, bool keep) {
  const uint32_t count = CallsFor(call);
  if (!WarmUp(call)) return false;
  there_->Run([&] { LayOut(call, count); });
  OrderTimes called;
  const double waited_before = process_->watched().LeaderTimes().waiting_ns;
  sightings_.clear();
  const Outcome outcome = process_->Call(static_cast<uint32_t>(call), slots_, options_.deadline,
                                         &called, [&] { Sight(call); });
  if (!outcome.ok()) return Fail(outcome, call);
  if (!Freeze(call)) return false;
  waited_ns_ += process_->watched().LeaderTimes().waiting_ns - waited_before;
  Pace& pace = paces_[call];
  ++pace.seen;
  if (!Judge(call, IsLookedAt(call))) return false;
  if (count > 0) {
    pace.call_ns = std::max(called.ns - samples_[call].harness.order_ns, 1.0) / count;
    pace.last_slots = slots_;
  }
  if (!keep) return true;
  TimedWindow window;
  window.calls = count;
  window.ns = called.ns;
  window.ticks = static_cast<double>(called.ticks);
  window.disturbed = called.late_ns > std::max(kMostLateNs, 0.01 * called.ns);
  samples_[call].windows.push_back(window);
  if (window.disturbed) return true;
  ++(count == 0 ? pace.empty : pace.undisturbed);
  pace.spent_ns += called.ns;
  return true;
}

// Who is trusted, once; others so often that no window is safe for a cheat.
bool TimedProcess::IsLookedAt(size_t call) {
  const uint32_t seen = paces_[call].seen;
  return contestant_.trusted ? seen == 1
                             : seen <= kFirstLooks || random_.Below(options_.look_every) == 0;
}

// Calls the function on the slots of its last window, untimed: its code, its branches and the
// core's vector units are as they are between calls, not as they are after another process.
bool TimedProcess::WarmUp(size_t call) {
  const std::vector<uint16_t>& slots = paces_[call].last_slots;
  if (slots.empty() || paces_[call].call_ns > 2 * kWarmUpNs) return true;
  const double least = std::ceil(kWarmUpNs / std::max(paces_[call].call_ns, 1.0));
  const auto count =
      static_cast<size_t>(std::clamp<double>(least, 1, static_cast<double>(slots.size())));
  // What a call changes, another may have left in any state.
  const std::vector<CallArgument>& arguments = arena_->calls()[call].arguments;
  if (std::any_of(arguments.begin(), arguments.end(),
                  [](const CallArgument& a) { return a.input() && a.output(); })) {
    for (size_t i = 0; i < count; ++i) values_->Fill(*arena_, call, Draw(slots[i]));
  }
  OrderTimes times;
  Outcome outcome =
      process_->Call(static_cast<uint32_t>(call), std::span<const uint16_t>(slots).first(count),
                     options_.deadline, &times);
  return outcome.ok() ? Freeze(call) : Fail(outcome, call);
}

bool TimedProcess::Freeze(size_t call) {
  const Outcome outcome = process_->Freeze();
  return outcome.ok() || Fail(outcome, call);
}

// Draws slots and fills them, on the core where they will be used, so that they lie in its caches;
// or flushes them from all.
void TimedProcess::LayOut(size_t call, uint32_t count) {
  DrawSlots(call, count);
  drawn_.clear();
  for (const uint16_t slot : slots_) {
    drawn_.push_back(Draw(slot));
    values_->Fill(*arena_, call, drawn_.back());
  }
  const std::vector<CallArgument>& arguments = arena_->calls()[call].arguments;
  for (const uint16_t slot : slots_) {
    for (size_t a = 0; a < arguments.size(); ++a) {
      const char* at = arena_->Array(call, slot, a);
      if (at == nullptr) continue;
      if (options_.cache == CacheState::kCold) {
        FlushFromCaches(at, arguments[a].bytes());
      } else {
        ReadIntoCaches(at, arguments[a].bytes());
      }
    }
  }
}

// Copies a few elements of the outputs at once, in random order, before the process is stopped:
// when one of them is another afterwards, work was done after the answer.
void TimedProcess::Sight(size_t call) {
  const std::vector<CallArgument>& arguments = arena_->calls()[call].arguments;
  for (uint32_t i = 0; i < kSightings && !slots_.empty(); ++i) {
    Sighting seen;
    // Half of them in the last slot, where deferred work would be.
    seen.at = static_cast<uint32_t>(i % 2 == 0 ? slots_.size() - 1 : random_.Below(slots_.size()));
    seen.argument = random_.Below(arguments.size());
    const CallArgument& argument = arguments[seen.argument];
    if (!argument.output() || argument.count == 0 || argument.element_bytes > sizeof(seen.bytes))
      continue;
    seen.element = random_.Below(argument.count);
    std::memcpy(
        seen.bytes,
        arena_->Array(call, slots_[seen.at], seen.argument) + seen.element * argument.element_bytes,
        argument.element_bytes);
    sightings_.push_back(seen);
  }
}

// What the answer left. A look is at a few calls, in full; no kernel knows which.
bool TimedProcess::Judge(size_t call, bool look) {
  bool early = false;
  for (const Sighting& seen : sightings_) {
    const uint32_t bytes = arena_->calls()[call].arguments[seen.argument].element_bytes;
    const char* now = arena_->Array(call, slots_[seen.at], seen.argument) + seen.element * bytes;
    if (std::memcmp(seen.bytes, now, bytes) != 0) early = true;
  }
  std::vector<DrawnCall> checked;
  for (const DrawnCall& drawn : drawn_) {
    if (std::string broken = arena_->BrokenCanary(call, drawn.slot); !broken.empty()) {
      fault_ = {
          {Outcome::Kind::kOk, "it " + broken, kOutside}, /*wrong=*/true, /*canary=*/true, call};
      return false;
    }
    if (checked.empty() && values_->SeemsUnwritten(*arena_, call, drawn)) checked.push_back(drawn);
  }
  if ((look || early) && !drawn_.empty()) {
    // The last one, where deferred work would be, and others at random.
    const size_t more = std::min(values_->ChecksAtOnce(call), drawn_.size());
    checked.push_back(drawn_.back());
    for (size_t i = 1; i < more; ++i) checked.push_back(drawn_[random_.Below(drawn_.size())]);
  }
  if (!checked.empty() && !CheckCalls(call, checked)) return false;
  if (!early) return true;
  return Fail(Cheated("finished its work after it had said that it was done"), call);
}

bool TimedProcess::CheckCalls(size_t call, const std::vector<DrawnCall>& drawn) {
  Result<std::string> fault = values_->Check(*arena_, call, drawn);
  if (!fault.ok()) return Fail({Outcome::Kind::kBroken, fault.error().message}, call);
  return fault->empty() || Fail({Outcome::Kind::kOk, *fault}, call, true);
}

// Of all calls: it is the same for each, and few windows are without calls.
double TimedProcess::EmptyWindowNs() const {
  std::vector<double> empty;
  for (const LaunchSamples& samples : samples_) {
    for (const TimedWindow& window : samples.windows) {
      if (window.calls == 0 && !window.disturbed) empty.push_back(window.ns);
    }
  }
  return empty.size() >= kLeastEmpty ? LowerQuartile(empty) : NAN;
}

void TimedProcess::Finish(double empty_ns) {
  for (LaunchSamples& samples : samples_) {
    std::vector<Window> windows;
    for (const TimedWindow& window : samples.windows) {
      if (!window.disturbed) windows.push_back({static_cast<double>(window.calls), window.ns});
    }
    const CallTime line = EstimateCallTime(windows);
    samples.growth = line.growth;
    samples.overhead_ns = line.overhead_ns;
    // On a busy machine it may be too much; of no window can be taken off more than it took.
    if (contestant_.device.on_host()) {
      if (!std::isnan(empty_ns)) samples.harness.order_ns = empty_ns;
      for (const TimedWindow& window : samples.windows) {
        if (window.calls > 0)
          samples.harness.order_ns = std::min(samples.harness.order_ns, window.ns);
      }
    }
    samples.call_ns = CallTimeOf(samples.windows, samples.harness);
  }
}

}  // namespace kev
