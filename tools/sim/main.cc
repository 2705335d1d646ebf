// kevolve-sim: runs seeds of the simulation and says what they found.
#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tools/live/exit_code.h"
#include "tools/sim/simulation.h"

namespace {

using kev::sim::SimulationOptions;
using kev::sim::SimulationOutcome;
using kev::sim::Tally;

constexpr const char* kUsage =
    "usage: kevolve-sim --seeds A..B [options]\n"
    "  Runs the engine, its queue and its store in virtual time, each seed with faults of its "
    "own,\n"
    "  and checks after each step that nothing was lost, done twice or sent too early.\n"
    "  --seeds A..B  the seeds, both included; --seeds A for one\n"
    "  --steps N     steps of trouble in each before the calm in which every run must end (1500)\n"
    "  --jobs P      seeds at a time (as many as there are cores)\n"
    "  --verbose     print what happens in each seed\n"
    "The last line is one JSON object. Status 1: a rule was violated; the line before says how to\n"
    "see it again.\n";

struct Options {
  uint64_t first = 0, last = 0;
  uint64_t steps = SimulationOptions().steps;
  uint64_t jobs = std::max(1u, std::thread::hardware_concurrency());
  bool verbose = false;
};

bool ParseNumber(std::string_view text, uint64_t* out) {
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && at == text.data() + text.size();
}

bool ParseSeeds(std::string_view text, Options* o) {
  const size_t dots = text.find("..");
  const std::string_view last = dots == std::string_view::npos ? text : text.substr(dots + 2);
  return ParseNumber(text.substr(0, dots), &o->first) && ParseNumber(last, &o->last) &&
         o->first <= o->last && o->last < UINT64_MAX;
}

// False: it has said what it cannot take.
bool Parse(int argc, char** argv, Options* o) {
  bool seeds = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--verbose") {
      o->verbose = true;
      continue;
    }
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    const bool takes = word == "--seeds" || word == "--steps" || word == "--jobs";
    bool good = false;
    if (word == "--seeds") good = seeds = ParseSeeds(value, o);
    if (word == "--steps") good = ParseNumber(value, &o->steps);
    if (word == "--jobs") good = ParseNumber(value, &o->jobs) && o->jobs > 0 && o->jobs <= 1024;
    if (!good) {
      std::cerr << "kevolve-sim: cannot take '" << word << (takes ? " " + value : "") << "'\n"
                << kUsage;
      return false;
    }
    ++i;
  }
  if (!seeds) std::cerr << "kevolve-sim: --seeds is missing\n" << kUsage;
  return seeds;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && (std::string(argv[1]) == "--help" || std::string(argv[1]) == "-h")) {
    std::cout << kUsage;
    return kev::kExitDone;
  }
  Options o;
  if (!Parse(argc, argv, &o)) return kev::kExitBadInput;
  const auto begin = std::chrono::steady_clock::now();
  std::atomic<uint64_t> next{o.first};
  std::mutex mutex;  // of what follows, and of the output
  Tally all;
  uint64_t violations = 0, seeds = 0;
  const auto work = [&] {
    for (uint64_t seed = next++; seed <= o.last; seed = next++) {
      SimulationOptions options;
      options.seed = seed;
      options.steps = o.steps;
      if (o.verbose) options.listener = &std::cout;
      const SimulationOutcome outcome = kev::sim::Simulate(options);
      const std::lock_guard lock(mutex);
      ++seeds;
      all.Add(outcome.tally);
      if (!outcome.violation) continue;
      ++violations;
      std::cout << "seed " << seed << ": " << *outcome.violation
                << "\nreproduce with: kevolve-sim --seeds " << seed << ".." << seed;
      if (o.steps != SimulationOptions().steps) std::cout << " --steps " << o.steps;
      std::cout << " --verbose" << std::endl;
    }
  };
  // Traces must not be mixed.
  const uint64_t wanted = std::min(o.verbose ? 1 : o.jobs, o.last - o.first + 1);
  std::vector<std::thread> threads;
  for (uint64_t i = 1; i < wanted; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();

  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::string crashes;
  for (size_t i = 0; i < all.crashes.size(); ++i)
    crashes += (i == 0 ? "" : ",") + std::to_string(all.crashes[i]);
  std::printf(
      "{\"seeds\":%llu,\"violations\":%llu,\"steps\":%llu,\"restarts\":%llu,\"takeovers\":%llu,"
      "\"store_losses\":%llu,\"lost_tails\":%llu,\"cuts\":%llu,\"worker_deaths\":%llu,"
      "\"lies\":%llu,\"orders\":%llu,\"crash_points\":[%s],\"jobs\":%llu,\"virtual_hours\":%.2f,"
      "\"seconds\":%.1f}\n",
      static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(violations),
      static_cast<unsigned long long>(all.steps), static_cast<unsigned long long>(all.restarts),
      static_cast<unsigned long long>(all.takeovers),
      static_cast<unsigned long long>(all.store_losses),
      static_cast<unsigned long long>(all.lost_tails), static_cast<unsigned long long>(all.cuts),
      static_cast<unsigned long long>(all.worker_deaths), static_cast<unsigned long long>(all.lies),
      static_cast<unsigned long long>(all.orders), crashes.c_str(),
      static_cast<unsigned long long>(all.jobs), static_cast<double>(all.virtual_ms) / 3'600'000,
      seconds);
  return violations == 0 ? kev::kExitDone : 1;
}
