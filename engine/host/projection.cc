#include "engine/host/projection.h"

#include "engine/core/record_fields.h"

namespace kev {

std::string ProjectionKey(Subject subject) {
  static constexpr const char* kPrefix[] = {"cand:", "req:", "prep:"};
  return kPrefix[static_cast<size_t>(subject.kind)] + std::to_string(subject.number);
}

bool IsOver(const RunCore& core, Subject subject) {
  if (subject.kind == SubjectKind::kCandidate) return core.candidates()[subject.number - 1].ended;
  return subject.kind == SubjectKind::kRequest &&
         core.requests()[subject.number - 1].outcome.state != StepOutcome::State::kOpen;
}

Projection SubjectProjection(const RunCore& core, Subject subject) {
  return {ProjectionKey(subject), AllFields(core, subject), /*anew=*/true};
}

std::vector<Projection> ChangedProjections(const RunCore& core,
                                           const std::vector<RecordPart>& changed) {
  std::vector<Projection> all;
  const RecordPart* last = nullptr;
  for (const RecordPart& part : changed) {
    const bool more = last != nullptr && last->subject == part.subject;
    last = &part;
    if (part.part == RecordPart::Part::kAll) {
      all.push_back(SubjectProjection(core, part.subject));
      continue;
    }
    if (!more) all.push_back({ProjectionKey(part.subject), {}});
    AppendFields(core, part, &all.back().fields);
  }
  return all;
}

Projection RunProjection(const RunCore& core) {
  return {"run", {{"record", ToJson(core.RunRecord())}}};
}

std::vector<Projection> AllProjections(const RunCore& core) {
  std::vector<Projection> all;
  const auto add = [&](SubjectKind kind, uint32_t n) {
    all.push_back(SubjectProjection(core, {kind, n}));
  };
  for (uint32_t n = 1; n <= core.prepared().size(); ++n) add(SubjectKind::kPrepared, n);
  for (uint32_t n = 1; n <= core.requests().size(); ++n) {
    if (core.requests().Find(n) != nullptr) add(SubjectKind::kRequest, n);
  }
  for (const Candidate& c : core.candidates()) add(SubjectKind::kCandidate, c.view.id.number);
  all.push_back(RunProjection(core));
  return all;
}

}  // namespace kev
