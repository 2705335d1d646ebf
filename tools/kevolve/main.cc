// kevolve: parses the command line and calls the subcommand. The only translation unit that
// includes CLI11 (7 s).
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <optional>
#include <tuple>

#include "configs/suggestion.h"
#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/visible_output.h"
#include "tools/version.h"

namespace {

using kev::ControlOptions;
using kev::KeepOptions;

// All that can be written on a command line; one subcommand fills its part of it.
struct Options {
  kev::RunOptions run, resume;
  kev::EngineCommandOptions engine;
  kev::LookOptions look;
  ControlOptions control;
  KeepOptions keep;
  kev::WorkerOptions worker;
  kev::AccessOptions access;
  kev::JudgeCommandOptions judge;
  kev::ValidateOptions validate;
  kev::DoctorOptions doctor;
  int exit_code = kev::kExitInternal;
};

void AddBudget(CLI::App* app, kev::Overrides* overrides, const std::vector<const char*>& keys) {
  for (const char* key : keys) {
    app->add_option_function<std::string>(
        std::string("--") + key,
        [overrides, key](const std::string& text) { overrides->budget[key] = text; },
        std::string("Budget: ") + key + ", as in the workflow file");
  }
}

void AddOverrides(CLI::App* app, kev::Overrides* overrides) {
  app->add_option("--task", overrides->task,
                  "Task to optimise instead of the workflow's: a shipped name or a folder");
  app->add_option("--target", overrides->target,
                  "Target to compile for and run on instead of the workflow's");
  app->add_option("--seed", overrides->seed, "Seed of all random choices");
  AddBudget(app, overrides, {"candidates", "evaluations", "wall", "tokens", "usd"});
}

void AddEngine(CLI::App* app, kev::RunOptions* options) {
  app->add_option(
         "--durability", options->durability,
         "strict: synced before every answer; normal: each second; fast: when the kernel likes")
      ->check(CLI::IsMember({"strict", "normal", "fast"}))
      ->default_str("strict");
  app->add_option("--store", options->store,
                  "Keep the state in this Redis (redis://HOST:PORT, unix:/path) and not in one of "
                  "the engine's own");
  app->add_flag("--force-network-fs", options->force_network_fs,
                "Allow the engine's own Redis on a network file system");
  app->add_option("--keep-free", options->keep_free,
                  "With less free on the disk nothing new is given out")
      ->capture_default_str();
  app->add_option("--listen", options->listen, "Let workers join over tcp://ADDRESS:PORT as well");
  app->add_option("--access", options->access,
                  "Access file: who comes over tcp must have its keys; it is made when it is not "
                  "there");
  app->add_flag("--insecure", options->insecure,
                "Allow --listen beyond loopback, without keys or encryption");
  app->add_flag("--json", options->json, "Print JSON lines; the last one is the result");
  app->add_flag("--quiet", options->quiet, "No progress, only the closing report");
}

void AddSnapshotEvery(CLI::App* app, kev::RunOptions* options) {
  app->add_option("--snapshot-every", options->snapshot_every,
                  "Events between two snapshots, at least; what came before leaves memory and the "
                  "store for files. Not given: 50000, in runs of more than 50,000 candidates only")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 40));
}

void AddRunning(CLI::App& app, Options* o) {
  auto* run = app.add_subcommand("run", "Run a workflow to its end");
  run->add_option("workflow", o->run.workflow, "Workflow file (YAML)")->required();
  AddOverrides(run, &o->run.overrides);
  AddEngine(run, &o->run);
  AddSnapshotEvery(run, &o->run);
  run->add_option("--engine", o->run.engine,
                  "Hand it to this engine and follow it there: an address, or the name of a "
                  "service on this machine");
  run->add_option("--key", o->run.key, "With --engine: a key sent twice gives one run")
      ->check([](const std::string& key) {
        return key.empty() || key.size() > 200 ? "a key is one line of 1 to 200 bytes" : "";
      });
  run->add_option("--weight", o->run.weight, "With --engine: its share beside other runs")
      ->capture_default_str();
  run->add_flag("--detach", o->run.detach, "With --engine: print the run's name and do not wait");
  run->add_option("-o,--output", o->run.output,
                  "With --engine: write the best kernel's source to this file");
  run->callback([o] { o->exit_code = kev::RunCommand(o->run); });

  auto* resume = app.add_subcommand(
      "resume", "Go on with a run: paused, interrupted, or ended and given a larger budget");
  resume->add_option("run", o->resume.run, "Run, as `kevolve list` shows it")->required();
  AddBudget(resume, &o->resume.overrides,
            {"candidates", "evaluations", "wall", "device", "tokens", "usd", "plateau", "speedup"});
  resume->add_option("--retry", o->resume.retry,
                     "Try this job of its dead-letter list again (c12/build); also in a run that "
                     "has ended");
  resume->add_option("--engine", o->resume.engine,
                     "A paused run of this engine goes on there: an address, or the name of a "
                     "service on this machine (--access: its access file)");
  AddEngine(resume, &o->resume);
  AddSnapshotEvery(resume, &o->resume);
  resume->callback([o] { o->exit_code = kev::ResumeCommand(o->resume); });

  auto* engine = app.add_subcommand("engine", "Drive many runs as a service");
  engine->add_option("--name", o->engine.name, "Name of its folder in $KEVOLVE_HOME/engine")
      ->capture_default_str();
  engine->add_flag("--standby", o->engine.standby,
                   "Wait for the engine that has the folder to go, then take over");
  engine
      ->add_option("--workers", o->engine.workers,
                   "auto: start stage processes here as runs need them; none: others bring them")
      ->check(CLI::IsMember({"auto", "none"}))
      ->capture_default_str();
  engine
      ->add_option("--snapshot-every", o->engine.snapshot_every,
                   "Snapshot a run after so many events, and move its log before that from the "
                   "store to a file")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1000000000}))
      ->capture_default_str();
  AddEngine(engine, &o->engine.common);
  engine->callback([o] { o->exit_code = kev::EngineCommand(o->engine); });
}

void AddLooking(CLI::App& app, Options* o) {
  kev::LookOptions* look = &o->look;
  auto* replay = app.add_subcommand("replay", "Fold a run's events again and check every decision");
  auto* list = app.add_subcommand("list", "Runs, newest last");
  auto* show = app.add_subcommand("show", "A run, or one of its candidates");
  auto* best = app.add_subcommand("best", "Source of the best kernel");
  auto* log = app.add_subcommand("log", "Events of a run, one a line");
  for (auto* sub : {replay, show, best, log}) {
    sub->add_option("run", look->run,
                    "Run, as `kevolve list` shows it, or the path of a .kevrun file")
        ->required();
  }
  for (auto* sub : {replay, list, show, best, log})
    sub->add_flag("--json", look->json, "Print JSON");
  show->add_option("candidate", look->subject,
                   "Candidate (c12), baseline or reference (p1), request (r3)");
  show->add_flag("--source", look->source, "Print the source as well");
  best->add_option("-o,--output", look->output, "Write the source to this file");
  replay->callback([o] { o->exit_code = kev::ReplayCommand(o->look); });
  list->callback([o] { o->exit_code = kev::ListCommand(o->look); });
  show->callback([o] { o->exit_code = kev::ShowCommand(o->look); });
  best->callback([o] { o->exit_code = kev::BestCommand(o->look); });
  log->callback([o] { o->exit_code = kev::LogCommand(o->look); });
}

// A subcommand that talks to the engine that has a run.
CLI::App* AddControl(CLI::App& parent, Options* o, const char* name, const char* what,
                     int (*command)(const ControlOptions&), bool run_needed = true) {
  auto* sub = parent.add_subcommand(name, what);
  auto* run = sub->add_option("run", o->control.run, "Run, as `kevolve list` shows it");
  if (run_needed) run->required();
  sub->add_option("--engine", o->control.engine,
                  "The engine that has it, when it is not one of this home: an address or a name");
  sub->add_option("--access", o->control.access, "Access file with keys for tcp");
  sub->add_flag("--json", o->control.json, "Print JSON");
  sub->callback([o, command] { o->exit_code = command(o->control); });
  return sub;
}

void AddControlling(CLI::App& app, Options* o) {
  auto* attach = AddControl(app, o, "attach", "Follow a live run to its end", kev::AttachCommand);
  attach->add_flag("--quiet", o->control.quiet, "No progress, only the closing report");
  attach->add_option("-o,--output", o->control.output,
                     "Write the best kernel's source to this file");
  AddControl(app, o, "pause", "Hold a live run: nothing new is given out", kev::PauseCommand);
  AddControl(app, o, "cancel", "End a live run now", kev::CancelCommand);
  AddControl(app, o, "budget", "Change the limits of a live run", kev::BudgetCommand)
      ->add_option("limits", o->control.words, "candidates=500 wall=10m tokens=2M …")
      ->required();
  AddControl(app, o, "explain", "Why things wait, were skipped or refused", kev::ExplainCommand)
      ->add_option("what", o->control.subject, "Candidate (c12), job (c12/STEP) or step");
  AddControl(app, o, "workers", "Who is connected to an engine", kev::WorkersCommand,
             /*run_needed=*/false);
  auto* drain = app.add_subcommand("drain", "Let one worker finish what it has and leave");
  drain->add_option("worker", o->control.subject, "Worker, as `kevolve workers` shows it")
      ->required();
  drain->add_option("run", o->control.run, "A run of its engine");
  drain->add_option("--engine", o->control.engine, "Its engine: an address or a name");
  drain->add_option("--access", o->control.access, "Access file with the key of an admin");
  drain->add_flag("--json", o->control.json, "Print JSON");
  drain->callback([o] { o->exit_code = kev::DrainCommand(o->control); });

  auto* dlq = app.add_subcommand("dlq", "Dead letters: jobs of a run that were given up");
  dlq->require_subcommand(1);
  AddControl(*dlq, o, "list", "All of them", kev::DlqListCommand);
  for (const auto& [name, what, command] :
       {std::tuple{"show", "One with its evidence", &kev::DlqShowCommand},
        std::tuple{"retry", "Try it again with a clean slate", &kev::DlqRetryCommand},
        std::tuple{"drop", "Take it off the list", &kev::DlqDropCommand}}) {
    AddControl(*dlq, o, name, what, command)
        ->add_option("job", o->control.subject, "Job, as the list shows it: c12/build")
        ->required();
  }
}

void AddKeeping(CLI::App& app, Options* o) {
  KeepOptions* keep = &o->keep;
  const auto add = [&](const char* name, const char* what, int (*command)(const KeepOptions&)) {
    auto* sub = app.add_subcommand(name, what);
    sub->add_flag("--json", keep->json, "Print JSON");
    sub->callback([o, command] { o->exit_code = command(o->keep); });
    return sub;
  };
  add("rm", "Remove runs with all that is kept of them", kev::RmCommand)
      ->add_option("run", keep->runs, "Runs, as `kevolve list` shows them")
      ->required();
  auto* gc = add("gc", "Make room: ended runs and cached files, oldest first", kev::GcCommand);
  gc->add_option("--keep", keep->keep, "The newest N ended runs stay")
      ->check(CLI::Range(0, 1000000));
  gc->add_option("--older-than", keep->older_than, "Only what is older: 30d, 12h");
  gc->add_option("--quota", keep->quota, "Only until runs and cache fit in: 20G");
  gc->add_flag("--dry-run", keep->dry_run, "Only say what would go");
  auto* save = add("export", "Write a run into one archive file", kev::ExportCommand);
  save->add_option("run", keep->runs, "Run")->required()->expected(1);
  save->add_option("-o,--output", keep->output, "The file, NAME.kevrun")->required();
  add("import", "Take a run from an archive file", kev::ImportCommand)
      ->add_option("file", keep->path, "The file, NAME.kevrun")
      ->required();
  auto* fsck = add("fsck", "Check what is stored of a run against its log", kev::FsckCommand);
  fsck->add_option("run", keep->runs, "Run, or the path of a .kevrun file")
      ->required()
      ->expected(1);
  fsck->add_flag("--repair", keep->repair, "Write the projections anew from the log");
}

void AddWorker(CLI::App& app, Options* o) {
  kev::WorkerOptions& worker = o->worker;
  auto* sub = app.add_subcommand("worker", "Join a running engine as a stage worker");
  sub->add_option("--stage", worker.stage, "propose, compile, verify, profile or select")
      ->required();
  sub->add_option("--connect", worker.connect,
                  "Endpoint that the engine listens on: tcp://ADDRESS:PORT; without it, those of "
                  "the access file");
  sub->add_option("--access", worker.access, "The engine's access file: its keys, for tcp");
  sub->add_option("--slots", worker.slots, "Jobs at the same time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  sub->add_option("--prefetch", worker.prefetch,
                  "Jobs taken beyond the slots; without it, as many as their time asks for")
      ->check(CLI::Range(0, 256));
  sub->add_option("--label", worker.labels, "What this worker is: gpu.model=H100");
  sub->add_option("--resource", worker.resources, "What this worker has: device=2");
  sub->add_option("--engine-lost-grace", worker.lost_grace,
                  "How long it waits for an engine that is away: 500ms, 30s, 10m");
  sub->callback([o] { o->exit_code = kev::WorkerCommand(o->worker); });

  auto* access = app.add_subcommand("access", "Write an engine's keys for one role into a file");
  access->add_option("engine", o->access.from, "An engine's name, or the path of its access file")
      ->capture_default_str();
  access->add_option("--role", o->access.role, "Who gets the file: worker, client or admin")
      ->required()
      ->check(CLI::IsMember({"worker", "client", "admin"}));
  access->add_option("-o,--output", o->access.output, "The file to write")->required();
  access->callback([o] { o->exit_code = kev::AccessCommand(o->access); });

  auto* judge = app.add_subcommand(
      "judge",
      "Check and measure one kernel against a task: no engine, no Redis, no configuration");
  judge->add_option("--task", o->judge.task, "Shipped task, or a task folder")->required();
  judge->add_option("--source", o->judge.source, "The kernel's source file")->required();
  judge->add_option("--target", o->judge.target, "Target to compile for and run on")
      ->capture_default_str();
  judge
      ->add_option("--libraries", o->judge.libraries,
                   "Libraries that the task declares, to link the kernel with (a,b or given again)")
      ->delimiter(',');
  judge
      ->add_option("--launches", o->judge.launches,
                   "Process launches of the measurement; without it, as many as a claim needs")
      ->check(CLI::Range(1, 1000));
  judge->add_flag("--screen", o->judge.screen,
                  "Smoke check and screening only: fast, and no ground for a claim");
  judge->add_option("--samples", o->judge.samples,
                    "Write all raw samples to this file: MessagePack, or JSON for a name in .json");
  judge->add_option(
      "--profile", o->judge.profile,
      "Write why it is as slow as it is to this file: JSON, as a model's prompt has it");
  judge->add_flag("--json", o->judge.json, "One object at the end, for programs");
  judge->callback([o] { o->exit_code = kev::JudgeCommand(o->judge); });

  auto* validate = app.add_subcommand(
      "validate", "Check workflow files; nothing runs. Or whether a task can be hacked");
  auto* workflows =
      validate->add_option("workflow", o->validate.workflows, "Workflow files (YAML)");
  AddOverrides(validate, &o->validate.overrides);
  auto* qualify =
      validate
          ->add_option(
              "--qualify", o->validate.qualify,
              "Task whose judge is given outputs that nobody computed (zeros, an input, …): "
              "all must be refused. A shipped name or a folder")
          ->excludes(workflows);
  validate->add_flag("--json", o->validate.json, "With --qualify: one object, for programs")
      ->needs(qualify);
  validate->callback([o] { o->exit_code = kev::ValidateCommand(o->validate); });
}

void AddDoctor(CLI::App& app, Options* o) {
  auto* sub =
      app.add_subcommand("doctor", "What this machine can do, and what is missing for the rest");
  auto* measure = sub->add_flag(
      "--measure", o->doctor.measure,
      "Measure how fast it is: arithmetic, caches, memory, timers; kept for rooflines");
  sub->add_option("--core", o->doctor.core, "The core to measure; without it, the last one")
      ->check(CLI::Range(0, 65535))
      ->needs(measure);
  sub->add_flag("--json", o->doctor.json, "Print JSON");
  sub->callback([o] { o->exit_code = kev::DoctorCommand(o->doctor); });
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "kevolve finds fast kernels: it proposes, compiles, verifies, profiles and selects until the "
      "budget ends."};
  app.require_subcommand(1);
  app.set_version_flag("--version",
                       std::string("kevolve ") + kev::kVersion + " (" + kev::kCommit + ")");
  app.footer(
      "Runs live in $KEVOLVE_HOME (default ~/.local/state/kevolve). Exit codes: "
      "docs/exit-codes.md.");
  // JSON escapes for itself, and `best` may be told to write a source file.
  const std::vector<std::string> words(argv, argv + argc);
  const auto said = [&](const char* word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  const kev::VisibleOutput visible_errors(std::cerr);
  std::optional<kev::VisibleOutput> visible_output;
  if (!said("--json") && !(said("best") && isatty(STDOUT_FILENO) == 0))
    visible_output.emplace(std::cout);

  Options options;
  AddRunning(app, &options);
  AddLooking(app, &options);
  AddControlling(app, &options);
  AddKeeping(app, &options);
  AddWorker(app, &options);
  AddDoctor(app, &options);

  std::vector<std::string> names;
  for (const auto* sub : app.get_subcommands({})) names.push_back(sub->get_name());
  const std::vector<std::string> general = {"--help", "-h", "--version"};
  if (argc > 1 && argv[1][0] == '-' &&
      std::find(general.begin(), general.end(), argv[1]) == general.end()) {
    std::cerr << "kevolve: there is no option '" << argv[1]
              << "' before the subcommand; `kevolve --help` lists what there is" << std::endl;
    return kev::kExitBadInput;
  }
  if (argc > 1 && argv[1][0] != '-' &&
      std::find(names.begin(), names.end(), argv[1]) == names.end()) {
    std::cerr << "kevolve: there is no subcommand '" << argv[1] << "'"
              << kev::DidYouMean(argv[1], names) << "; `kevolve --help` lists them" << std::endl;
    return kev::kExitBadInput;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);  // prints help, version or what is wrong
    if (code == 0) return kev::kExitDone;
    // Whoever reads one object at the end reads one here, too.
    if (said("--json") && (said("judge") || said("validate")))
      return kev::ComplainInJson({kev::Code::kInvalid, error.what()}, kev::kExitBadInput);
    return kev::kExitBadInput;
  }
  return options.exit_code;
}
