// kevolve run: loads and checks the workflow, then drives a new run to its end.
#include <sys/utsname.h>

#include <cstdlib>
#include <ctime>
#include <iostream>

#include "queue/blob_id.h"
#include "tools/kevolve/commands.h"
#include "tools/kevolve/drive.h"
#include "tools/kevolve/follow_run.h"
#include "tools/live/exit_code.h"
#include "tools/version.h"

namespace kev {
namespace {

std::string TimeNow() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

Value About() {
  utsname names{};
  uname(&names);
  Value about;
  about.Set("version", kVersion);
  about.Set("commit", kCommit);
  about.Set("host", std::string(names.nodename));
  about.Set("started", TimeNow());
  return about;
}

// Propose steps that need a model are disabled at once when none is configured: the run goes on
// without them.
void DisableWithoutModel(const Plan& plan, std::vector<Event>* events) {
  const auto from_environment = [](const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && value[0] != '\0';
  };
  for (const Step& step : plan.steps) {
    if (step.stage != "propose/llm") continue;
    const bool endpoint =
        !step.settings["endpoint"].AsString().empty() || from_environment("KEVOLVE_LLM_URL");
    const bool model =
        !step.settings["model"].AsString().empty() || from_environment("KEVOLVE_LLM_MODEL");
    if (endpoint && model) continue;
    events->push_back(StepDisabled{step.id,
                                   "no model is configured (set KEVOLVE_LLM_URL and "
                                   "KEVOLVE_LLM_MODEL, or `endpoint` and `model` of the step)"});
  }
}

// Hands the run to an engine, and follows it there.
int SubmitRun(const RunOptions& options, const Plan& plan,
              std::vector<std::pair<BlobRef, std::string>> blobs) {
  const OutputMode output = OutputOf(options.json, options.quiet);
  if (AsksOfOwnEngine(options)) {
    return Complain({Code::kInvalid,
                     "--store, --durability, --listen, --insecure, --force-network-fs and "
                     "--snapshot-every are for an engine of the run's own; the one that --engine "
                     "names was told its own"});
  }
  auto engine = OpenEngine({options.engine, options.access, ""});
  if (!engine) return Complain(engine.error());
  Value arguments;
  // Without a key of the user's, this call alone is told from others: it may be sent twice.
  arguments.Set("key", options.key.empty() ? NewRunId("key") : options.key);
  arguments.Set("plan", ToValue(plan));
  arguments.Set("about", About());
  arguments.Set("weight", options.weight);
  const auto answer = (*engine)->Call("submit", std::move(arguments), kCallLimit, std::move(blobs));
  if (!answer) return Complain(answer.error());
  const std::string run = (*answer)["run"].AsString();
  if (options.detach) {
    if (output == OutputMode::kJson) {
      Value v;
      v.Set("event", "submitted");
      v.Set("run", run);
      v.Set("known", (*answer)["known"]);
      std::cout << ToJson(v) << std::endl;
    } else {
      std::cout << run << std::endl;
    }
    return kExitDone;
  }
  LiveProgress(output).Started(run, "", plan);
  return FollowRun(**engine, run, output, options.output);
}

}  // namespace

int RunCommand(const RunOptions& options) {
  DiskFiles files;
  LoadOutcome loaded = LoadRun(files, options.workflow, ShippedConfigs(), options.overrides);
  if (!loaded.diagnostics.empty()) std::cerr << Format(loaded.diagnostics);
  if (!loaded.run) return kExitBadInput;
  Plan& plan = loaded.run->plan;

  Beginning beginning;
  const auto keep = [&](std::string bytes) {
    const BlobRef ref = RefOf(bytes);
    beginning.blobs.emplace_back(ref, std::move(bytes));
    return ref;
  };
  const Task& task = loaded.run->task;
  for (Prepared& prepared : plan.prepared) {
    if (prepared.reference) prepared.source = keep(task.reference.text);
    for (const SourceSpec& baseline : task.baselines) {
      if (!prepared.reference && baseline.name == prepared.name)
        prepared.source = keep(baseline.text);
    }
  }
  plan.context = keep(EncodeCanonical(MakeBundle(*loaded.run, options.overrides)));

  if (!options.engine.empty() || (options.detach && !options.access.empty()))
    return SubmitRun(options, plan, std::move(beginning.blobs));
  if (options.detach || !options.key.empty()) {
    return Complain(
        {Code::kInvalid,
         "--detach and --key are for runs that go to an engine: name it with --engine"});
  }

  LiveOptions live;
  const int refused = PrepareLive(options, plan, loaded.run->targets.at(0).cores, &live);
  if (refused != kExitDone) return refused;
  auto folder = CreateRunFolder(NewRunId(plan.task));
  if (!folder) return Complain(folder.error());
  live.folder = *folder;

  beginning.events.push_back(RunSubmitted{plan, About()});
  if (plan.in_flight == 0) beginning.events.push_back(InFlightSet{AutoInFlight(live.processes)});
  DisableWithoutModel(plan, &beginning.events);
  return DriveToEnd(std::move(live), beginning, /*fresh=*/true);
}

}  // namespace kev
