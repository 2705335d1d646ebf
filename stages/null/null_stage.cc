#include "stages/null/null_stage.h"

#include <string>
#include <utility>

#include "engine/core/random.h"

namespace kev {
namespace {

JobResult Propose(const Job& job, StageContext& context) {
  JobResult result;
  const uint32_t count = job.request ? job.request->count : 1;
  result.proposals.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    const int64_t x =
        static_cast<int64_t>(job.key.subject.number) * 65536 + i;  // distinct over the run
    Proposal proposal;
    proposal.variant = "null";
    proposal.parameters.Set("x", x);
    proposal.source = context.Attach("null " + std::to_string(x));
    proposal.source_name = "null.c";
    if (job.request) proposal.parents = job.request->parents;
    result.proposals.push_back(std::move(proposal));
  }
  return result;
}

JobResult Compile(const Job& job, StageContext& context) {
  JobResult result;
  result.facts.Set("seconds", 0.001);
  result.facts.Set("bytes", 4096);
  Artefact artefact;
  artefact.role = "candidate";
  artefact.name = job.candidate ? job.candidate->name : Name(job.key.subject);
  artefact.kind = "shared_library";
  artefact.blob = context.Attach("null binary");
  artefact.launch.Set("symbol", "null");
  // One blob for all, but each source is code of its own.
  if (job.candidate) artefact.launch.Set("code", job.candidate->source.sha256);
  result.artefacts.push_back(std::move(artefact));
  return result;
}

JobResult Exec(const Job&, StageContext&) { return {}; }

JobResult Verify(const Job&, StageContext&) {
  JobResult result;
  result.facts.Set("workloads", 3);
  result.facts.Set("worst_error", 0.5);
  result.facts.Set("held_out", 1);
  return result;
}

JobResult Profile(const Job& job, StageContext&) {
  // Between 0.5 and 1.5, the same for the same candidate, so that conditions and `best` have
  // something to do.
  const double speedup = 0.5 + static_cast<double>(Mix64(job.key.subject.number) >> 11) * 0x1p-53;
  JobResult result;
  result.facts.Set("speedup", speedup);
  result.facts.Set("speedup_low", speedup * 0.99);
  result.facts.Set("speedup_high", speedup * 1.01);
  result.facts.Set("aa_band", 0.005);
  result.facts.Set("latency_ns", 1000.0 / speedup);
  result.facts.Set("flops", 1e9 * speedup);
  result.facts.Set("bytes", 1e9 * speedup);
  result.facts.Set("launches", 1);
  result.facts.Set("fidelity", job.settings.Has("rigor") ? job.settings["rigor"] : Value("screen"));
  return result;
}

// As a policy does, it brings its fold of the log up to date before it decides.
JobResult Select(const Job& job, StageContext& context) {
  JobResult result;
  std::vector<Subject> parents;
  if (job.history_seq != 0) {
    const Result<const RunCore*> history = context.History();
    if (!history) {
      result.failure = Failure{FailureClass::kInfrastructure, history.error().message};
      return result;
    }
    if ((*history)->best()) parents = {(*history)->best()->candidate};
  }
  for (const auto& [step, places] : job.places.AsMap()) {
    if (places.AsInt() <= 0) continue;
    Request request;
    request.step = step;
    request.count = static_cast<uint32_t>(places.AsInt());
    request.parents = parents;
    result.requests.push_back(std::move(request));
  }
  return result;
}

}  // namespace

StageHandler NullHandler(std::string_view stage) {
  if (stage == "propose/null") return Propose;
  if (stage == "compile/null") return Compile;
  if (stage == "verify/null") return Verify;
  if (stage == "profile/null") return Profile;
  if (stage == "select/null") return Select;
  if (stage == "exec/null") return Exec;
  return nullptr;
}

}  // namespace kev
