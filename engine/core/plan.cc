#include "engine/core/plan.h"

#include <algorithm>
#include <array>

namespace kev {
namespace {

constexpr std::array<const char*, 7> kKinds = {"propose", "compile", "verify",  "profile",
                                               "select",  "exec",    "workflow"};
constexpr std::array<const char*, 4> kForeach = {"nothing", "list", "fact", "artefacts"};
constexpr std::array<const char*, 3> kJoins = {"none", "all", "any"};
constexpr std::array<const char*, 6> kFacts = {"integer", "number", "bool", "text", "list", "map"};
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
  if (s.foreach.over != Foreach::Over::kNothing) {
    Value foreach;
    foreach
      .Set("over", kForeach[static_cast<size_t>(s.foreach.over)]);
    if (!s.foreach.list.IsNull())
      foreach
        .Set("list", s.foreach.list);
    if (s.foreach.over == Foreach::Over::kFact) {
      foreach
        .Set("step", static_cast<int64_t>(s.foreach.step));
      foreach
        .Set("fact", s.foreach.fact);
    }
    v.Set("foreach", std::move(foreach));
  }
  if (s.join != Join::kNone) v.Set("join", kJoins[static_cast<size_t>(s.join)]);
  if (s.search != 0) v.Set("search", static_cast<int64_t>(s.search));
  if (s.nested != 0) v.Set("nested", static_cast<int64_t>(s.nested));
  if (s.reserve_tokens != 0) v.Set("reserve_tokens", s.reserve_tokens);
  if (s.reserve_usd != 0) v.Set("reserve_usd", s.reserve_usd);
  if (s.priority != 0) v.Set("priority", static_cast<int64_t>(s.priority));
  if (s.max_running != 0) v.Set("max_running", s.max_running);
  if (s.rate_per_s != 0) {
    v.Set("rate_per_s", s.rate_per_s);
    v.Set("rate_burst", s.rate_burst);
  }
  for (const auto& [name, amount] : s.resources) v.Set("resources").Set(name, amount);
  for (const auto& [name, text] : s.labels) v.Set("labels").Set(name, text);
  if (s.timeout_no_progress_ms != 0) v.Set("timeout_no_progress_ms", s.timeout_no_progress_ms);
  for (const auto& [name, kind] : s.facts) v.Set("facts").Set(name, Name(kind));
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
  if (!s.settings.IsNull() && !s.settings.IsMap()) return Malformed("settings of " + s.id);
  s.retry = {U32(v["retry_max"]), U32(v["retry_base_ms"]), U32(v["retry_cap_ms"])};
  s.timeout_running_ms = U32(v["timeout_running_ms"]);
  s.timeout_queued_ms = U32(v["timeout_queued_ms"]);
  s.quiet_host = v["quiet_host"].AsBool();
  s.final_fidelity = v["final_fidelity"].AsBool();
  s.batch = U32(v["batch"]);
  s.stateful = v["stateful"].AsBool();
  s.workers = U32(v["workers"]);
  if (v.Has("foreach")) {
    const Value& foreach = v["foreach"];
    const auto over = IndexIn(kForeach, foreach["over"].AsString());
    if (!over) return Malformed("foreach of " + s.id);
    s.foreach.over = static_cast<Foreach::Over>(*over);
    s.foreach.list = foreach["list"];
    s.foreach.step = static_cast<uint16_t>(foreach["step"].AsInt());
    s.foreach.fact = foreach["fact"].AsString();
    if (s.foreach.step >= step_count) return Malformed("foreach of " + s.id);
  }
  if (v.Has("join")) {
    const auto join = IndexIn(kJoins, v["join"].AsString());
    if (!join) return Malformed("join of " + s.id);
    s.join = static_cast<Join>(*join);
  }
  s.search = static_cast<uint16_t>(v["search"].AsInt());
  s.nested = static_cast<uint16_t>(v["nested"].AsInt());
  s.reserve_tokens = v["reserve_tokens"].AsInt();
  s.reserve_usd = v["reserve_usd"].AsDouble();
  s.priority = static_cast<int32_t>(v["priority"].AsInt());
  s.max_running = U32(v["max_running"]);
  s.rate_per_s = v["rate_per_s"].AsDouble();
  s.rate_burst = static_cast<uint32_t>(v["rate_burst"].AsInt(1));
  for (const auto& [name, amount] : v["resources"].AsMap()) s.resources[name] = U32(amount);
  for (const auto& [name, text] : v["labels"].AsMap()) s.labels[name] = text.AsString();
  s.timeout_no_progress_ms = U32(v["timeout_no_progress_ms"]);
  for (const auto& [name, text] : v["facts"].AsMap()) {
    const auto fact = IndexIn(kFacts, text.AsString());
    if (!fact) return Malformed("facts of " + s.id);
    s.facts[name] = static_cast<FactKind>(*fact);
  }
  return s;
}

Result<BlobRef> RefFrom(const Value& v) {
  const std::string bytes = EncodeCanonical(v);
  return BlobRefFrom(PackedView(bytes));
}

Value BudgetValue(const Budget& b) {
  Value budget;
  budget.Set("candidates", b.candidates);
  budget.Set("evaluations", b.evaluations);
  budget.Set("wall_ms", b.wall_ms);
  budget.Set("device_s", b.device_s);
  budget.Set("tokens", b.tokens);
  budget.Set("usd", b.usd);
  return budget;
}

Budget BudgetFrom(const Value& v) {
  Budget b;
  b.candidates = static_cast<uint64_t>(v["candidates"].AsInt());
  b.evaluations = static_cast<uint64_t>(v["evaluations"].AsInt());
  b.wall_ms = static_cast<uint64_t>(v["wall_ms"].AsInt());
  b.device_s = v["device_s"].AsDouble();
  b.tokens = static_cast<uint64_t>(v["tokens"].AsInt());
  b.usd = v["usd"].AsDouble();
  return b;
}

Value StopValue(const StopRules& s) {
  Value stop;
  stop.Set("plateau", s.plateau);
  stop.Set("speedup", s.speedup);
  return stop;
}

StopRules StopFrom(const Value& v) {
  return {static_cast<uint64_t>(v["plateau"].AsInt()), v["speedup"].AsDouble()};
}

Value SharesValue(const std::vector<Share>& all) {
  Value::List shares;
  for (const Share& s : all) {
    Value share;
    share.Set("step", static_cast<int64_t>(s.step));
    share.Set("kind", kShares[static_cast<size_t>(s.kind)]);
    share.Set("amount", s.amount);
    shares.push_back(std::move(share));
  }
  return Value(std::move(shares));
}

Result<std::vector<Share>> SharesFrom(const Value& v, size_t step_count) {
  std::vector<Share> shares;
  for (const Value& item : v.AsList()) {
    const auto kind = IndexIn(kShares, item["kind"].AsString());
    const int64_t step = item["step"].AsInt(-1);
    if (!kind || step < 0 || static_cast<size_t>(step) >= step_count) return Malformed("shares");
    shares.push_back(
        {static_cast<uint16_t>(step), static_cast<Share::Kind>(*kind), U32(item["amount"])});
  }
  return shares;
}

Result<std::optional<uint16_t>> SelectFrom(const Value& v, size_t step_count) {
  if (v.IsNull()) return std::optional<uint16_t>();
  const int64_t select = v.AsInt(-1);
  if (select < 0 || static_cast<size_t>(select) >= step_count) return Malformed("select");
  return std::optional<uint16_t>(static_cast<uint16_t>(select));
}

}  // namespace

const char* Name(StageKind kind) { return kKinds[static_cast<size_t>(kind)]; }
const char* Name(FactKind kind) { return kFacts[static_cast<size_t>(kind)]; }

std::optional<uint16_t> Plan::Find(std::string_view id) const {
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].id == id) return static_cast<uint16_t>(i);
  }
  return std::nullopt;
}

namespace {

// A step that is needed by what it needs, if there is one.
std::optional<uint16_t> InCycle(const Plan& plan) {
  const size_t n = plan.steps.size();
  std::vector<bool> free(n, false);  // of cycles: all that it needs is free of them
  for (bool moved = true; moved;) {
    moved = false;
    for (size_t s = 0; s < n; ++s) {
      const auto& needs = plan.steps[s].needs;
      if (free[s] || !std::all_of(needs.begin(), needs.end(), [&](uint16_t i) { return free[i]; }))
        continue;
      free[s] = moved = true;
    }
  }
  // Of what is left, some steps only stand behind a cycle: go back until one comes again.
  const auto stuck = std::find(free.begin(), free.end(), false);
  if (stuck == free.end()) return std::nullopt;
  auto at = static_cast<uint16_t>(stuck - free.begin());
  for (size_t turns = 0; turns <= n; ++turns) {
    const auto& needs = plan.steps[at].needs;
    at = *std::find_if(needs.begin(), needs.end(), [&](uint16_t i) { return !free[i]; });
  }
  return at;
}

}  // namespace

Result<std::vector<uint16_t>> RegionsOf(const Plan& plan) {
  constexpr uint16_t kNone = UINT16_MAX;
  const size_t n = plan.steps.size();
  std::vector<uint16_t> region(n, kNone);
  if (const auto step = InCycle(plan))
    return Error{Code::kInvalid, "step " + plan.steps[*step].id + " needs itself, through " +
                                     "the steps that it needs: take one of them out"};
  // Each pass brings regions one step further down; a graph without cycles is done after n.
  for (size_t pass = 0; pass <= n; ++pass) {
    bool moved = false;
    for (size_t s = 0; s < n; ++s) {
      const Step& step = plan.steps[s];
      uint16_t from = kNone;
      for (const uint16_t need : step.needs) {
        if (region[need] == kNone) continue;
        if (from != kNone && from != region[need]) {
          return Error{Code::kInvalid, "step " + step.id +
                                           " needs branches of two foreach steps (" +
                                           plan.steps[from].id + ", " +
                                           plan.steps[region[need]].id + "): join them first"};
        }
        from = region[need];
      }
      const bool fans = step.foreach.over != Foreach::Over::kNothing;
      if (fans && from != kNone && from != s && step.join == Join::kNone) {
        return Error{Code::kInvalid, "step " + step.id + " fans out inside the branches of " +
                                         plan.steps[from].id + ": join them first"};
      }
      const uint16_t is = fans ? static_cast<uint16_t>(s) : step.join != Join::kNone ? kNone : from;
      moved = moved || is != region[s];
      region[s] = is;
    }
    if (!moved) break;
  }
  for (size_t s = 0; s < n; ++s) {
    const Step& step = plan.steps[s];
    const Foreach& f = step.foreach;
    if (f.over == Foreach::Over::kFact && region[f.step] != kNone)
      return Error{Code::kInvalid, "step " + step.id + " goes over a fact of " +
                                       plan.steps[f.step].id +
                                       ", which each branch has one of: join them first and take "
                                       "the list from a step behind the join"};
    if (step.final_fidelity && region[s] != kNone)
      return Error{Code::kInvalid, "step " + step.id +
                                       " measures for best inside the branches of " +
                                       plan.steps[region[s]].id +
                                       ", which are parts of a candidate: join them first"};
  }
  return region;
}

Value ToValue(const Plan& p) {
  Value v;
  v.Set("workflow", p.workflow);
  v.Set("task", p.task);
  v.Set("target", p.target);
  v.Set("seed", p.seed);
  v.Set("budget", BudgetValue(p.budget));
  v.Set("stop", StopValue(p.stop));
  v.Set("in_flight", p.in_flight);
  Value::List steps;
  for (const Step& s : p.steps) steps.push_back(StepValue(s));
  v.Set("steps", std::move(steps));
  v.Set("shares", SharesValue(p.shares));
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
  for (const Search& n : p.nested) {
    Value search;
    search.Set("budget", BudgetValue(n.budget));
    search.Set("stop", StopValue(n.stop));
    search.Set("in_flight", n.in_flight);
    search.Set("shares", SharesValue(n.shares));
    if (n.select) search.Set("select", static_cast<int64_t>(*n.select));
    v.Set("nested").Append(std::move(search));
  }
  if (p.given) v.Set("given", true);
  if (p.one_binary_once) v.Set("one_binary_once", true);
  if (p.candidate_timeout_ms != 0) v.Set("candidate_timeout_ms", p.candidate_timeout_ms);
  return v;
}

Result<Plan> PlanFrom(const Value& v) {
  Plan p;
  p.workflow = v["workflow"].AsString();
  p.task = v["task"].AsString();
  p.target = v["target"].AsString();
  p.seed = static_cast<uint64_t>(v["seed"].AsInt());
  p.budget = BudgetFrom(v["budget"]);
  p.stop = StopFrom(v["stop"]);
  p.in_flight = U32(v["in_flight"]);
  const auto& steps = v["steps"].AsList();
  if (steps.empty() || steps.size() > 1000) return Malformed("steps");
  for (const Value& item : steps) {
    auto step = StepFrom(item, steps.size());
    if (!step) return step.error();
    p.steps.push_back(std::move(*step));
  }
  auto shares = SharesFrom(v["shares"], steps.size());
  if (!shares) return shares.error();
  p.shares = std::move(*shares);
  auto select = SelectFrom(v["select"], steps.size());
  if (!select) return select.error();
  p.select = *select;
  for (const Value& item : v["nested"].AsList()) {
    Search n;
    n.budget = BudgetFrom(item["budget"]);
    n.stop = StopFrom(item["stop"]);
    n.in_flight = U32(item["in_flight"]);
    auto its_shares = SharesFrom(item["shares"], steps.size());
    if (!its_shares) return its_shares.error();
    n.shares = std::move(*its_shares);
    auto its_select = SelectFrom(item["select"], steps.size());
    if (!its_select) return its_select.error();
    n.select = *its_select;
    p.nested.push_back(std::move(n));
  }
  for (const Step& s : p.steps) {
    if (s.search > p.nested.size() || s.nested > p.nested.size() ||
        (s.kind == StageKind::kWorkflow) != (s.nested != 0)) {
      return Malformed("search of " + s.id);
    }
  }
  if (auto regions = RegionsOf(p); !regions) return Malformed(regions.error().message);
  p.given = v["given"].AsBool();
  p.one_binary_once = v["one_binary_once"].AsBool();
  p.candidate_timeout_ms = static_cast<uint64_t>(v["candidate_timeout_ms"].AsInt());
  for (const Value& item : v["prepared"].AsList()) {
    Prepared q;
    q.name = item["name"].AsString();
    q.reference = item["reference"].AsBool();
    auto ref = RefFrom(item["source"]);
    if (!ref) return ref.error();
    q.source = std::move(*ref);
    q.source_name = item["source_name"].AsString();
    q.build = item["build"];
    p.prepared.push_back(std::move(q));
  }
  if (v.Has("context")) {
    auto ref = RefFrom(v["context"]);
    if (!ref) return ref.error();
    p.context = std::move(*ref);
  }
  return p;
}

}  // namespace kev
