#include "engine/core/result_fit.h"

#include <cmath>

namespace kev {
namespace {

std::string MisfitOfFacts(const Step& step, const Value& facts) {
  if (!facts.IsMap() && !facts.IsNull()) return "its facts are no map";
  const auto fits = [](FactKind kind, const Value& value) {
    switch (kind) {
      case FactKind::kInt:
        return value.IsInt();
      case FactKind::kNumber:
        return value.IsNumber() && std::isfinite(value.AsDouble());
      case FactKind::kBool:
        return value.IsBool();
      case FactKind::kText:
        return value.IsString();
      case FactKind::kList:
        return value.IsList();
      case FactKind::kMap:
        return value.IsMap();
    }
    return false;
  };
  for (const auto& [name, kind] : step.facts) {
    const Value& value = facts[name];
    if (value.IsNull() || fits(kind, value)) continue;
    return "its fact '" + name + "' is no " +
           (kind == FactKind::kNumber ? "finite number" : Name(kind)) + ", as the contract of " +
           step.stage + " says it must be";
  }
  return "";
}

std::string MisfitOfParents(const std::vector<Subject>& parents, size_t candidates) {
  for (const Subject parent : parents) {
    if (parent.kind == SubjectKind::kCandidate && parent.number > 0 && parent.number <= candidates)
      continue;
    return "it names the parent " + Name(parent) + ", which is no candidate of the run";
  }
  return "";
}

}  // namespace

std::string MisfitOf(const Step& step, SubjectKind subject, const JobResult& result,
                     size_t candidates) {
  if (result.verdict == Verdict::kPoison || result.verdict == Verdict::kDuplicate)
    return std::string("its verdict '") + Name(result.verdict) + "' is the engine's to give";
  std::string misfit = MisfitOfFacts(step, result.facts);
  if (!misfit.empty() || result.verdict != Verdict::kOk) return misfit;
  if (step.kind == StageKind::kCompile && result.artefacts.empty())
    return "it says that the candidate compiled, and brings no artefact";
  const bool measured = step.kind == StageKind::kProfile && subject == SubjectKind::kCandidate;
  if (measured && step.facts.contains("speedup") && !result.facts.Has("speedup"))
    return "it says that the candidate was measured, and brings no 'speedup'";
  for (const Proposal& proposal : result.proposals) {
    misfit = MisfitOfParents(proposal.parents, candidates);
    if (!misfit.empty()) return misfit;
  }
  for (const Request& request : result.requests) {
    misfit = MisfitOfParents(request.parents, candidates);
    if (!misfit.empty()) return misfit;
  }
  return "";
}

void ForEachBlob(const JobResult& result, const std::function<bool(const BlobRef&)>& each) {
  const auto go_on = [&](const BlobRef& ref) { return ref.empty() || each(ref); };
  for (const auto& [name, ref] : result.blobs) {
    if (!go_on(ref)) return;
  }
  for (const Artefact& artefact : result.artefacts) {
    if (!go_on(artefact.blob)) return;
  }
  for (const Proposal& proposal : result.proposals) {
    if (!go_on(proposal.source)) return;
  }
}

}  // namespace kev
