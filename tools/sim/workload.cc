#include "tools/sim/workload.h"

#include <algorithm>
#include <utility>

#include "queue/blob_id.h"
#include "tools/sim/answers.h"

namespace kev::sim {
namespace {

class Drawing {
 public:
  Drawing(std::string name, CounterRandom& random) : random_(random) {
    script_.name = std::move(name);
    Plan& plan = script_.plan;
    plan.workflow = "drawn";
    plan.task = "task";
    plan.target = "cpu";
    plan.seed = random_.Next() >> 2;
  }

  RunScript Draw() {
    if (Chance(3))
      DrawGraph();
    else
      DrawLoop();
    for (Step& step : plan().steps) DrawAttributes(&step);
    DrawBudget();
    return std::move(script_);
  }

 private:
  Plan& plan() { return script_.plan; }
  // True once in `n`.
  bool Chance(uint64_t n) { return random_.Below(n) == 0; }
  uint32_t Between(uint32_t least, uint32_t most) {
    return least + static_cast<uint32_t>(random_.Below(most - least + 1));
  }

  uint16_t Add(const std::string& id, const std::string& stage, StageKind kind,
               const std::vector<uint16_t>& needs, uint16_t search = 0) {
    Step step;
    step.id = id;
    step.stage = stage;
    step.kind = kind;
    step.needs = needs;
    step.search = search;
    step.settings = Value::Map();
    plan().steps.push_back(std::move(step));
    return static_cast<uint16_t>(plan().steps.size() - 1);
  }

  // `name` op `constant`.
  static Program Condition(const std::string& name, Op op, Value constant) {
    Program p;
    p.code = {{Op::kLoad, 0}, {Op::kConst, 0}, {op, 0}};
    p.constants = {std::move(constant)};
    p.names = {name};
    p.text = name;
    return p;
  }

  void DrawLoop() {
    Plan& p = plan();
    std::vector<uint16_t> sources{Add("tune", "propose/tune", StageKind::kPropose, {})};
    p.shares.push_back({sources[0], Share::Kind::kFill, 0});
    if (Chance(2)) {
      sources.push_back(Add("mutate", "propose/llm", StageKind::kPropose, {}));
      p.shares.push_back({sources.back(), Share::Kind::kInFlight, Between(1, 3)});
      if (Chance(2)) {
        p.steps.back().reserve_tokens = Between(1, 20);
        p.steps.back().reserve_usd = static_cast<double>(Between(0, 4)) / 8;
      }
    }
    if (Chance(3)) {
      sources.push_back(Add("draft", "propose/llm", StageKind::kPropose, {}));
      p.shares.push_back({sources.back(), Share::Kind::kFirst, Between(1, 4)});
    }
    const uint16_t build = Add("build", "compile", StageKind::kCompile, sources);
    const uint16_t check = Add("check", "verify", StageKind::kVerify, {build});
    uint16_t last = check;
    if (Chance(3)) {
      const uint16_t lint = Add("lint", "exec/lint", StageKind::kExec, {build});
      p.steps[lint].when = Condition("build.size", Op::kGt, static_cast<int64_t>(Between(0, 90)));
      if (Chance(2)) last = Add("both", "exec/both", StageKind::kExec, {check, lint});
    }
    if (Chance(3)) last = AddBranches(last, build);
    if (Chance(3)) {
      last = Add("screen", "profile", StageKind::kProfile, {last});
      if (Chance(2))
        p.steps[last].when = Condition("build.size", Op::kGt, static_cast<int64_t>(Between(0, 50)));
    }
    if (Chance(4)) last = AddNested(last);
    const uint16_t confirm = Add("confirm", "profile", StageKind::kProfile, {last});
    p.steps[confirm].final_fidelity = true;
    p.steps[confirm].quiet_host = Chance(2);
    if (Chance(3))
      p.steps[confirm].when =
          Condition("best.speedup_low", Op::kLt, 1.0 + static_cast<double>(Between(0, 50)) / 100);
    p.select = Add("pick", "select", StageKind::kSelect, {});
    p.steps.back().stateful = Chance(2);
    p.in_flight = Chance(6) ? 0 : Between(1, 8);
    if (Chance(2)) {
      p.prepared.push_back({"reference", true, RefOf("reference"), "reference.c", Value()});
      if (Chance(2)) p.prepared.push_back({"plain", false, RefOf("plain"), "plain.c", Value()});
    }
    p.one_binary_once = Chance(3);
  }

  // A foreach behind `from`, and mostly a step that joins its branches. Gives the last step.
  uint16_t AddBranches(uint16_t from, uint16_t compile) {
    Plan& p = plan();
    const uint16_t fan = Add("fan", "exec/fan", StageKind::kExec, {from});
    Foreach& foreach = p.steps[fan].foreach;
    const bool artefacts = compile != UINT16_MAX && Chance(3);
    if (artefacts) {
      foreach
        .over = Foreach::Over::kArtefacts;
    } else if (p.steps[from].kind == StageKind::kExec && Chance(2)) {
      foreach
        .over = Foreach::Over::kFact;
      foreach
        .step = from;
      foreach
        .fact = "items";
    } else {
      foreach
        .over = Foreach::Over::kList;
      Value::List items;
      for (uint32_t i = Between(0, 3); i > 0; --i) items.emplace_back("item" + std::to_string(i));
      foreach
        .list = std::move(items);
    }
    uint16_t last = fan;
    if (Chance(2)) {
      last = Add("leg", "exec/leg", StageKind::kExec, {fan});
      if (Chance(2))
        p.steps[last].when = Condition("fan.size", Op::kGt, static_cast<int64_t>(Between(0, 60)));
    }
    last = Add("join", "exec/join", StageKind::kExec, {last});
    p.steps[last].join = Chance(2) ? Join::kAll : Join::kAny;
    return last;
  }

  // A search under each candidate that comes past `from`.
  uint16_t AddNested(uint16_t from) {
    Plan& p = plan();
    const uint16_t inner = Add("inner", "workflow", StageKind::kWorkflow, {from});
    p.steps[inner].nested = 1;
    const uint16_t tune = Add("itune", "propose/tune", StageKind::kPropose, {}, 1);
    const uint16_t build = Add("ibuild", "compile", StageKind::kCompile, {tune}, 1);
    const uint16_t measure = Add("imeasure", "profile", StageKind::kProfile, {build}, 1);
    p.steps[measure].final_fidelity = Chance(2);
    Search search;
    search.budget.candidates = Between(1, 4);
    if (Chance(3)) search.stop.plateau = Between(1, 3);
    search.in_flight = Between(1, 3);
    search.shares.push_back({tune, Share::Kind::kFill, 0});
    search.select = Add("ipick", "select", StageKind::kSelect, {}, 1);
    p.nested.push_back(std::move(search));
    return inner;
  }

  void DrawGraph() {
    Plan& p = plan();
    p.given = true;
    const uint32_t layers = Between(1, 4);
    std::vector<uint16_t> before;
    for (uint32_t layer = 0; layer < layers; ++layer) {
      std::vector<uint16_t> here;
      for (uint32_t i = Between(1, 3); i > 0; --i) {
        std::vector<uint16_t> needs;
        for (const uint16_t step : before) {
          if (Chance(2)) needs.push_back(step);
        }
        if (needs.empty() && !before.empty()) needs.push_back(before[0]);
        here.push_back(Add("s" + std::to_string(layer) + std::to_string(i), "exec/any",
                           StageKind::kExec, needs));
        if (!needs.empty() && Chance(4))
          p.steps.back().when = Condition(p.steps[needs[0]].id + ".size", Op::kGt,
                                          static_cast<int64_t>(Between(0, 90)));
      }
      before = std::move(here);
    }
    if (Chance(2)) AddBranches(before[0], UINT16_MAX);
    const uint32_t batches = Between(1, 3);
    for (uint32_t batch = 0; batch < batches; ++batch) {
      CandidatesGiven given;
      for (uint32_t i = Between(1, 12); i > 0; --i) {
        Proposal proposal;
        proposal.source = RefOf(script_.name + " given " + std::to_string(batch) + " " +
                                std::to_string(Chance(12) ? 0 : i));
        proposal.source_name = "kernel.c";
        given.proposals.push_back(std::move(proposal));
      }
      given.last = batch + 1 == batches;
      script_.given.push_back(std::move(given));
    }
  }

  void DrawAttributes(Step* step) {
    step->retry = {Between(1, 5), Between(0, 300), Between(300, 3000)};
    if (Chance(4)) step->timeout_running_ms = Between(500, 5000);
    if (Chance(8)) step->timeout_queued_ms = Between(1000, 8000);
    if (Chance(6)) step->timeout_no_progress_ms = Between(1500, 6000);
    if (Chance(4)) step->max_running = Between(1, 4);
    if (Chance(6)) {
      step->rate_per_s = Between(2, 40);
      step->rate_burst = Between(1, 4);
    }
    if (Chance(4)) step->priority = static_cast<int32_t>(Between(0, 4)) - 2;
    if (step->kind == StageKind::kPropose) {
      step->batch = Between(1, 4);
    } else if (step->kind != StageKind::kSelect && step->kind != StageKind::kWorkflow) {
      if (Chance(4)) step->resources["device"] = Between(1, 2);
      if (Chance(6)) step->labels["gpu"] = Chance(2) ? "h*" : "h100";
    }
  }

  void DrawBudget() {
    Plan& p = plan();
    if (!p.given) p.budget.candidates = Between(3, 24);
    if (Chance(8)) p.budget.evaluations = Between(3, 12);
    if (Chance(8)) p.budget.wall_ms = Between(5000, 60000);
    if (Chance(8)) p.budget.tokens = Between(100, 600);
    if (Chance(8)) p.budget.usd = Between(5, 40);
    if (Chance(8)) p.stop.plateau = Between(4, 12);
    if (Chance(10)) p.stop.speedup = 1.3;
    if (Chance(5)) p.candidate_timeout_ms = Between(4000, 30000);
  }

  CounterRandom& random_;
  RunScript script_;
};

}  // namespace

std::vector<RunScript> DrawWorkload(CounterRandom& random) {
  std::vector<RunScript> runs;
  const uint64_t count = 1 + random.Below(3);
  for (uint64_t i = 1; i <= count; ++i)
    runs.push_back(Drawing("run" + std::to_string(i), random).Draw());
  return runs;
}

const std::vector<std::string>& AllStages() {
  static const std::vector<std::string> kStages = {
      "propose/tune", "propose/llm", "compile",  "verify",   "profile",   "select",
      "exec/lint",    "exec/both",   "exec/fan", "exec/leg", "exec/join", "exec/any"};
  return kStages;
}

}  // namespace kev::sim
