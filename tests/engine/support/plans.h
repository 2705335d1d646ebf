// Builders for the tests: small plans, conditions, and the answers of well-behaved stages.
//
// Threads: plain values. Errors: a step name that does not exist throws.
#ifndef KEV_TESTS_ENGINE_SUPPORT_PLANS_H_
#define KEV_TESTS_ENGINE_SUPPORT_PLANS_H_

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/job.h"
#include "engine/core/plan.h"

namespace kev::testing {

class PlanBuilder {
 public:
  // Appends a step; `uses` is the stage, its first part the kind.
  PlanBuilder& Step(const std::string& id, const std::string& uses,
                    const std::vector<std::string>& needs = {});
  // The step appended last, or the one called `id`.
  kev::Step& last() { return plan_.steps.back(); }
  kev::Step& at(const std::string& id);
  PlanBuilder& Fill(const std::string& step);
  PlanBuilder& InFlightShare(const std::string& step, uint32_t amount);
  PlanBuilder& First(const std::string& step, uint32_t amount);
  // Makes `step` a search of its own, whose candidates come from `propose`, as `select` says; 2 in
  // flight. Call it when all steps are there. The run's own select is the one that was added first.
  PlanBuilder& Nest(const std::string& step, const std::string& propose, const std::string& select,
                    Budget budget);
  PlanBuilder& Baseline(const std::string& name);
  PlanBuilder& Reference();
  Plan& plan() { return plan_; }

 private:
  Plan plan_;
};

// tune -> build -> check -> confirm (final fidelity), pick selects; 4 in flight, 10 candidates, no
// prepared things.
PlanBuilder LinearPlan();
// `name` op `constant`, e.g. ("screen.speedup", Op::kGt, 1.2).
Program Condition(const std::string& name, Op op, Value constant);
Program IsTrue(Value constant);  // what the constant says
// `name` op `other`.
Program Comparison(const std::string& name, Op op, const std::string& other);

// A blob reference that is the same for the same text and differs for others.
BlobRef RefOf(std::string_view text);
Proposal ProposalOf(std::string_view source);
JobResult Verdicts(Verdict verdict, const std::string& message = "");
JobResult Failed(FailureClass failure, const std::string& message = "broken");
JobResult Measured(double speedup);
JobResult Proposed(std::vector<Proposal> proposals);
JobResult Wishes(std::vector<Request> requests);
JobResult Costing(Usage usage);

// Answers as a well-behaved stage does: select takes every place, propose gives as many new sources
// as were wished for, compile gives one artefact, verify says ok, profile measures `speedup(job)`
// (1 when not given).
using Speedups = std::function<double(const Job&)>;
JobResult GoodAnswer(const Job& job, const Speedups& speedup = nullptr);

}  // namespace kev::testing

#endif  // KEV_TESTS_ENGINE_SUPPORT_PLANS_H_
