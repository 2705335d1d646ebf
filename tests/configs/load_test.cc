#include "configs/load.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace kev {
namespace {

constexpr const char* kTask = R"(kevolve_task: 1
name: scale
function: scale
axes: [n]
arguments:
  - { name: x, role: in, dtype: f32, dims: [n], fill: ones }
  - { name: y, role: out, dtype: f32, dims: [n] }
workloads: [{ name: small, axes: { n: 4 } }]
domain: { n: [1, 8] }
reference: { source: reference.c }
tolerance: { f32: { rtol: 1.0e-5 } }
baselines: { plain: { source: plain.c, flags: [-O1], libraries: [m] } }
variants: [{ name: v, source: v.c, parameters: { W: [1, 2] } }]
libraries: { m: { link: [-lm] } }
)";
constexpr const char* kTarget = R"(kevolve_target: 1
name: cpu
artefact: shared_library
languages: { .c: { compile: [cc, -o, "{output}", "{source}"] } }
runner: cpu
device: { cores: 1 }
)";
constexpr const char* kWorkflow = R"(kevolve: 1
task: scale
seed: 3
budget: { candidates: 2k, wall: 30m, device: 90s, tokens: 2M, usd: 5 }
stop: { plateau: 80, speedup: 1.5 }
in_flight: 12
steps:
  tune:    { uses: propose/tune }
  build:   { uses: compile, needs: tune, timeout: { running: 20s, queued: 5m }, workers: 2 }
  smoke:   { uses: verify, needs: build, with: { rigor: smoke }, retry: { max: 5, base: 2s, cap: 1m } }
  screen:  { uses: profile, needs: [smoke], timeout: 250ms }
  check:   { uses: verify, needs: screen, when: screen.speedup_high > best.speedup_low }
  confirm: { uses: profile, needs: check, with: { rigor: final }, resources: { quiet: host } }
  pick:    { uses: select, proposes: { tune: { in_flight: 6 } } }
)";

std::map<std::string, std::string> Files() {
  return {{"w/flow.yaml", kWorkflow},
          {"shipped/tasks/scale/task.yaml", kTask},
          {"shipped/tasks/scale/reference.c", "reference"},
          {"shipped/tasks/scale/plain.c", "plain"},
          {"shipped/tasks/scale/v.c", "template"},
          {"shipped/targets/cpu.yaml", kTarget}};
}

LoadedRun Load(const Overrides& overrides = {}) {
  LoadOutcome outcome = LoadRun(MemoryFiles(Files()), "w/flow.yaml", "shipped", overrides);
  REQUIRE_MESSAGE(outcome.run != nullptr, Format(outcome.diagnostics));
  return *outcome.run;
}

TEST_CASE("a workflow becomes a plan with defaults filled in") {
  const Plan plan = Load().plan;
  CHECK(plan.workflow == "flow");
  CHECK(plan.task == "scale");
  CHECK(plan.target == "cpu");
  CHECK(plan.seed == 3);
  CHECK(plan.budget.candidates == 2000);
  CHECK(plan.budget.wall_ms == 1'800'000);
  CHECK(plan.budget.device_s == 90);
  CHECK(plan.budget.tokens == 2'000'000);
  CHECK(plan.stop.plateau == 80);
  CHECK(plan.in_flight == 12);
  CHECK(plan.one_binary_once);
  REQUIRE(plan.steps.size() == 7);
  CHECK(plan.select == uint16_t{6});
  REQUIRE(plan.shares.size() == 1);
  CHECK(plan.shares[0].kind == Share::Kind::kInFlight);
  CHECK(plan.shares[0].amount == 6);

  const Step& tune = plan.steps[0];
  CHECK(tune.kind == StageKind::kPropose);
  CHECK(tune.batch == 64);
  CHECK(tune.stateful);
  CHECK(tune.settings["strategy"] == Value("auto"));
  CHECK(tune.timeout_running_ms == 300'000);
  const Step& build = plan.steps[1];
  CHECK(build.needs == std::vector<uint16_t>{0});
  CHECK(build.timeout_running_ms == 20'000);
  CHECK(build.timeout_queued_ms == 300'000);
  CHECK(build.workers == 2);
  CHECK(plan.steps[2].retry.max == 5);
  CHECK(plan.steps[2].retry.base_ms == 2000);
  CHECK(plan.steps[3].timeout_running_ms == 250);
  CHECK(plan.steps[3].settings["give_up"] == Value("4x"));
  CHECK(plan.steps[4].when.names ==
        std::vector<std::string>{"screen.speedup_high", "best.speedup_low"});
  CHECK(plan.steps[5].final_fidelity);
  CHECK(plan.steps[5].quiet_host);
  CHECK(!plan.steps[3].final_fidelity);
}

TEST_CASE("reference and baselines are prepared in this order, with flags and link words") {
  const Plan plan = Load().plan;
  REQUIRE(plan.prepared.size() == 2);
  CHECK(plan.prepared[0].reference);
  CHECK(plan.prepared[0].source_name == "reference.c");
  CHECK(plan.prepared[1].name == "plain");
  CHECK(ToJson(plan.prepared[1].build) == R"({"flags":["-O1"],"link":["-lm"]})");
}

TEST_CASE("overrides replace task, budget and seed") {
  Overrides overrides;
  overrides.budget = {{"candidates", "50"}, {"wall", "10s"}};
  overrides.seed = "99";
  const Plan plan = Load(overrides).plan;
  CHECK(plan.budget.candidates == 50);
  CHECK(plan.budget.wall_ms == 10'000);
  CHECK(plan.budget.tokens == 2'000'000);
  CHECK(plan.seed == 99);
}

TEST_CASE("a bad override names the option") {
  Overrides overrides;
  overrides.budget = {{"wall", "10"}, {"candidate", "5"}};
  overrides.seed = "x";
  overrides.task = "missing";
  const LoadOutcome outcome = LoadRun(MemoryFiles(Files()), "w/flow.yaml", "shipped", overrides);
  CHECK(outcome.run == nullptr);
  CHECK(Format(outcome.diagnostics) ==
        "--candidate: error: there is no budget 'candidate' (did you mean 'candidates'?)\n"
        "--wall: error: must be a duration with its unit, like 250ms, 30s, 5m or 2h, not '10'\n"
        "--seed: error: must be a whole number (k, M and G may follow: 10k), not 'x'\n"
        "--task: error: task 'missing' is not found: there is no shipped/tasks/missing/task.yaml "
        "and no "
        "missing/task.yaml\n");
}

TEST_CASE("a task beside the workflow comes before a shipped one") {
  std::map<std::string, std::string> files = Files();
  for (const char* const name : {"task.yaml", "reference.c", "plain.c", "v.c"}) {
    files[std::string("w/scale/") + name] = files[std::string("shipped/tasks/scale/") + name];
  }
  files["w/scale/v.c"] = "beside";
  const LoadOutcome outcome = LoadRun(MemoryFiles(files), "w/flow.yaml", "shipped", {});
  REQUIRE(outcome.run != nullptr);
  CHECK(outcome.run->task.variants[0].text == "beside");
}

TEST_CASE("a workflow that is not there is one error") {
  const LoadOutcome outcome = LoadRun(DiskFiles(), "no/such.yaml", "shipped", {});
  CHECK(Format(outcome.diagnostics) ==
        "no/such.yaml: error: cannot read no/such.yaml: No such file or directory\n");
}

TEST_CASE("a bundle gives the same run, under names that say nothing of the machine") {
  Overrides overrides;
  overrides.budget = {{"candidates", "50"}};
  overrides.seed = "99";
  const LoadedRun run = Load(overrides);
  const Value bundle = MakeBundle(run, overrides);
  std::string names;
  for (const auto& [name, text] : bundle["files"].AsMap()) names += name + " ";
  CHECK(names ==
        "flow.yaml targets/cpu.yaml task/plain.c task/reference.c task/task.yaml task/v.c ");

  const Result<LoadedRun> back = OpenBundle(bundle);
  REQUIRE_MESSAGE(back.ok(), back.error().message);
  CHECK(ToValue(back->plan) == ToValue(run.plan));
  CHECK(back->files == run.files);
  CHECK(back->task.variants[0].text == run.task.variants[0].text);
  CHECK(back->targets[0].cores == "1");
  // A bundle of a bundle is the same one again.
  CHECK(EncodeCanonical(MakeBundle(*back, overrides)) == EncodeCanonical(bundle));
}

TEST_CASE("a bundle that is none is refused") {
  CHECK(!OpenBundle(Value()));
  CHECK(!OpenBundle(Value(Value::Map{{"version", Value(2)}})));
  Value bundle = MakeBundle(Load(), {});
  bundle.Set("files", Value(Value::Map{}));
  CHECK(!OpenBundle(bundle));
}

TEST_CASE("hostile YAML is an error within bounds") {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += (j > 0 ? ", " : "") + last;
    bomb += "]\n";
  }
  for (const std::string& text :
       {bomb, std::string(10'000, '['), std::string("a: &a [*a]\n"),
        std::string("\xff\xfe\x00\x01", 4), std::string(9'000'000, 'x')}) {
    const LoadOutcome outcome = LoadRun(MemoryFiles({{"w.yaml", text}}), "w.yaml", "shipped", {});
    CHECK(outcome.run == nullptr);
    CHECK(!outcome.diagnostics.empty());
  }
}

TEST_CASE("every shipped task has a held-out workload, baselines and room for a search") {
  const char* source = std::getenv("KEVOLVE_SOURCE_DIR");
  const std::string tasks = std::string(source != nullptr ? source : ".") + "/configs/tasks/";
  for (const char* const name : {"softmax", "matmul", "rmsnorm", "mapid"}) {
    CAPTURE(name);
    const LoadTaskOutcome outcome = LoadTask(DiskFiles(), tasks + name);
    REQUIRE_MESSAGE(outcome.task != nullptr, Format(outcome.diagnostics));
    const Task& task = *outcome.task;
    CHECK(task.workloads.size() >= 3);
    CHECK(std::count_if(task.workloads.begin(), task.workloads.end(),
                        [](const Workload& w) { return w.held_out; }) == 1);
    CHECK(!task.flops.empty());
    CHECK(!task.bytes.empty());
    CHECK(!task.baselines.empty());
    size_t valid = 0;
    for (const Variant& variant : task.variants) {
      std::vector<size_t> digit(variant.parameters.size(), 0);
      for (bool more = true; more;) {
        Value assignment = Value::Map();
        for (size_t i = 0; i < digit.size(); ++i)
          assignment.Set(variant.parameters[i].name, variant.parameters[i].values[digit[i]]);
        const Result<bool> meets = MeetsConstraints(variant, assignment);
        REQUIRE(meets.ok());
        valid += *meets ? 1 : 0;
        more = false;
        for (size_t i = 0; i < digit.size() && !more; ++i) {
          more = ++digit[i] < variant.parameters[i].values.size();
          if (!more) digit[i] = 0;
        }
      }
    }
    CHECK(valid >= 200);
  }
}

TEST_CASE("every shipped workflow loads with every shipped task, from disk and from its bundle") {
  const char* source = std::getenv("KEVOLVE_SOURCE_DIR");
  const std::string configs = std::string(source != nullptr ? source : ".") + "/configs";
  for (const char* const workflow : {"quickstart", "evolve-and-tune"}) {
    for (const char* const task : {"", "softmax", "matmul", "rmsnorm", "mapid"}) {
      CAPTURE(workflow);
      CAPTURE(task);
      Overrides overrides;
      overrides.task = task;
      const LoadOutcome outcome =
          LoadRun(DiskFiles(), configs + "/workflows/" + workflow + ".yaml", configs, overrides);
      REQUIRE_MESSAGE(outcome.run != nullptr, Format(outcome.diagnostics));
      CHECK(Format(outcome.diagnostics) == "");
      const Result<LoadedRun> back = OpenBundle(MakeBundle(*outcome.run, overrides));
      REQUIRE_MESSAGE(back.ok(), back.error().message);
      CHECK(ToValue(back->plan) == ToValue(outcome.run->plan));
    }
  }
}

}  // namespace
}  // namespace kev
