#include "engine/core/plan.h"

#include <doctest/doctest.h>

#include "tests/engine/support/plans.h"

namespace kev {
namespace {

Plan FullPlan() {
  auto b = testing::LinearPlan();
  b.Reference().Baseline("plain");
  b.First("tune", 3).InFlightShare("tune", 2);
  Plan& p = b.plan();
  p.prepared[1].build.Set("flags", "-O3");
  p.context = testing::RefOf("bundle");
  p.budget = {1, 2, 3, 4.5, 6, 7.5};
  p.stop = {8, 9.5};
  Step& s = b.at("check");
  s.when = testing::Condition("build.size", Op::kLt, 100);
  s.settings.Set("rigor", "smoke");
  s.retry = {5, 6, 7};
  s.timeout_running_ms = 8;
  s.timeout_queued_ms = 9;
  s.quiet_host = true;
  s.batch = 10;
  s.stateful = true;
  s.workers = 11;
  s.facts = {{"worst_error", FactKind::kNumber}, {"isolation", FactKind::kText}};
  return p;
}

TEST_CASE("every field of a plan survives its form in the log") {
  const Plan plan = FullPlan();
  const Result<Plan> back = PlanFrom(ToValue(plan));
  REQUIRE(back.ok());
  CHECK(ToJson(ToValue(*back)) == ToJson(ToValue(plan)));
  CHECK(back->workflow == "linear");
  CHECK(back->task == "matmul");
  CHECK(back->target == "cpu");
  CHECK(back->seed == 7);
  CHECK(back->in_flight == 4);
  CHECK(back->context == plan.context);
  CHECK(back->budget.candidates == 1);
  CHECK(back->budget.evaluations == 2);
  CHECK(back->budget.wall_ms == 3);
  CHECK(back->budget.device_s == 4.5);
  CHECK(back->budget.tokens == 6);
  CHECK(back->budget.usd == 7.5);
  CHECK(back->stop.plateau == 8);
  CHECK(back->stop.speedup == 9.5);
  CHECK(back->steps[2].facts == plan.steps[2].facts);
  CHECK(plan.steps[2].facts.size() == 2);
  CHECK(back->select == plan.select);
  REQUIRE(back->steps.size() == plan.steps.size());
  const Step& s = back->steps[2];
  CHECK(s.id == "check");
  CHECK(s.stage == "verify");
  CHECK(s.kind == StageKind::kVerify);
  CHECK(s.needs == std::vector<uint16_t>{1});
  CHECK(s.when == plan.steps[2].when);
  CHECK(s.settings == plan.steps[2].settings);
  CHECK(s.retry.max == 5);
  CHECK(s.retry.base_ms == 6);
  CHECK(s.retry.cap_ms == 7);
  CHECK(s.timeout_running_ms == 8);
  CHECK(s.timeout_queued_ms == 9);
  CHECK(s.quiet_host);
  CHECK(s.batch == 10);
  CHECK(s.stateful);
  CHECK(s.workers == 11);
  CHECK(back->steps[3].final_fidelity);
  REQUIRE(back->shares.size() == 3);
  CHECK(back->shares[1].kind == Share::Kind::kFirst);
  CHECK(back->shares[1].amount == 3);
  CHECK(back->shares[2].kind == Share::Kind::kInFlight);
  REQUIRE(back->prepared.size() == 2);
  CHECK(back->prepared[0].reference);
  CHECK(back->prepared[1].name == "plain");
  CHECK(back->prepared[1].source == plan.prepared[1].source);
  CHECK(back->prepared[1].source_name == "plain.c");
  CHECK(back->prepared[1].build == plan.prepared[1].build);
}

// The plan's form with one entry of a list of maps changed.
Value Damaged(const char* list, size_t index, const char* key, Value value) {
  Value v = ToValue(FullPlan());
  Value::List items = v[list].AsList();
  items[index].Set(key, std::move(value));
  v.Set(list, std::move(items));
  return v;
}

TEST_CASE("a plan that names what it does not have is refused") {
  Value no_select = ToValue(FullPlan());
  no_select.Set("select", 99);
  Value no_steps = ToValue(FullPlan());
  no_steps.Set("steps", Value::List{});
  const Value bad[] = {
      Value(),
      no_steps,
      no_select,
      Damaged("steps", 1, "needs", Value::List{7}),
      Damaged("steps", 1, "needs", Value::List{-1}),
      Damaged("steps", 1, "needs", Value::List{"build"}),
      Damaged("steps", 1, "kind", "cook"),
      Damaged("steps", 1, "id", ""),
      Damaged("steps", 1, "settings", 3),
      Damaged("steps", 2, "when", "true"),
      Damaged("shares", 0, "step", 55),
      Damaged("shares", 0, "kind", "half"),
      Damaged("prepared", 0, "source", "none"),
  };
  for (const Value& value : bad) {
    const Result<Plan> plan = PlanFrom(value);
    REQUIRE_FALSE(plan.ok());
    CHECK(plan.error().code == Code::kCorrupt);
  }
}

TEST_CASE("a step is found by its id") {
  const Plan plan = FullPlan();
  CHECK(plan.Find("confirm") == 3);
  CHECK_FALSE(plan.Find("confirmed"));
}

}  // namespace
}  // namespace kev
