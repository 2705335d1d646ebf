// kevolve-bench: benchmarks of kevolve itself. Each prints figures; none is a test.
#include <charconv>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <string>

#include "stages/sdk/arguments.h"
#include "tools/bench/engine.h"
#include "tools/bench/frame.h"
#include "tools/bench/growth.h"
#include "tools/bench/judge.h"
#include "tools/bench/steady.h"
#include "tools/live/exit_code.h"

namespace {

constexpr const char* kUsage =
    "usage: kevolve-bench BENCHMARK [options] [--json]\n"
    "  engine   no-op jobs per second through the durable queue, and the latency of one\n"
    "           [--durability strict|normal|fast] [--workers N] [--jobs N] [--credit N]\n"
    "  frame    candidates per second through all five steps with null stages and records\n"
    "           [--candidates N] [--in-flight N] [--durability strict|normal|fast]\n"
    "  restart  from the start of an engine to its first hand-out, with jobs outstanding\n"
    "           [--jobs N] [--durability strict|normal|fast]\n"
    "  growth   what a candidate costs as their number grows, in time and memory\n"
    "           [--candidates N, 100000 at least] [--durability strict|normal|fast]\n"
    "  steady   whether memory stays flat over a long stream of no-op jobs\n"
    "           [--jobs N] [--workers N] [--durability strict|normal|fast]\n"
    "  death    how soon a killed and a stopped worker are noticed\n"
    "  judge    what judging one kernel costs: smoke check, screening, final measurement\n"
    "           [--task SHIPPED|FOLDER] [--target NAME] [--kernels N] [--launches N]\n"
    "All but judge use real Redis, real ZeroMQ and real worker processes. With --json the last "
    "line\n"
    "is one object.\n";

bool ParseCount(const std::string& text, uint64_t* out) {
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, *out);
  return error == std::errc() && at == end && *out > 0;
}

// Options of one benchmark by name; each says whether it takes the value.
using Options = std::map<std::string, std::function<bool(const std::string&)>>;

std::function<bool(const std::string&)> Count(uint64_t* out) {
  return [out](const std::string& text) { return ParseCount(text, out); };
}
std::function<bool(const std::string&)> Count(uint32_t* out) {
  return [out](const std::string& text) {
    uint64_t value = 0;
    if (!ParseCount(text, &value) || value > UINT32_MAX) return false;
    *out = static_cast<uint32_t>(value);
    return true;
  };
}
std::function<bool(const std::string&)> Class(std::string* out) {
  return [out](const std::string& text) {
    *out = text;
    return text == "strict" || text == "normal" || text == "fast";
  };
}

bool Parse(int argc, char** argv, const Options& options, bool* json) {
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--json") {
      *json = true;
      continue;
    }
    const auto option = options.find(word);
    if (option == options.end() || i + 1 >= argc || !option->second(argv[i + 1])) {
      std::cerr << "kevolve-bench: cannot take '" << word
                << (option != options.end() && i + 1 < argc ? std::string(" ") + argv[i + 1] : "")
                << "'\n"
                << kUsage;
      return false;
    }
    ++i;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string which = argc >= 2 ? argv[1] : "";
  if (which == "--help" || which == "-h") {
    std::cout << kUsage;
    return kev::kExitDone;
  }
  if (which == "frame") {
    kev::FrameOptions o;
    const Options options = {{"--candidates", Count(&o.candidates)},
                             {"--in-flight", Count(&o.in_flight)},
                             {"--durability", Class(&o.durability)}};
    return Parse(argc, argv, options, &o.json) ? kev::FrameBenchmark(o) : kev::kExitBadInput;
  }
  if (which == "engine") {
    kev::EngineBenchOptions o;
    const auto credit = [&o](const std::string& text) {
      return Count(&o.credit)(text) && o.credit <= kev::kMostPrefetch;
    };
    const Options options = {{"--durability", Class(&o.durability)},
                             {"--workers", Count(&o.workers)},
                             {"--jobs", Count(&o.jobs)},
                             {"--credit", credit}};
    return Parse(argc, argv, options, &o.json) ? kev::EngineBenchmark(o) : kev::kExitBadInput;
  }
  if (which == "restart") {
    kev::RestartBenchOptions o;
    const Options options = {{"--durability", Class(&o.durability)}, {"--jobs", Count(&o.jobs)}};
    return Parse(argc, argv, options, &o.json) ? kev::RestartBenchmark(o) : kev::kExitBadInput;
  }
  if (which == "growth") {
    kev::GrowthOptions o;
    const Options options = {{"--durability", Class(&o.durability)},
                             {"--candidates", Count(&o.candidates)}};
    return Parse(argc, argv, options, &o.json) ? kev::GrowthBenchmark(o) : kev::kExitBadInput;
  }
  if (which == "steady") {
    kev::SteadyOptions o;
    const Options options = {{"--durability", Class(&o.durability)},
                             {"--workers", Count(&o.workers)},
                             {"--jobs", Count(&o.jobs)}};
    return Parse(argc, argv, options, &o.json) ? kev::SteadyBenchmark(o) : kev::kExitBadInput;
  }
  if (which == "judge") {
    kev::JudgeBenchOptions o;
    const auto text = [](std::string* out) {
      return [out](const std::string& word) { return !(*out = word).empty(); };
    };
    const Options options = {{"--task", text(&o.task)},
                             {"--target", text(&o.target)},
                             {"--kernels", Count(&o.kernels)},
                             {"--launches", Count(&o.launches)}};
    return Parse(argc, argv, options, &o.json) ? kev::JudgeBenchmark(o) : kev::kExitBadInput;
  }
  if (which == "death") {
    bool json = false;
    return Parse(argc, argv, {}, &json) ? kev::DeathBenchmark(json) : kev::kExitBadInput;
  }
  std::cerr << "kevolve-bench: "
            << (which.empty() ? "which benchmark?" : "there is no benchmark '" + which + "'")
            << "\n"
            << kUsage;
  return kev::kExitBadInput;
}
