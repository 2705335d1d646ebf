#include "stages/profile/hardware_counts.h"

#include <algorithm>
#include <fstream>
#include <numeric>
#include <vector>

#include "engine/core/random.h"

namespace kev {
namespace {

constexpr uint32_t kMostCalls = 64;
constexpr std::chrono::seconds kDeadline{10};

Error Why(const Outcome& outcome) { return Error{Code::kInvalid, "the kernel " + outcome.message}; }

CounterValues Difference(const CounterValues& after, const CounterValues& before) {
  return {after.instructions - before.instructions, after.cycles - before.cycles,
          after.cache_misses - before.cache_misses, after.branch_misses - before.branch_misses,
          after.coverage};
}

}  // namespace

Result<HardwareCounts> CountByHardware(const Contestant& kernel, const TimedSet& set, size_t call,
                                       RunnerOptions runner, const std::string& folder) {
  if (const std::string reason = NoCountersBecause(); !reason.empty())
    return Error{Code::kUnavailable, reason};
  runner.library = folder + "/counted.so";
  runner.symbol = kernel.symbol;
  runner.patient = true;
  std::ofstream file(runner.library, std::ios::binary);
  file << kernel.library;
  file.close();
  if (!file) return Error{Code::kDiskFull, "cannot write " + runner.library};
  auto process = RunnerProcess::Start(runner, *set.arena);
  if (!process.ok()) return process.error();
  const auto number = static_cast<uint32_t>(call);
  std::vector<uint16_t> slots(std::min(set.arena->slots(call), kMostCalls));
  std::iota(slots.begin(), slots.end(), uint16_t{0});
  const auto fill = [&](uint64_t round) {
    for (const uint16_t slot : slots)
      set.values->Fill(*set.arena, call, {slot, Mix64(round << 32 | slot), slot});
  };
  OrderTimes times;
  Outcome outcome = (*process)->Prepare();
  if (outcome.ok()) outcome = (*process)->Load(kDeadline);
  set.values->FillConstants(*set.arena, call);
  if (outcome.ok() && !runner.setup.empty()) outcome = (*process)->SetUp(number, kDeadline, &times);
  fill(1);
  if (outcome.ok()) outcome = (*process)->Call(number, slots, kDeadline, &times);
  if (outcome.ok()) outcome = (*process)->Freeze();
  if (!outcome.ok()) return Why(outcome);
  const Result<PerfCounters> counters = PerfCounters::Open((*process)->pid());
  if (!counters.ok()) return counters.error();
  fill(2);
  const Result<CounterValues> before = counters->Read();
  outcome = (*process)->Call(number, slots, kDeadline, &times);
  if (outcome.ok()) outcome = (*process)->Freeze();
  if (!outcome.ok()) return Why(outcome);
  const Result<CounterValues> after = counters->Read();
  if (!before.ok()) return before.error();
  if (!after.ok()) return after.error();
  return HardwareCounts{Difference(*after, *before), static_cast<uint32_t>(slots.size())};
}

}  // namespace kev
