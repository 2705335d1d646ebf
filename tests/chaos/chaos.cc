// chaos: runs under fire, round by round, until as many rounds as asked for are over; then compares
// what the workers noted with what the engine's log says. Ends with one JSON line; status 1 when
// anything was lost, counted twice, or did not go on, and then keeps the folder.
//
// usage: kevolve-chaos --rounds N [--seed S] [--durability D] [--candidates N] [--folder DIR]
// [--keep]
// [--verbose]
#include <signal.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "engine/core/random.h"
#include "tests/chaos/checker.h"
#include "tests/chaos/history.h"
#include "tests/chaos/schedule.h"
#include "tests/chaos/site.h"
#include "tests/chaos/small_disk.h"
#include "tests/chaos/storm.h"

namespace kev::chaos {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kSmallDiskBytes = 384ull << 20;
constexpr std::initializer_list<uint32_t> kSteps = {1, 2, 3};  // of null.yaml: build, check, time
constexpr uint64_t kBudgets[] = {400, 1200, 1200, 3000};

struct Options {
  uint64_t rounds = 0;
  uint64_t seed = 1;
  std::string durability = "strict";
  uint64_t candidates = 0;  // 0: drawn
  std::string folder;
  bool keep = false;
  bool verbose = false;
};

struct Totals {
  Counts counts;
  Findings findings;
  uint64_t runs = 0;
  uint64_t engine_starts = 0;
  uint64_t forgiven = 0;
};

std::string FromEnvironment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : value;
}

bool Parse(int argc, char** argv, Options* out) {
  const auto number = [](const std::string& text, uint64_t* value) {
    const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
    return error == std::errc() && at == text.data() + text.size();
  };
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--keep" || word == "--verbose") {
      (word == "--keep" ? out->keep : out->verbose) = true;
      continue;
    }
    if (i + 1 == argc) return false;
    const std::string value = argv[++i];
    if (word == "--rounds"       ? number(value, &out->rounds)
        : word == "--seed"       ? number(value, &out->seed)
        : word == "--candidates" ? number(value, &out->candidates)
                                 : false)
      continue;
    if (word == "--durability" && (value == "strict" || value == "normal" || value == "fast"))
      out->durability = value;
    else if (word == "--folder")
      out->folder = value;
    else
      return false;
  }
  return out->rounds > 0;
}

void Say(const std::string& text) { std::fprintf(stderr, "chaos: %s\n", text.c_str()); }

// One run from its beginning to its end, with rounds while there are any left.
class Siege {
 public:
  Siege(const Options& options, Totals* totals, SmallDisk* disk)
      : options_(options), totals_(totals), disk_(disk) {}

  Status Make() {
    const std::string number = std::to_string(++totals_->runs);
    CounterRandom random(options_.seed, "run " + number);
    // Every other run lies on the disk that may be filled.
    const bool small = disk_ != nullptr && totals_->runs % 2 == 0;
    SiteOptions site;
    site.bin = FromEnvironment("KEVOLVE_BUILD_BIN", "build/bin");
    site.home = options_.folder + (small ? "/small" : "/home");
    site.notes = options_.folder + "/notes-" + number;
    site.workflow = FromEnvironment("KEVOLVE_SOURCE_DIR", ".") + "/tests/chaos/null.yaml";
    site.durability = options_.durability;
    site.candidates = options_.candidates != 0 ? options_.candidates : kBudgets[random.Below(4)];
    site.seed = random.Below(1u << 30);
    // Every other run is compacted as it goes.
    site.snapshot_every = totals_->runs % 2 == 0 ? 0 : 50 + random.Below(500);
    fs::create_directories(site.home);
    fs::create_directories(site.notes);
    Site besieged(site);
    const Status status = Besiege(&besieged, small);
    totals_->engine_starts += besieged.engine_starts();
    totals_->forgiven += besieged.forgiven();
    if (!status.ok()) return Error{status.error().code, Named(besieged, status.error().message)};
    if (!options_.keep) {
      std::error_code ignored;
      fs::remove_all(besieged.RunFolder(), ignored);
      fs::remove_all(site.notes, ignored);
    }
    return {};
  }

 private:
  static std::string Named(const Site& site, const std::string& text) {
    return "run " + site.run() + " (" + site.options().notes + "): " + text;
  }

  Status Besiege(Site* site, bool small) {
    if (Status s = site->Begin(); !s.ok()) return s;
    Storm storm(site, small ? disk_ : nullptr, &totals_->counts);
    const Possible possible{small, options_.durability == "strict"};
    while (!site->Complete() && totals_->counts.rounds < options_.rounds) {
      const uint64_t round = totals_->counts.rounds + 1;
      const std::vector<Fault> faults = FaultsOf(options_.seed, round, possible);
      std::string plan = "round " + std::to_string(round);
      for (const Fault& fault : faults) plan += (&fault == &faults[0] ? ": " : ", ") + Text(fault);
      if (options_.verbose) Say(plan);
      if (Status s = storm.Round(faults); !s.ok())
        return Error{s.error().code, plan + "; then " + s.error().message};
    }
    if (Status s = storm.WaitForEnd(); !s.ok()) return s;
    site->Leave();
    return Verify(site);
  }

  Status Verify(Site* site) {
    std::vector<WorkerRecord> records;
    for (const std::string& path : site->Records()) {
      Result<WorkerRecord> record = ReadRecord(path, site->run());
      if (!record) return record.error();
      records.push_back(std::move(*record));
    }
    const Result<RunLog> log = ReadLog(site->Archive());
    if (!log) return log.error();
    Add(Check(records, *log, {site->options().candidates, kSteps}));
    if (!totals_->findings.Good())
      return Error{Code::kConflict, "the records of the workers and the log differ"};
    const Result<std::string> replay = site->Kevolve({"replay", site->run()});
    if (!replay) return replay.error();
    const Result<std::string> fsck = site->Kevolve({"fsck", site->run()});
    if (!fsck) return fsck.error();
    if (options_.verbose) {
      Say(site->run() + ": " + std::to_string(log->events) + " events, " +
          std::to_string(site->engine_starts()) + " engines: whole");
    }
    return {};
  }

  void Add(const Findings& found) {
    Findings& sum = totals_->findings;
    for (const auto member : {&Findings::lost, &Findings::duplicated, &Findings::invented,
                              &Findings::disorder, &Findings::acked, &Findings::accepted,
                              &Findings::late, &Findings::stale, &Findings::retried})
      sum.*member += found.*member;
    for (const std::string& text : found.texts) Say(text);
  }

  const Options& options_;
  Totals* totals_;
  SmallDisk* disk_;
};

void PrintResult(const Options& options, const Totals& totals, int64_t milliseconds, bool good) {
  const Counts& c = totals.counts;
  const Findings& f = totals.findings;
  std::printf("{\"rounds\":%llu,\"lost\":%llu,\"duplicated\":%llu", (unsigned long long)c.rounds,
              (unsigned long long)f.lost, (unsigned long long)f.duplicated);
  const std::pair<const char*, uint64_t> numbers[] = {
      {"invented", f.invented},
      {"disorder", f.disorder},
      {"runs", totals.runs},
      {"engine_kills", c.engine_kills},
      {"redis_kills", c.redis_kills},
      {"worker_kills", c.worker_kills},
      {"stops", c.stops},
      {"torn_tails", c.torn_tails},
      {"full_disks", c.full_disks},
      {"terminations", c.terminations},
      {"acked", f.acked},
      {"accepted", f.accepted},
      {"late", f.late},
      {"stale", f.stale},
      {"retried", f.retried},
      {"engine_starts", totals.engine_starts},
      {"starts_spoilt", totals.forgiven},
      {"longest_recovery_ms", static_cast<uint64_t>(c.longest_recovery_ms)},
      {"seed", options.seed}};
  for (const auto& [name, number] : numbers)
    std::printf(",\"%s\":%llu", name, static_cast<unsigned long long>(number));
  std::printf(",\"durability\":\"%s\",\"good\":%s,\"seconds\":%.1f}\n", options.durability.c_str(),
              good ? "true" : "false", static_cast<double>(milliseconds) / 1e3);
}

int Main(int argc, char** argv) {
  Options options;
  if (!Parse(argc, argv, &options)) {
    std::fprintf(stderr,
                 "usage: kevolve-chaos --rounds N [--seed S] [--durability strict|normal|fast] "
                 "[--candidates N]\n             [--folder DIR] [--keep] [--verbose]\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  if (options.folder.empty()) {
    std::string pattern = "/tmp/kev-chaos-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) {
      std::perror("chaos: mkdtemp");
      return 2;
    }
    options.folder = pattern;
  }
  fs::create_directories(options.folder);
  options.folder = fs::canonical(options.folder);
  std::unique_ptr<SmallDisk> disk;
  if (auto mounted = SmallDisk::Mount(options.folder + "/small", kSmallDiskBytes))
    disk = std::move(*mounted);
  else
    Say("SKIPPED: full disks: " + mounted.error().message);

  const int64_t begun = NowMs();
  Totals totals;
  Status status;
  while (status.ok() && totals.counts.rounds < options.rounds)
    status = Siege(options, &totals, disk.get()).Make();
  if (!status.ok()) {
    Say(status.error().message);
    Say("everything is kept in " + options.folder + "; again: tests/chaos/run.sh --rounds " +
        std::to_string(options.rounds) + " --seed " + std::to_string(options.seed) +
        " --durability " + options.durability);
    if (disk) {  // what lies on it goes with it
      std::error_code ignored;
      fs::copy(options.folder + "/small", options.folder + "/small-kept",
               fs::copy_options::recursive, ignored);
    }
  }
  disk.reset();
  if (status.ok() && !options.keep) {
    std::error_code ignored;
    fs::remove_all(options.folder, ignored);
  }
  PrintResult(options, totals, NowMs() - begun, status.ok());
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace kev::chaos

int main(int argc, char** argv) { return kev::chaos::Main(argc, argv); }
