#include "tests/engine/support/plans.h"

#include <utility>

#include "engine/core/digest.h"

namespace kev::testing {

PlanBuilder& PlanBuilder::Step(const std::string& id, const std::string& uses,
                               const std::vector<std::string>& needs) {
  static constexpr StageKind kKinds[] = {
      StageKind::kPropose, StageKind::kCompile, StageKind::kVerify,  StageKind::kProfile,
      StageKind::kSelect,  StageKind::kExec,    StageKind::kWorkflow};
  kev::Step step;
  step.id = id;
  step.stage = uses;
  for (const StageKind kind : kKinds) {
    if (uses.substr(0, uses.find('/')) == Name(kind)) step.kind = kind;
  }
  for (const std::string& need : needs) step.needs.push_back(plan_.Find(need).value());
  step.settings = Value::Map();
  if (step.kind == StageKind::kSelect && !plan_.select)
    plan_.select = static_cast<uint16_t>(plan_.steps.size());
  plan_.steps.push_back(std::move(step));
  return *this;
}

kev::Step& PlanBuilder::at(const std::string& id) { return plan_.steps[plan_.Find(id).value()]; }

PlanBuilder& PlanBuilder::Fill(const std::string& step) {
  plan_.shares.push_back({plan_.Find(step).value(), Share::Kind::kFill, 0});
  return *this;
}

PlanBuilder& PlanBuilder::InFlightShare(const std::string& step, uint32_t amount) {
  plan_.shares.push_back({plan_.Find(step).value(), Share::Kind::kInFlight, amount});
  return *this;
}

PlanBuilder& PlanBuilder::First(const std::string& step, uint32_t amount) {
  plan_.shares.push_back({plan_.Find(step).value(), Share::Kind::kFirst, amount});
  return *this;
}

PlanBuilder& PlanBuilder::Nest(const std::string& step, const std::string& propose,
                               const std::string& select, Budget budget) {
  Search search;
  search.budget = budget;
  search.in_flight = 2;
  search.shares.push_back({plan_.Find(propose).value(), Share::Kind::kFill, 0});
  search.select = plan_.Find(select).value();
  plan_.nested.push_back(std::move(search));
  const auto number = static_cast<uint16_t>(plan_.nested.size());
  at(step).nested = number;
  // The steps behind its propose step, and its select, are of this search.
  std::vector<bool> mine(plan_.steps.size(), false);
  mine[plan_.Find(propose).value()] = mine[plan_.Find(select).value()] = true;
  for (size_t s = 0; s < plan_.steps.size(); ++s) {
    for (const uint16_t need : plan_.steps[s].needs) mine[s] = mine[s] || mine[need];
    if (mine[s]) plan_.steps[s].search = number;
  }
  return *this;
}

PlanBuilder& PlanBuilder::Baseline(const std::string& name) {
  plan_.prepared.push_back({name, false, RefOf(name), name + ".c", Value()});
  return *this;
}

PlanBuilder& PlanBuilder::Reference() {
  plan_.prepared.push_back({"reference", true, RefOf("reference"), "reference.c", Value()});
  return *this;
}

PlanBuilder LinearPlan() {
  PlanBuilder b;
  b.Step("tune", "propose/tune").Step("build", "compile", {"tune"});
  b.Step("check", "verify", {"build"}).Step("confirm", "profile", {"check"});
  b.last().final_fidelity = true;
  b.Step("pick", "select").Fill("tune");
  b.plan().workflow = "linear";
  b.plan().task = "matmul";
  b.plan().target = "cpu";
  b.plan().seed = 7;
  b.plan().in_flight = 4;
  b.plan().budget.candidates = 10;
  return b;
}

Program Condition(const std::string& name, Op op, Value constant) {
  Program p;
  p.code = {{Op::kLoad, 0}, {Op::kConst, 0}, {op, 0}};
  p.constants = {std::move(constant)};
  p.names = {name};
  p.text = name + " ? constant";
  return p;
}

Program IsTrue(Value constant) {
  Program p;
  p.code = {{Op::kConst, 0}};
  p.constants = {std::move(constant)};
  p.text = "constant";
  return p;
}

Program Comparison(const std::string& name, Op op, const std::string& other) {
  Program p;
  p.code = {{Op::kLoad, 0}, {Op::kLoad, 1}, {op, 0}};
  p.names = {name, other};
  p.text = name + " ? " + other;
  return p;
}

BlobRef RefOf(std::string_view text) {
  return {DigestOf(text, 1).Hex() + DigestOf(text, 2).Hex(), text.size()};
}

Proposal ProposalOf(std::string_view source) {
  Proposal p;
  p.source = RefOf(source);
  p.source_name = "kernel.c";
  return p;
}

JobResult Verdicts(Verdict verdict, const std::string& message) {
  JobResult r;
  r.verdict = verdict;
  r.message = message;
  return r;
}

JobResult Failed(FailureClass failure, const std::string& message) {
  JobResult r;
  r.failure = Failure{failure, message};
  return r;
}

JobResult Measured(double speedup) {
  JobResult r;
  r.facts.Set("speedup", speedup);
  r.facts.Set("speedup_low", speedup * 0.99);
  r.facts.Set("speedup_high", speedup * 1.01);
  return r;
}

JobResult Proposed(std::vector<Proposal> proposals) {
  JobResult r;
  r.proposals = std::move(proposals);
  return r;
}

JobResult Wishes(std::vector<Request> requests) {
  JobResult r;
  r.requests = std::move(requests);
  return r;
}

JobResult Costing(Usage usage) {
  JobResult r;
  r.usage = usage;
  return r;
}

JobResult GoodAnswer(const Job& job, const Speedups& speedup) {
  JobResult r;
  if (job.stage.starts_with("select")) {
    for (const auto& [step, places] : job.places.AsMap()) {
      r.requests.push_back({step, static_cast<uint32_t>(places.AsInt()), {}, Value()});
    }
  } else if (job.stage.starts_with("propose")) {
    for (uint32_t i = 0; i < job.request.value().count; ++i) {
      r.proposals.push_back(
          ProposalOf(job.step + " " + Name(job.key.subject) + " " + std::to_string(i)));
    }
  } else if (job.stage.starts_with("compile")) {
    const std::string code = "code of " + job.candidate.value().source.sha256;
    r.artefacts.push_back(
        {"candidate", job.candidate->name, "shared_library", RefOf(code), Value()});
  } else if (job.stage.starts_with("profile")) {
    r = Measured(speedup ? speedup(job) : 1.0);
    if (!job.candidate) r.facts.Set("baseline", job.artefacts.at(0).name);  // calibration
  }
  return r;
}

}  // namespace kev::testing
