// kevolve: parses the command line and calls the subcommand. The only translation unit that
// includes CLI11 (7 s).
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>

#include "configs/suggestion.h"
#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/version.h"

namespace {

void AddOverrides(CLI::App* app, kev::Overrides* overrides) {
  app->add_option("--task", overrides->task,
                  "Task to optimise instead of the workflow's: a shipped name or a folder");
  app->add_option("--target", overrides->target,
                  "Target to compile for and run on instead of the workflow's");
  app->add_option("--seed", overrides->seed, "Seed of all random choices");
  for (const char* key : {"candidates", "evaluations", "wall", "tokens", "usd"}) {
    app->add_option_function<std::string>(
        std::string("--") + key,
        [overrides, key](const std::string& text) { overrides->budget[key] = text; },
        std::string("Budget: ") + key + ", as in the workflow file");
  }
}

void AddEngine(CLI::App* app, kev::RunOptions* options) {
  app->add_option(
         "--durability", options->durability,
         "strict: synced before every answer; normal: each second; fast: when the kernel likes")
      ->check(CLI::IsMember({"strict", "normal", "fast"}))
      ->capture_default_str();
  app->add_option("--listen", options->listen, "Let workers join over tcp://ADDRESS:PORT as well");
  app->add_flag("--insecure", options->insecure,
                "Allow --listen beyond loopback, without keys or encryption");
  app->add_flag("--json", options->json, "Print JSON lines; the last one is the result");
  app->add_flag("--quiet", options->quiet, "No progress, only the closing report");
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

  int exit_code = kev::kExitInternal;
  kev::RunOptions run;
  auto* run_app = app.add_subcommand("run", "Run a workflow to its end");
  run_app->add_option("workflow", run.workflow, "Workflow file (YAML)")->required();
  AddOverrides(run_app, &run.overrides);
  AddEngine(run_app, &run);
  run_app->callback([&] { exit_code = kev::RunCommand(run); });

  kev::RunOptions resume;
  auto* resume_app = app.add_subcommand("resume", "Go on with a run that was interrupted");
  resume_app->add_option("run", resume.run, "Run, as `kevolve list` shows it")->required();
  AddEngine(resume_app, &resume);
  resume_app->callback([&] { exit_code = kev::ResumeCommand(resume); });

  kev::LookOptions look;
  auto* replay_app =
      app.add_subcommand("replay", "Fold a run's events again and check every decision");
  auto* list_app = app.add_subcommand("list", "Runs, newest last");
  auto* show_app = app.add_subcommand("show", "A run, or one of its candidates");
  auto* best_app = app.add_subcommand("best", "Source of the best kernel");
  auto* log_app = app.add_subcommand("log", "Events of a run, one a line");
  for (auto* sub : {replay_app, show_app, best_app, log_app}) {
    sub->add_option("run", look.run,
                    "Run, as `kevolve list` shows it, or the path of a .kevrun file")
        ->required();
  }
  for (auto* sub : {replay_app, list_app, show_app, best_app, log_app})
    sub->add_flag("--json", look.json, "Print JSON");
  show_app->add_option("candidate", look.subject,
                       "Candidate (c12), baseline or reference (p1), request (r3)");
  show_app->add_flag("--source", look.source, "Print the source as well");
  best_app->add_option("-o,--output", look.output, "Write the source to this file");
  replay_app->callback([&] { exit_code = kev::ReplayCommand(look); });
  list_app->callback([&] { exit_code = kev::ListCommand(look); });
  show_app->callback([&] { exit_code = kev::ShowCommand(look); });
  best_app->callback([&] { exit_code = kev::BestCommand(look); });
  log_app->callback([&] { exit_code = kev::LogCommand(look); });

  kev::WorkerOptions worker;
  auto* worker_app = app.add_subcommand("worker", "Join a running engine as a stage worker");
  worker_app->add_option("--stage", worker.stage, "propose, compile, verify, profile or select")
      ->required();
  worker_app->add_option(
      "--connect", worker.connect,
      "Endpoint that the engine listens on: tcp://ADDRESS:PORT; without it, those of "
      "the access file");
  worker_app->add_option("--access", worker.access, "The engine's access file: its keys, for tcp");
  worker_app->add_option("--slots", worker.slots, "Jobs at the same time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  worker_app
      ->add_option("--prefetch", worker.prefetch,
                   "Jobs taken beyond the slots; without it, as many as their time asks for")
      ->check(CLI::Range(0, 256));
  worker_app->add_option("--label", worker.labels, "What this worker is: gpu.model=H100");
  worker_app->add_option("--resource", worker.resources, "What this worker has: device=2");
  worker_app->callback([&] { exit_code = kev::WorkerCommand(worker); });

  kev::ValidateOptions validate;
  auto* validate_app = app.add_subcommand("validate", "Check workflow files; nothing runs");
  validate_app->add_option("workflow", validate.workflows, "Workflow files (YAML)")->required();
  AddOverrides(validate_app, &validate.overrides);
  validate_app->callback([&] { exit_code = kev::ValidateCommand(validate); });

  std::vector<std::string> names;
  for (const auto* sub : app.get_subcommands({})) names.push_back(sub->get_name());
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
    return code == 0 ? kev::kExitDone : kev::kExitBadInput;
  }
  return exit_code;
}
