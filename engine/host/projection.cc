#include "engine/host/projection.h"

#include <charconv>
#include <iterator>

#include "engine/core/record_fields.h"

namespace kev {

namespace {

constexpr std::string_view kPrefix[] = {"cand:", "req:", "prep:"};

}  // namespace

std::string ProjectionKey(Subject subject) {
  return std::string(kPrefix[static_cast<size_t>(subject.kind)]) + std::to_string(subject.number);
}

std::optional<Subject> SubjectOf(std::string_view key) {
  for (size_t kind = 0; kind < std::size(kPrefix); ++kind) {
    if (!key.starts_with(kPrefix[kind])) continue;
    const char* begin = key.data() + kPrefix[kind].size();
    const char* end = key.data() + key.size();
    Subject subject{static_cast<SubjectKind>(kind), 0};
    const auto [at, error] = std::from_chars(begin, end, subject.number);
    if (error == std::errc() && at == end && subject.number > 0) return subject;
  }
  return std::nullopt;
}

bool IsOver(const RunCore& core, Subject subject) {
  const size_t number = subject.number;
  if (subject.kind == SubjectKind::kCandidate) {
    const Candidate* c = core.candidates().Find(number);
    return c != nullptr ? c->ended : number <= core.candidates().size();
  }
  if (subject.kind != SubjectKind::kRequest) return false;
  const ProposeRequest* r = core.requests().Find(number);
  return r != nullptr ? r->outcome.state != StepOutcome::State::kOpen
                      : number <= core.requests().size();
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
