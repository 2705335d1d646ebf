#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "configs/contract.h"
#include "queue/worker_session.h"
#include "stages/sdk/arguments.h"
#include "stages/sdk/job_context.h"
#include "stages/sdk/stage.h"

namespace kev {
namespace {

using Clock = std::chrono::steady_clock;
constexpr char kDrain = 'd';
constexpr char kQuit = 'q';
int signal_pipe[2] = {-1, -1};
void OnTerminate(int) {
  const int saved = errno;
  [[maybe_unused]] const ssize_t n = write(signal_pipe[1], &kDrain, 1);
  errno = saved;
}

constexpr int kExitUsage = 2;
constexpr int kExitEngineGone = 5;  // or it refuses; as docs/exit-codes.md: the environment

JobResult Failed(std::string message) {
  JobResult result;
  result.failure = Failure{FailureClass::kInfrastructure, std::move(message)};
  return result;
}

JobResult Handle(const StageProgram& program, const Job& job, StageContext& context) {
  try {
    const StageHandler handler = program.handler(job.stage);
    if (!handler) return Failed("kevolve-" + program.program + " does not do stage " + job.stage);
    return handler(job, context);
  } catch (const std::exception& e) {
    return Failed("stage " + job.stage + " failed on " + job.label + ": " + e.what());
  }
}

void Serve(WorkerSession& session, WorkerShared& shared, const StageProgram& program) {
  while (std::optional<WorkItem> item = session.Next()) {
    const auto begun = Clock::now();
    JobResult result;
    std::vector<std::pair<BlobRef, std::string>> blobs;
    {
      JobContext context(&shared, &*item);
      result = Handle(program, item->job, context);
      blobs = context.TakeAttached();
    }
    result.usage.wall_ms = std::chrono::duration<double, std::milli>(Clock::now() - begun).count();
    session.Finish(*item, std::move(result), std::move(blobs));
  }
}

Status Pin(const std::vector<int>& cores) {
  if (cores.empty()) return {};
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(static_cast<size_t>(core), &set);
  if (sched_setaffinity(0, sizeof set, &set) == 0) return {};
  return Error{Code::kInvalid, "--cores: none of these cores can be used here"};
}

}  // namespace

int RunStage(int argc, char** argv, const StageProgram& program) {
  const Result<StageArguments> arguments = ParseStageArguments({argv + 1, argv + argc});
  if (!arguments) {
    std::fprintf(stderr, "kevolve-%s: %s\n%s", program.program.c_str(),
                 arguments.error().message.c_str(), StageUsage(program.program).c_str());
    return kExitUsage;
  }
  if (arguments->help) {
    std::fputs(StageUsage(program.program).c_str(), stdout);
    return 0;
  }
  if (Status s = Pin(arguments->cores); !s.ok()) {
    std::fprintf(stderr, "kevolve-%s: %s\n", program.program.c_str(), s.error().message.c_str());
    return kExitUsage;
  }
  // Ctrl-C in a terminal reaches the whole process group; what it means is the engine's to say.
  signal(SIGINT, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  // A handler and a pipe, not a blocked signal: the children that stages start would inherit the
  // block.
  if (pipe2(signal_pipe, O_CLOEXEC) != 0) {
    std::perror("pipe");
    return kExitUsage;
  }
  struct sigaction action = {};
  action.sa_handler = OnTerminate;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);

  WorkerSessionOptions options;
  options.endpoint = arguments->connect;
  options.access_file = arguments->access;
  options.program = program.program;
  options.slots = arguments->slots;
  options.engine_lost_grace = arguments->engine_lost_grace;
  options.prefetch = arguments->prefetch;
  options.labels = arguments->labels;
  options.resources = arguments->resources;
  options.expires_in = arguments->expires_in;
  options.on_settled = program.on_settled;
  for (const StageContract& contract : StageContracts()) {
    if (program.handler(contract.name)) options.stages.push_back(contract.name);
  }
  Result<std::unique_ptr<WorkerSession>> session = WorkerSession::Open(options);
  if (!session) {
    std::fprintf(stderr, "kevolve-%s: %s\n", program.program.c_str(),
                 session.error().message.c_str());
    const Code code = session.error().code;
    return code == Code::kPermission || code == Code::kUnavailable ? kExitEngineGone : kExitUsage;
  }
  std::thread signals([&] {
    for (char what = 0; read(signal_pipe[0], &what, 1) == 1 && what == kDrain;)
      (*session)->Drain("SIGTERM");
  });
  {
    WorkerShared shared(session->get(), arguments->home, program.program, program.keep_ended);
    std::vector<std::thread> slots;
    for (uint32_t i = 0; i < arguments->slots; ++i) {
      slots.emplace_back([&] { Serve(**session, shared, program); });
    }
    for (std::thread& slot : slots) slot.join();
  }
  // Drained sessions still deliver what is unacknowledged and say BYE.
  const Status ending = (*session)->WaitEnd();
  [[maybe_unused]] const ssize_t n = write(signal_pipe[1], &kQuit, 1);
  signals.join();
  if (ending.ok()) return 0;
  std::fprintf(stderr, "kevolve-%s: %s\n", program.program.c_str(), ending.error().message.c_str());
  return kExitEngineGone;
}

}  // namespace kev
