#include "engine/core/plan.h"

#include <array>

namespace kev {
namespace {

constexpr std::array<const char*, 6> kKinds = {"propose", "compile", "verify",
                                               "profile", "select",  "exec"};
constexpr std::array<const char*, 3> kShares = {"fill", "in_flight", "first"};

template <size_t N>
std::optional<uint8_t> IndexIn(const std::array<const char*, N>& names, const std::string& name) {
  for (size_t i = 0; i < N; ++i) {
    if (name == names[i]) return static_cast<uint8_t>(i);
  }
  return std::nullopt;
}

Error Malformed(const std::string& what) {
  return Error{Code::kCorrupt, "malformed plan: " + what};
}

Value StepValue(const Step& s) {
  Value v;
  v.Set("id", s.id);
  v.Set("stage", s.stage);
  v.Set("kind", Name(s.kind));
  Value::List needs;
  for (const uint16_t n : s.needs) needs.emplace_back(static_cast<int64_t>(n));
  v.Set("needs", std::move(needs));
  if (!s.when.empty()) v.Set("when", ToValue(s.when));
  v.Set("settings", s.settings);
  v.Set("retry_max", s.retry.max);
  v.Set("retry_base_ms", s.retry.base_ms);
  v.Set("retry_cap_ms", s.retry.cap_ms);
  v.Set("timeout_running_ms", s.timeout_running_ms);
  v.Set("timeout_queued_ms", s.timeout_queued_ms);
  v.Set("quiet_host", s.quiet_host);
  v.Set("final_fidelity", s.final_fidelity);
  v.Set("batch", s.batch);
  v.Set("stateful", s.stateful);
  v.Set("workers", s.workers);
  return v;
}

uint32_t U32(const Value& v) { return static_cast<uint32_t>(v.AsInt()); }

Result<Step> StepFrom(const Value& v, size_t step_count) {
  Step s;
  s.id = v["id"].AsString();
  s.stage = v["stage"].AsString();
  const auto kind = IndexIn(kKinds, v["kind"].AsString());
  if (s.id.empty() || !kind) return Malformed("step");
  s.kind = static_cast<StageKind>(*kind);
  for (const Value& n : v["needs"].AsList()) {
    if (n.AsInt(-1) < 0 || static_cast<size_t>(n.AsInt()) >= step_count)
      return Malformed("needs of " + s.id);
    s.needs.push_back(static_cast<uint16_t>(n.AsInt()));
  }
  if (v.Has("when")) {
    auto when = ProgramFrom(v["when"]);
    if (!when) return when.error();
    s.when = std::move(*when);
  }
  s.settings = v["settings"];
  s.retry = {U32(v["retry_max"]), U32(v["retry_base_ms"]), U32(v["retry_cap_ms"])};
  s.timeout_running_ms = U32(v["timeout_running_ms"]);
  s.timeout_queued_ms = U32(v["timeout_queued_ms"]);
  s.quiet_host = v["quiet_host"].AsBool();
  s.final_fidelity = v["final_fidelity"].AsBool();
  s.batch = U32(v["batch"]);
  s.stateful = v["stateful"].AsBool();
  s.workers = U32(v["workers"]);
  return s;
}

}  // namespace

const char* Name(StageKind kind) { return kKinds[static_cast<size_t>(kind)]; }

std::optional<uint16_t> Plan::Find(std::string_view id) const {
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].id == id) return static_cast<uint16_t>(i);
  }
  return std::nullopt;
}

Value ToValue(const Plan& p) {
  Value v;
  v.Set("workflow", p.workflow);
  v.Set("task", p.task);
  v.Set("target", p.target);
  v.Set("seed", p.seed);
  Value budget;
  budget.Set("candidates", p.budget.candidates);
  budget.Set("evaluations", p.budget.evaluations);
  budget.Set("wall_ms", p.budget.wall_ms);
  budget.Set("device_s", p.budget.device_s);
  budget.Set("tokens", p.budget.tokens);
  budget.Set("usd", p.budget.usd);
  v.Set("budget", std::move(budget));
  Value stop;
  stop.Set("plateau", p.stop.plateau);
  stop.Set("speedup", p.stop.speedup);
  v.Set("stop", std::move(stop));
  v.Set("in_flight", p.in_flight);
  Value::List steps;
  for (const Step& s : p.steps) steps.push_back(StepValue(s));
  v.Set("steps", std::move(steps));
  Value::List shares;
  for (const Share& s : p.shares) {
    Value share;
    share.Set("step", static_cast<int64_t>(s.step));
    share.Set("kind", kShares[static_cast<size_t>(s.kind)]);
    share.Set("amount", s.amount);
    shares.push_back(std::move(share));
  }
  v.Set("shares", std::move(shares));
  if (p.select) v.Set("select", static_cast<int64_t>(*p.select));
  Value::List prepared;
  for (const Prepared& q : p.prepared) {
    Value item;
    item.Set("name", q.name);
    item.Set("reference", q.reference);
    item.Set("source", ToValue(q.source));
    item.Set("source_name", q.source_name);
    item.Set("build", q.build);
    prepared.push_back(std::move(item));
  }
  v.Set("prepared", std::move(prepared));
  if (!p.context.empty()) v.Set("context", ToValue(p.context));
  return v;
}

Result<Plan> PlanFrom(const Value& v) {
  Plan p;
  p.workflow = v["workflow"].AsString();
  p.task = v["task"].AsString();
  p.target = v["target"].AsString();
  p.seed = static_cast<uint64_t>(v["seed"].AsInt());
  const Value& budget = v["budget"];
  p.budget.candidates = static_cast<uint64_t>(budget["candidates"].AsInt());
  p.budget.evaluations = static_cast<uint64_t>(budget["evaluations"].AsInt());
  p.budget.wall_ms = static_cast<uint64_t>(budget["wall_ms"].AsInt());
  p.budget.device_s = budget["device_s"].AsDouble();
  p.budget.tokens = static_cast<uint64_t>(budget["tokens"].AsInt());
  p.budget.usd = budget["usd"].AsDouble();
  p.stop.plateau = static_cast<uint64_t>(v["stop"]["plateau"].AsInt());
  p.stop.speedup = v["stop"]["speedup"].AsDouble();
  p.in_flight = U32(v["in_flight"]);
  const auto& steps = v["steps"].AsList();
  if (steps.empty() || steps.size() > 1000) return Malformed("steps");
  for (const Value& item : steps) {
    auto step = StepFrom(item, steps.size());
    if (!step) return step.error();
    p.steps.push_back(std::move(*step));
  }
  for (const Value& item : v["shares"].AsList()) {
    const auto kind = IndexIn(kShares, item["kind"].AsString());
    const int64_t step = item["step"].AsInt(-1);
    if (!kind || step < 0 || static_cast<size_t>(step) >= steps.size()) return Malformed("shares");
    p.shares.push_back(
        {static_cast<uint16_t>(step), static_cast<Share::Kind>(*kind), U32(item["amount"])});
  }
  if (v.Has("select")) {
    const int64_t select = v["select"].AsInt(-1);
    if (select < 0 || static_cast<size_t>(select) >= steps.size()) return Malformed("select");
    p.select = static_cast<uint16_t>(select);
  }
  for (const Value& item : v["prepared"].AsList()) {
    Prepared q;
    q.name = item["name"].AsString();
    q.reference = item["reference"].AsBool();
    auto ref = BlobRefFrom(item["source"]);
    if (!ref) return ref.error();
    q.source = std::move(*ref);
    q.source_name = item["source_name"].AsString();
    q.build = item["build"];
    p.prepared.push_back(std::move(q));
  }
  if (v.Has("context")) {
    auto ref = BlobRefFrom(v["context"]);
    if (!ref) return ref.error();
    p.context = std::move(*ref);
  }
  return p;
}

}  // namespace kev
