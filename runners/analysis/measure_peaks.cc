#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <thread>

#include "engine/core/random.h"
#include "runners/analysis/machine_peaks.h"
#include "runners/analysis/micro_kernels.h"

namespace kev {
namespace {

using micro::Width;
constexpr size_t kLine = 64;
constexpr size_t kPiece = 256 << 10;  // of a large array, walked at a time
constexpr double kDoorbellSeconds = 0.02;
constexpr uint32_t kHangUp = 0xffffffff;

double Now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double Middle(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// Least seconds of one `work(n)`, with n so large that a repetition takes seconds_each.
template <typename Work>
double BestRate(const PeakOptions& options, Work work) {
  uint64_t n = 1;
  for (;;) {
    const double begin = Now();
    work(n);
    const double took = Now() - begin;
    if (took >= options.seconds_each || n >= uint64_t{1} << 40) break;
    n = took < options.seconds_each / 20
            ? n * 10
            : static_cast<uint64_t>(static_cast<double>(n) * options.seconds_each / took * 1.1) + 1;
  }
  double best = 0;
  for (int i = 0; i < options.repetitions; ++i) {
    const double begin = Now();
    work(n);
    best = std::max(best, static_cast<double>(n) / (Now() - begin));
  }
  return best;
}

// Pins this thread for as long as it lives.
class Pinned {
 public:
  explicit Pinned(int core) {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(core), &set);
    ok_ = core >= 0 && core < CPU_SETSIZE && sched_setaffinity(0, sizeof set, &set) == 0;
  }
  ~Pinned() { sched_setaffinity(0, sizeof before_, &before_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  bool ok() const { return ok_; }
  // The highest usable core that is not `core`; -1: none.
  int Other(int core) const {
    for (int i = CPU_SETSIZE - 1; i >= 0; --i) {
      if (i != core && CPU_ISSET(static_cast<size_t>(i), &before_)) return i;
    }
    return -1;
  }

 private:
  cpu_set_t before_{};
  bool ok_ = false;
};

int LastUsable() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  for (int i = CPU_SETSIZE - 1; i >= 0; --i) {
    if (CPU_ISSET(static_cast<size_t>(i), &set)) return i;
  }
  return 0;
}

// Pages of its own, large ones where the kernel gives them, written once.
class Pages {
 public:
  explicit Pages(size_t bytes) : bytes_(bytes) {
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return;
    at_ = static_cast<char*>(at);
    madvise(at_, bytes, MADV_HUGEPAGE);
    for (size_t i = 0; i < bytes; i += 4096) at_[i] = 1;
  }
  ~Pages() {
    if (at_ != nullptr) munmap(at_, bytes_);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  char* at() const { return at_; }

 private:
  size_t bytes_;
  char* at_ = nullptr;
};

// A chain through all lines of the array in random order, one cycle: no prefetcher follows it.
void* const* MakeChain(char* at, size_t bytes) {
  const size_t lines = bytes / kLine;
  std::vector<uint32_t> order(lines);
  std::iota(order.begin(), order.end(), 0u);
  CounterRandom random(1, "latency");
  for (size_t i = lines - 1; i > 0; --i) std::swap(order[i], order[random.Below(i + 1)]);
  for (size_t i = 0; i < lines; ++i)
    *reinterpret_cast<void**>(at + order[i] * kLine) = at + order[(i + 1) % lines] * kLine;
  return reinterpret_cast<void* const*>(at + order[0] * kLine);
}

MemoryLevel MeasureLevel(const std::string& name, uint64_t capacity, uint64_t bytes, Width width,
                         const PeakOptions& options) {
  MemoryLevel level{name, capacity, bytes & ~uint64_t{2047}, 0, 0, 0};
  const size_t size = level.measured_over;
  const Pages pages(size);
  if (pages.at() == nullptr) return level;
  // Large arrays are walked piece by piece, round and round, so that a repetition stays short.
  const size_t load_piece = std::min(size, kPiece), copy_piece = std::min(size / 2, kPiece);
  size_t at = 0;
  level.load = static_cast<double>(load_piece) * BestRate(options, [&](uint64_t n) {
                 for (uint64_t i = 0; i < n; ++i) {
                   micro::Load(width, pages.at() + at, load_piece);
                   at = at + 2 * load_piece <= size ? at + load_piece : 0;
                 }
               });
  at = 0;
  level.copy = 2 * static_cast<double>(copy_piece) * BestRate(options, [&](uint64_t n) {
                 for (uint64_t i = 0; i < n; ++i) {
                   micro::Copy(width, pages.at() + size / 2 + at, pages.at() + at, copy_piece);
                   at = at + 2 * copy_piece <= size / 2 ? at + copy_piece : 0;
                 }
               });
  void* const* chain = MakeChain(pages.at(), size);
  micro::Chase(chain, std::min<uint64_t>(size / kLine, 1 << 16));
  level.latency = 1 / BestRate(options, [&](uint64_t n) { chain = micro::Chase(chain, n); });
  return level;
}

// Sizes that lie in each level and not in the one before. A shared last level is measured over as
// much as one core can expect of it.
std::vector<MemoryLevel> MeasureLevels(const CpuIdentity& cpu, Width width,
                                       const PeakOptions& options) {
  std::vector<MemoryLevel> levels;
  std::vector<uint64_t> caches = cpu.cache_bytes;
  if (caches.empty()) caches = {32 << 10, 512 << 10};
  for (size_t i = 0; i < caches.size(); ++i) {
    uint64_t bytes = caches[i] / 2;
    if (i >= 2 && cpu.cpus > 0)
      bytes = std::max<uint64_t>(4 * caches[i - 1], std::min<uint64_t>(bytes, 16 << 20));
    if (caches[i] == 0 || bytes > options.most_bytes) continue;
    levels.push_back(MeasureLevel("L" + std::to_string(i + 1), caches[i], bytes, width, options));
  }
  const uint64_t memory =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t wanted = std::max<uint64_t>(4 * caches.back(), 64 << 20);
  levels.push_back(MeasureLevel("memory", 0, std::min({wanted, memory / 8, options.most_bytes}),
                                width, options));
  return levels;
}

void MeasureFlops(const CpuIdentity& cpu, const PeakOptions& options, MachinePeaks* peaks) {
  const auto measure = [&](Width width, const char* name) {
    for (const bool f64 : {false, true}) {
      const double passes =
          BestRate(options, [&](uint64_t n) { micro::MultiplyAdd(width, f64, n); });
      peaks->flops[(f64 ? "f64." : "f32.") + std::string(name)] =
          passes * micro::MultiplyAdd(width, f64, 1);
    }
  };
#if defined(__x86_64__)
  if (!cpu.fma) return;
#endif
  measure(Width::kScalar, "scalar");
  if (cpu.avx2 && cpu.fma) measure(Width::k256, "avx2");
  if (cpu.avx512) measure(Width::k512, "avx512");
}

// The best of several rows: what interrupts one is not the timer's.
void MeasureTimer(MachinePeaks* peaks) {
  constexpr int kRows = 200, kReadings = 500;
  double step = 1, cost = 1;
  for (int row = 0; row < kRows; ++row) {
    const double begin = Now();
    double last = begin;
    for (int i = 0; i < kReadings; ++i) {
      const double now = Now();
      if (now > last) step = std::min(step, now - last);
      last = now;
    }
    cost = std::min(cost, (last - begin) / kReadings);
  }
  peaks->timer_cost = cost;
  // A step that is no shorter than a reading says no more than that.
  peaks->timer_resolution = std::round(step * 1e9) * 1e-9;
}

// One thread answers on each of two cores; the line between them goes there and back.
double MeasureDoorbell(int other) {
  struct alignas(kLine) Bell {
    std::atomic<uint32_t> value{0};
  };
  Bell there, back;
  std::thread answering([&] {
    const Pinned pinned(other);
    for (uint32_t answered = 0; answered != kHangUp;) {
      const uint32_t rung = there.value.load(std::memory_order_acquire);
      if (rung == answered) continue;
      back.value.store(rung, std::memory_order_release);
      answered = rung;
    }
  });
  std::vector<double> rounds;
  const double end = Now() + kDoorbellSeconds;
  for (uint32_t i = 1; rounds.empty() || Now() < end;) {
    const double begin = Now();
    for (int ten = 0; ten < 10; ++ten, ++i) {  // a reading of the clock costs a tenth of a round
      there.value.store(i, std::memory_order_release);
      while (back.value.load(std::memory_order_acquire) != i) continue;
    }
    rounds.push_back((Now() - begin) / 10);
  }
  there.value.store(kHangUp, std::memory_order_release);
  answering.join();
  return Middle(std::move(rounds));
}

// The shortest of a row of known durations of which the timer is at most 1 % and whose median over
// 15 samples comes out within 1 %, nine times over.
double ShortestCall(double clock_hz, double timer) {
  for (double seconds = 250e-9; seconds < 2e-3; seconds *= 2) {
    if (timer > 0.01 * seconds) continue;
    const auto adds = static_cast<uint64_t>(seconds * clock_hz);
    std::vector<double> medians;
    for (int m = 0; m < 9; ++m) {
      std::vector<double> samples;
      for (int s = 0; s < 15; ++s) {
        const double begin = Now();
        micro::DependentAdds(adds);
        samples.push_back(Now() - begin);
      }
      medians.push_back(Middle(std::move(samples)));
    }
    const auto [low, high] = std::minmax_element(medians.begin(), medians.end());
    if ((*high - *low) / 2 <= 0.01 * *low) return seconds;
  }
  return 0;
}

// Times that this process lost a core that it would have gone on using.
long Switches() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
}

std::string Today() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace

Result<MachinePeaks> MeasurePeaks(const PeakOptions& options) {
  const CpuIdentity cpu = ThisCpu();
  MachinePeaks peaks;
  peaks.cpu = cpu.Key();
  peaks.model_name = cpu.model_name;
  peaks.date = Today();
  peaks.core = options.core >= 0 ? options.core : LastUsable();
  const Pinned pinned(peaks.core);
  const double begin = Now();
  const long switches = Switches();
  if (!pinned.ok())
    return Error{Code::kInvalid,
                 "core " + std::to_string(peaks.core) + " cannot be used by this process"};
  peaks.clock_hz = 64 * BestRate(options, [](uint64_t n) { micro::DependentAdds(n * 64); });
  MeasureFlops(cpu, options, &peaks);
  const Width width = cpu.avx512 ? Width::k512 : cpu.avx2 ? Width::k256 : Width::kScalar;
  peaks.levels = MeasureLevels(cpu, width, options);
  MeasureTimer(&peaks);
  if (const int other = pinned.Other(peaks.core); other >= 0)
    peaks.doorbell = MeasureDoorbell(other);
  peaks.shortest_call =
      ShortestCall(peaks.clock_hz, std::max(peaks.timer_cost, peaks.timer_resolution));
  peaks.switches = static_cast<double>(Switches() - switches) / (Now() - begin);
  return peaks;
}

}  // namespace kev
