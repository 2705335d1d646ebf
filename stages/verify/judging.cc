#include "stages/verify/judging.h"

#include <utility>

namespace kev {

Verdict VerdictOf(Outcome::Kind kind) {
  switch (kind) {
    case Outcome::Kind::kOk:
      return Verdict::kOk;
    case Outcome::Kind::kCrashed:
      return Verdict::kCrashed;
    case Outcome::Kind::kTimeout:
      return Verdict::kTimeout;
    case Outcome::Kind::kResources:
      return Verdict::kResources;
    case Outcome::Kind::kUnusable:
      return Verdict::kUnusable;
    case Outcome::Kind::kCheated:
      return Verdict::kCheated;
    case Outcome::Kind::kBroken:
      break;
  }
  return Verdict::kUnusable;
}

JobResult Failed(FailureClass failure, std::string message) {
  JobResult result;
  result.failure = Failure{failure, message};
  result.message = std::move(message);
  return result;
}

JobResult Failed(const Error& error) {
  const bool disk = error.code == Code::kDiskFull;
  return Failed(disk ? FailureClass::kDiskFull : FailureClass::kInfrastructure, error.message);
}

JobResult Refused(Verdict verdict, std::string message) {
  JobResult result;
  result.verdict = verdict;
  result.message = std::move(message);
  return result;
}

const Target* TargetOf(const LoadedRun& run, const Job& job) {
  for (const Target& target : run.targets) {
    if (target.name == job.target || (job.target.empty() && run.targets.size() == 1))
      return &target;
  }
  return nullptr;
}

std::string SymbolOf(const Artefact& artefact, const Task& task) {
  const std::string& symbol = artefact.launch["symbol"].AsString();
  return symbol.empty() ? task.function : symbol;
}

std::vector<const Artefact*> WithRole(const Job& job, std::string_view role) {
  std::vector<const Artefact*> found;
  for (const Artefact& artefact : job.artefacts) {
    if (artefact.role == role) found.push_back(&artefact);
  }
  return found;
}

void AttachOutput(const std::string& output, const std::string& error, StageContext* context,
                  JobResult* result) {
  if (!output.empty()) result->blobs["stdout"] = context->Attach(output);
  if (!error.empty()) result->blobs["stderr"] = context->Attach(error);
}

}  // namespace kev
