#include "stages/verify/trusted_runs.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "stages/verify/call_shape.h"
#include "stages/verify/task_code.h"

namespace kev {
namespace {

constexpr uint32_t kSlots = 2;

// Puts one set of inputs into a slot.
void Place(const Task& task, const Arrays& inputs, bool in_f64, bool absolute, Arena* arena,
           uint32_t slot) {
  const std::vector<const Argument*> arguments = AllArguments(task);
  for (size_t a = 0; a < arguments.size(); ++a) {
    if (!IsInput(*arguments[a])) continue;
    if (in_f64) {
      const std::string wide = ReferenceInput(*arguments[a], inputs[a], absolute);
      std::memcpy(arena->Array(0, slot, a), wide.data(), wide.size());
    } else {
      std::memcpy(arena->Array(0, slot, a), inputs[a].data(), inputs[a].size());
    }
  }
}

bool AnyConstant(const Task& task) {
  return std::any_of(task.arguments.begin(), task.arguments.end(),
                     [](const Argument& argument) { return argument.constant; });
}

Arrays Taken(const Arena& arena, uint32_t slot) {
  const std::vector<CallArgument>& arguments = arena.calls()[0].arguments;
  Arrays outputs(arguments.size());
  for (size_t a = 0; a < arguments.size(); ++a) {
    if (arguments[a].output()) outputs[a].assign(arena.Array(0, slot, a), arguments[a].bytes());
  }
  return outputs;
}

}  // namespace

TrustedProcess::TrustedProcess(const RunnerOptions& library, const Task& task, bool in_f64,
                               RunnerProcess::Clock::duration deadline)
    : library_(library), task_(task), in_f64_(in_f64), deadline_(deadline) {
  library_.patient = true;
}

TrustedProcess::~TrustedProcess() = default;

Result<bool> TrustedProcess::Judged(const Outcome& outcome) {
  if (outcome.kind == Outcome::Kind::kBroken) return Error{Code::kUnavailable, outcome.message};
  broken_ = outcome.message;
  return outcome.ok();
}

Result<std::unique_ptr<TrustedProcess>> TrustedProcess::Start(
    const RunnerOptions& library, const Task& task, const Axes& axes, bool in_f64,
    RunnerProcess::Clock::duration deadline) {
  std::unique_ptr<TrustedProcess> made(new TrustedProcess(library, task, in_f64, deadline));
  Result<CallSpec> call = CallShape(task, axes, in_f64);
  if (!call.ok()) return call.error();
  auto arena =
      Arena::Make({*call}, {kSlots},
                  library.device.on_host() ? Protection::kInputs : Protection::kNone, /*seed=*/1);
  if (!arena.ok()) return arena.error();
  made->arena_ = std::move(*arena);
  if (Status s = SetLaunches(task, {axes}, &made->library_.device); !s.ok()) return s.error();
  auto process = RunnerProcess::Start(made->library_, *made->arena_);
  if (!process.ok()) return process.error();
  made->process_ = std::move(*process);
  Result<bool> good = made->Judged(made->process_->Prepare());
  if (good.ok() && *good) good = made->Judged(made->process_->Load(deadline));
  if (!good.ok()) return good.error();
  return made;
}

Result<Arrays> TrustedProcess::Run(const Arrays& inputs, bool absolute) {
  if (!broken_.empty()) return Arrays();
  const auto slot = static_cast<uint16_t>(runs_ % kSlots);
  Place(task_, inputs, in_f64_, absolute, arena_.get(), slot);
  OrderTimes times;
  if (!library_.setup.empty() && (runs_ == 0 || AnyConstant(task_))) {
    Result<bool> good = Judged(process_->SetUp(0, deadline_, &times));
    if (!good.ok()) return good.error();
    if (!*good) return Arrays();
  }
  ++runs_;
  Result<bool> good = Judged(process_->Call(0, {&slot, 1}, deadline_, &times));
  if (!good.ok()) return good.error();
  if (!*good) return Arrays();
  call_ns_ = std::max(call_ns_, times.ns);
  if (std::string canary = arena_->BrokenCanary(0, slot); !canary.empty()) {
    broken_ = "it " + canary;
    return Arrays();
  }
  return Taken(*arena_, slot);
}

Result<KeptLibrary> KeptLibrary::Of(const RunnerOptions& library) {
  KeptLibrary kept;
  kept.options_ = library;
  std::ifstream file(library.library, std::ios::binary);
  kept.bytes_.assign(std::istreambuf_iterator<char>(file), {});
  if (!file || kept.bytes_.empty())
    return Error{Code::kUnavailable, "cannot read " + library.library};
  return kept;
}

Result<std::unique_ptr<TrustedProcess>> KeptLibrary::Start(
    const Task& task, const Axes& axes, bool in_f64,
    RunnerProcess::Clock::duration deadline) const {
  std::string path = (std::filesystem::temp_directory_path() / "kevolve-code-XXXXXX").string();
  const int file = mkstemp(path.data());
  if (file < 0) return Error{Code::kUnavailable, "cannot make " + path + " for the task's code"};
  close(file);
  std::ofstream out(path, std::ios::binary);
  out << bytes_;
  out.close();
  RunnerOptions options = options_;
  options.library = path;
  auto started = out ? TrustedProcess::Start(options, task, axes, in_f64, deadline)
                     : Result<std::unique_ptr<TrustedProcess>>(
                           Error{Code::kDiskFull, "cannot write " + path + "; is the disk full?"});
  unlink(path.c_str());  // it has been loaded
  return started;
}

Result<TrustedRuns> RunTrusted(const RunnerOptions& library, const Task& task, const Axes& axes,
                               const std::vector<Arrays>& inputs, bool in_f64, bool absolute,
                               RunnerProcess::Clock::duration deadline) {
  auto process = TrustedProcess::Start(library, task, axes, in_f64, deadline);
  if (!process.ok()) return process.error();
  TrustedRuns runs;
  for (const Arrays& one : inputs) {
    Result<Arrays> outputs = (*process)->Run(one, absolute);
    if (!outputs.ok()) return outputs.error();
    runs.broken = (*process)->broken();
    if (!runs.broken.empty()) break;
    runs.outputs.push_back(std::move(*outputs));
  }
  runs.broken = (*process)->broken();
  runs.call_ns = (*process)->call_ns();
  return runs;
}

}  // namespace kev
