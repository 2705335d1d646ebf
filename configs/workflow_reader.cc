#include "configs/workflow_reader.h"

#include <algorithm>
#include <set>
#include <utility>

#include "configs/section_reader.h"
#include "configs/settings_reader.h"
#include "configs/suggestion.h"

namespace kev {
namespace {

constexpr size_t kMostSteps = 10'000;

const std::vector<std::string> kLaterWorkflowKeys = {"rounds", "include", "defaults", "parameters",
                                                     "env",    "labels",  "outputs",  "priority",
                                                     "cache",  "inputs"};
const std::vector<std::string> kLaterStepKeys = {"foreach", "join",     "max_parallel", "rate",
                                                 "labels",  "priority", "cache",        "env",
                                                 "outputs", "budget",   "workflow",     "command"};

uint32_t DefaultTimeoutMs(StageKind kind) {
  switch (kind) {
    case StageKind::kCompile:
    case StageKind::kSelect:
      return 60'000;
    case StageKind::kVerify:
      return 120'000;
    default:
      return 300'000;
  }
}

// Letters, digits and underscores: an id stands in conditions.
bool IsStepId(std::string_view text) {
  if (text.empty() || text.size() > 63 || (text[0] >= '0' && text[0] <= '9')) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::vector<Field> BudgetFields(Budget* budget) {
  const Reader device = [budget](const YamlNode& node, Report& report) {
    uint64_t ms = 0;
    DurationMs (&ms)(node, report);
    budget->device_s = static_cast<double>(ms) / 1000;
  };
  return {{"candidates", Count(&budget->candidates, 1)},
          {"evaluations", Count(&budget->evaluations, 1)},
          {"wall", DurationMs(&budget->wall_ms)},
          {"device", device},
          {"tokens", Count(&budget->tokens, 1)},
          {"usd", Positive(&budget->usd)}};
}

void ReadStage(const YamlNode& node, Report& report, const StageContract** contract) {
  std::string name;
  Text (&name)(node, report);
  if (name.empty()) return;
  *contract = FindContract(name);
  if (*contract != nullptr) return;
  if (name == "exec" || name == "workflow") {
    report.Error(node.at, "`uses: " + name + "` is not supported by this version of kevolve");
    return;
  }
  std::vector<std::string> known;
  for (const StageContract& c : StageContracts()) {
    if (c.program != "null") known.push_back(c.name);
  }
  report.Error(node.at, "unknown stage '" + name + "'" + DidYouMean(name, known));
}

Reader RetryReader(RetryPolicy* retry) {
  return [retry](const YamlNode& node, Report& report) {
    ReadSection(node, "`retry`",
                {{"max", Count32(&retry->max, 0, 100)},
                 {"base", DurationMs32(&retry->base_ms)},
                 {"cap", DurationMs32(&retry->cap_ms)}},
                report, {"classes", "on"});
    if (retry->base_ms > retry->cap_ms) report.Error(node.at, "`base` is above `cap`");
  };
}

Reader TimeoutReader(Step* step) {
  return [step](const YamlNode& node, Report& report) {
    if (!node.IsMap()) {
      DurationMs32 (&step->timeout_running_ms)(node, report);
      return;
    }
    ReadSection(node, "`timeout`",
                {{"running", DurationMs32(&step->timeout_running_ms)},
                 {"queued", DurationMs32(&step->timeout_queued_ms)}},
                report, {"no_progress", "candidate"});
  };
}

Reader ResourcesReader(Step* step) {
  return [step](const YamlNode& node, Report& report) {
    std::string quiet;
    ReadSection(node, "`resources`", {{"quiet", TextIn(&quiet, {"host"})}}, report,
                {"memory", "cpus", "gpus", "device", "disk"});
    step->quiet_host = quiet == "host";
  };
}

void ReadStep(const YamlNode& id, const YamlNode& node, WorkflowDraft* draft, Report& report) {
  static const std::set<std::string> kReserved = {"best", "run", "task", "prepare", "and",
                                                  "or",   "not", "true", "false"};
  Step step;
  StepDraft rest;
  step.id = id.text;
  rest.at = id.at;
  if (!IsStepId(id.text)) {
    report.Error(id.at,
                 "a step's id has letters, digits and underscores, and starts with no digit");
  } else if (kReserved.count(id.text)) {
    report.Error(id.at, "'" + id.text + "' has a meaning in conditions and cannot be a step's id");
  }
  const size_t errors = report.ErrorCount();
  const YamlNode* with = nullptr;
  ReadSection(
      node, "step '" + id.text + "'",
      {{"uses", [&](const YamlNode& n, Report& r) { ReadStage(n, r, &rest.contract); }, true},
       {"needs", Keep(&rest.needs)},
       {"when", Keep(&rest.when)},
       {"with", Keep(&with)},
       {"retry", RetryReader(&step.retry)},
       {"timeout", TimeoutReader(&step)},
       {"workers", Count32(&step.workers, 1, 1024)},
       {"resources", ResourcesReader(&step)},
       {"proposes", Keep(&rest.proposes)}},
      report, kLaterStepKeys);
  rest.broken = rest.contract == nullptr || report.ErrorCount() > errors;
  if (rest.contract != nullptr) {
    step.stage = rest.contract->name;
    step.kind = rest.contract->kind;
    step.batch = rest.contract->batch;
    step.stateful = rest.contract->stateful;
    step.facts = FactKinds(*rest.contract);
    step.settings = ReadSettings(*rest.contract, with, with != nullptr ? with->at : id.at, report);
    step.final_fidelity =
        step.kind == StageKind::kProfile && step.settings["rigor"].AsString() == "final";
    if (step.timeout_running_ms == 0) step.timeout_running_ms = DefaultTimeoutMs(step.kind);
  }
  draft->plan.steps.push_back(std::move(step));
  draft->steps.push_back(rest);
}

Reader StepsReader(WorkflowDraft* draft) {
  return [draft](const YamlNode& node, Report& report) {
    if (node.IsMap() && node.entries.empty()) report.Error(node.at, "a workflow needs steps");
    if (node.entries.size() > kMostSteps) {
      report.Error(node.at, "more than " + std::to_string(kMostSteps) + " steps");
      return;
    }
    ReadEach(node, "`steps`", report,
             [&](const YamlNode& id, const YamlNode& step) { ReadStep(id, step, draft, report); });
  };
}

Reader TargetsReader(WorkflowDraft* draft) {
  return [draft](const YamlNode& node, Report& report) {
    std::vector<std::string> names;
    Texts (&names)(node, report);
    draft->target_at = node.at;
    if (!node.IsList() || names.empty()) {
      if (node.IsList()) report.Error(node.at, "a workflow needs a target");
      return;
    }
    if (names.size() > 1) {
      report.Error(node.items[1].at,
                   "more than one target is not supported by this version of kevolve");
    }
    draft->target = names[0];
    draft->target_at = node.items[0].at;
  };
}

Reader InFlightReader(uint32_t* in_flight) {
  return [in_flight](const YamlNode& node, Report& report) {
    if (node.text == "auto") return;
    if (!node.IsScalar() || (!node.text.empty() && (node.text[0] < '0' || node.text[0] > '9'))) {
      report.Error(node.at, "must be a whole number or auto, not " + Describe(node));
      return;
    }
    Count32(in_flight, 1, 1'000'000)(node, report);
  };
}

}  // namespace

WorkflowDraft ReadWorkflow(const YamlNode& root, Report& report) {
  WorkflowDraft draft;
  Plan& plan = draft.plan;
  plan.one_binary_once = true;
  draft.top = draft.task_at = draft.target_at = root.at;
  const Reader task = [&](const YamlNode& node, Report& r) {
    draft.task_at = node.at;
    Text (&draft.task)(node, r);
  };
  const size_t errors = report.ErrorCount();
  size_t errors_in_steps = 0;
  const Reader steps = [&](const YamlNode& node, Report& r) {
    const size_t before = r.ErrorCount();
    StepsReader (&draft)(node, r);
    errors_in_steps = r.ErrorCount() - before;
  };
  const Reader budget = [&](const YamlNode& node, Report& r) {
    ReadSection(node, "`budget`", BudgetFields(&plan.budget), r);
  };
  const Reader stop = [&](const YamlNode& node, Report& r) {
    ReadSection(
        node, "`stop`",
        {{"plateau", Count(&plan.stop.plateau, 1)}, {"speedup", Positive(&plan.stop.speedup)}}, r,
        {"target", "efficiency", "space"});
  };
  ReadSection(root, "a workflow",
              {{"kevolve", FormatVersion(), true},
               {"name", Text(&plan.workflow)},
               {"task", task, true},
               {"targets", TargetsReader(&draft)},
               {"seed", Count(&plan.seed, 0, INT64_MAX)},
               {"budget", budget},
               {"stop", stop},
               {"in_flight", InFlightReader(&plan.in_flight)},
               {"steps", steps, true}},
              report, kLaterWorkflowKeys);
  draft.limits_broken = report.ErrorCount() > errors + errors_in_steps;
  return draft;
}

void OverrideBudget(const std::string& key, const std::string& text, Budget* budget,
                    Report& report) {
  std::vector<std::string> known;
  for (const Field& field : BudgetFields(budget)) {
    known.push_back(field.key);
    if (field.key != key) continue;
    field.read({YamlNode::Kind::kScalar, text, false, {}, {}, {}}, report);
    return;
  }
  report.Error({}, "there is no budget '" + key + "'" + DidYouMean(key, known));
}

}  // namespace kev
