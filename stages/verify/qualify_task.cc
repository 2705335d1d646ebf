#include "stages/verify/qualify_task.h"

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "stages/verify/cases.h"

namespace kev {
namespace {

// Far from the seeds that a task has, so that a twin is never a case of the check.
constexpr uint32_t kTwinSeed = 1'000'000;

QualifyCase CaseFrom(const PreparedCase& made, const PreparedCase& twin) {
  QualifyCase one;
  one.one = made.one;
  one.inputs = made.inputs;
  one.expected = made.expected;
  one.stale = twin.expected;
  one.expected_in_f64 = made.expected_in_f64;
  for (const std::optional<OutputJudge>& judge : made.judges)
    one.judges.push_back(judge.has_value() ? &*judge : nullptr);
  return one;
}

}  // namespace

Result<Qualification> QualifyTask(const Task& task, const TaskCode& code, uint64_t secret_seed,
                                  RunnerProcess::Clock::duration deadline,
                                  const std::string& cache_folder,
                                  const std::atomic<bool>& cancelled) {
  Result<std::vector<Case>> cases = FullCasesWithValues(task, secret_seed);
  if (!cases.ok()) return Error{Code::kInvalid, cases.error().message};
  // Visible ones first: what a refusal names should be a workload that the task's author knows.
  std::map<std::pair<bool, Axes>, std::vector<Case>> by_shape;
  for (const Case& one : *cases) by_shape[{one.hidden, one.axes}].push_back(one);
  std::vector<QualifyCase> all;
  std::vector<std::shared_ptr<const PreparedCase>> kept;  // whose judges `all` points at
  for (const auto& [shape, here] : by_shape) {
    if (cancelled.load()) return Error{Code::kUnavailable, "cancelled"};
    std::vector<Case> wanted = here;
    for (const Case& one : here) {
      wanted.push_back(one);
      wanted.back().seed += kTwinSeed;
    }
    Result<PreparedCases> made =
        PrepareCases(task, code, wanted, secret_seed, deadline, cache_folder);
    if (!made.ok()) return made.error();
    if (!made->broken.empty()) {
      return Error{Code::kInvalid, "task " + task.name + ", workload " + here.front().workload +
                                       ": " + made->broken};
    }
    for (size_t i = 0; i < here.size(); ++i) {
      all.push_back(CaseFrom(*made->cases[i], *made->cases[here.size() + i]));
      kept.push_back(made->cases[i]);
    }
  }
  return Qualify(task, all, secret_seed);
}

}  // namespace kev
