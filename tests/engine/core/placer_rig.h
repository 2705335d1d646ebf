// Builders for the placer's tests: classes by stage, attempts by number, and placements as text.
#ifndef KEV_TESTS_ENGINE_CORE_PLACER_RIG_H_
#define KEV_TESTS_ENGINE_CORE_PLACER_RIG_H_

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "engine/core/placer.h"

namespace kev {

inline AttemptId Id(uint32_t number, uint32_t run = 0) {
  return {run, {{SubjectKind::kCandidate, number}, 0, 0}, 1};
}

inline JobClass Does(const std::string& stage, uint32_t run = 0) {
  JobClass job_class;
  job_class.run = run;
  job_class.stage = stage;
  return job_class;
}

inline JobClass Quietly(const std::string& stage) {
  JobClass job_class = Does(stage);
  job_class.quiet_host = true;
  return job_class;
}

inline WorkerSpec Spec(const std::vector<std::string>& stages, uint32_t slots,
                       const std::string& host = "a") {
  WorkerSpec spec;
  spec.stages = stages;
  spec.slots = slots;
  spec.host = host;
  return spec;
}

// A placer that is audited when it goes, and tells placements as "2>w1 3>w2": which attempt went to
// which worker.
struct Rig {
  Placer placer;

  Rig() = default;
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;
  ~Rig() { CHECK(placer.Audit() == ""); }

  void Ready(uint32_t job_class, uint32_t number, int64_t now_ms = 0, uint32_t run = 0) {
    CHECK(placer.Ready({Id(number, run), job_class, 0, false}, now_ms));
  }
  void Alone(uint32_t job_class, uint32_t number, int64_t now_ms = 0) {
    CHECK(placer.Ready({Id(number), job_class, 0, true}, now_ms));
  }
  void Later(uint32_t job_class, uint32_t number, int64_t not_before_ms) {
    CHECK(placer.Ready({Id(number), job_class, not_before_ms, false}, 0));
  }
  static std::string Text(const std::vector<Placer::Placement>& placements) {
    std::string text;
    for (const auto& p : placements) {
      if (!text.empty()) text += " ";
      text += std::to_string(p.id.key.subject.number) + ">w" + std::to_string(p.worker);
    }
    return text;
  }
  std::string Placed(int64_t now_ms = 0) {
    std::string text = Text(placer.Place(now_ms));
    CHECK(placer.Audit() == "");
    return text;
  }
  std::string Retracted(int64_t now_ms) { return Text(placer.TakeRetractions(now_ms)); }
  // "3 queued"
  std::string Expired(int64_t now_ms) {
    static constexpr const char* kKinds[] = {"queued", "running", "no progress"};
    std::string text;
    for (const auto& expired : placer.TakeExpired(now_ms)) {
      if (!text.empty()) text += ", ";
      text += std::to_string(expired.id.key.subject.number) + " " +
              kKinds[static_cast<size_t>(expired.kind)];
    }
    return text;
  }
};

}  // namespace kev

#endif  // KEV_TESTS_ENGINE_CORE_PLACER_RIG_H_
