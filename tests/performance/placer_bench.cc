// What the placer costs per job: Ready -> Place -> Taken -> Finished, with many attempts out and
// waiting. Prints one JSON object per shape: CPU time, the median and the least of five rounds. Not
// a test; compare shapes and commits on one machine.
//
// usage: placer_bench [jobs, default 300000]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <string>
#include <vector>

#include "engine/core/placer.h"

namespace kev {
namespace {

struct Shape {
  const char* name;
  uint32_t runs;
  uint32_t classes;  // in all; the runs share them evenly
  uint32_t workers;
  uint32_t out;    // on all workers
  uint32_t ready;  // in all
  uint32_t batch;  // jobs finished, and made ready, between two calls of Place
  bool rules;      // caps, rates, limits, resources and labels that never bind
};

double NsPerJob(const Shape& shape, uint32_t jobs) {
  Placer placer;
  for (uint32_t r = 0; r < shape.runs; ++r) placer.AddRun(r, 1 + r % 3);
  std::vector<std::string> stages;
  std::vector<uint32_t> classes;
  for (uint32_t c = 0; c < shape.classes; ++c) {
    JobClass job_class;
    job_class.run = c % shape.runs;
    job_class.stage = "stage" + std::to_string(c % 5);
    job_class.priority = static_cast<int32_t>(c % 3);
    if (shape.rules) {
      job_class.max_running = 100'000;
      job_class.rate_per_s = 1e9;
      job_class.burst = 1000;
      job_class.queued_limit_ms = job_class.running_limit_ms = job_class.progress_limit_ms =
          600'000;
      job_class.resources = {{"device", 1}};
      job_class.labels = {{"gpu.model", "H*"}};
    }
    classes.push_back(placer.AddClass(job_class));
  }
  for (uint32_t c = 0; c < 5; ++c) stages.push_back("stage" + std::to_string(c));
  for (uint32_t w = 1; w <= shape.workers; ++w) {
    WorkerSpec spec{stages, shape.out / shape.workers, "host" + std::to_string(w / 4), {}, {}, 0,
                    ""};
    if (shape.rules) {
      spec.resources = {{"device", shape.out / shape.workers}};
      spec.labels = {{"gpu.model", "H100"}};
    }
    placer.AddWorker(w, spec);
  }
  uint32_t born = 0;
  int64_t now_ms = 1;
  const auto ready = [&] {
    const uint32_t c = born % shape.classes;
    const AttemptId id{
        c % shape.runs, {{SubjectKind::kCandidate, ++born}, static_cast<uint16_t>(c), 0}, 1};
    placer.Ready({id, classes[c], 0, false}, now_ms);
  };
  std::deque<AttemptId> out;
  const auto place = [&] {
    for (const auto& placement : placer.Place(now_ms)) {
      placer.Taken(placement.id, now_ms);
      out.push_back(placement.id);
    }
  };
  while (born < shape.out + shape.ready) ready();
  place();
  const std::clock_t begin = std::clock();
  for (uint32_t done = 0; done < jobs; done += shape.batch) {
    now_ms = 1 + done / 40;  // 40,000 jobs a second
    for (uint32_t i = 0; i < shape.batch; ++i) {
      placer.Finished(out.front(), 50);
      out.pop_front();
      ready();
    }
    place();
    placer.TakeExpired(now_ms);
    placer.TakeRetractions(now_ms);
    placer.NextWake();
  }
  const double took_s = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  if (const std::string wrong = placer.Audit(); !wrong.empty() || out.size() != shape.out) {
    std::fprintf(stderr, "placer_bench: %s: %zu out; %s\n", shape.name, out.size(), wrong.c_str());
    std::exit(1);
  }
  return took_s * 1e9 / jobs;
}

}  // namespace
}  // namespace kev

int main(int argc, char** argv) {
  const uint32_t jobs =
      argc > 1 ? static_cast<uint32_t>(std::strtoul(argv[1], nullptr, 10)) : 300'000;
  if (jobs == 0) {
    std::fprintf(stderr, "usage: placer_bench [jobs]\n");
    return 2;
  }
  constexpr kev::Shape kShapes[] = {
      {"one class, 2 workers, placed one by one", 1, 1, 2, 2000, 10'000, 1, false},
      {"one class, 2 workers, placed by 64", 1, 1, 2, 2000, 10'000, 64, false},
      {"one class, 2 workers, all rules, by 64", 1, 1, 2, 2000, 10'000, 64, true},
      {"50 classes of 10 runs, 20 workers, one by one", 10, 50, 20, 2000, 10'000, 1, false},
      {"50 classes of 10 runs, 20 workers, by 64", 10, 50, 20, 2000, 10'000, 64, false},
      {"50 classes of 10 runs, 20 workers, all rules, by 64", 10, 50, 20, 2000, 10'000, 64, true},
      {"6000 classes of 1000 runs, 1000 workers, by 64", 1000, 6000, 1000, 4000, 10'000, 64, false},
  };
  for (const kev::Shape& shape : kShapes) {
    std::vector<double> ns;
    for (int round = 0; round < 5; ++round) ns.push_back(kev::NsPerJob(shape, jobs));
    std::sort(ns.begin(), ns.end());
    std::printf("{\"shape\": \"%s\", \"jobs\": %u, \"ns_per_job\": %.0f, \"least\": %.0f}\n",
                shape.name, jobs, ns[2], ns[0]);
  }
  return 0;
}
