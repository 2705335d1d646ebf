#include "engine/core/record_fields.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/json.h"

namespace kev {
namespace {

// Writes one object; keys must be given in sorted order, as Value::Map keeps them.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string* out) : out_(out) { out_->push_back('{'); }
  void Close() { out_->push_back('}'); }
  // `key`: has no character that needs an escape.
  std::string* Key(std::string_view key) {
    *out_ += first_ ? "\"" : ",\"";
    first_ = false;
    *out_ += key;
    *out_ += "\":";
    return out_;
  }
  std::string* AnyKey(std::string_view key) {
    if (!first_) out_->push_back(',');
    first_ = false;
    AppendJsonString(key, out_);
    out_->push_back(':');
    return out_;
  }
  void Text(std::string_view key, std::string_view text) { AppendJsonString(text, Key(key)); }
  void Some(std::string_view key, const std::string& text) {
    if (!text.empty()) Text(key, text);
  }
  void Some(std::string_view key, const Value& value) {
    if (!value.IsNull()) AppendJson(value, Key(key));
  }
  void Count(std::string_view key, uint64_t n) { *Key(key) += std::to_string(n); }

 private:
  std::string* out_;
  bool first_ = true;
};

using State = StepOutcome::State;

const char* StateName(State state) {
  static constexpr const char* kNames[] = {"waiting", "open", "passed", "skipped", "ended"};
  return kNames[static_cast<size_t>(state)];
}

void AppendOutcome(const StepOutcome& o, std::string* out) {
  ObjectWriter object(out);
  if (o.state == State::kSkipped) {
    object.Text("state", StateName(o.state));
    object.Close();
    return;
  }
  const bool over = o.state == State::kPassed || o.state == State::kEnded;
  object.Count("attempt", o.attempt);
  if (!o.blobs.empty()) {
    ObjectWriter blobs(object.Key("blobs"));
    for (const auto& [name, ref] : o.blobs) AppendJsonString(ref.sha256, blobs.AnyKey(name));
    blobs.Close();
  }
  if (o.cached) *object.Key("cached") += "true";
  if (o.deaths > 0) object.Count("deaths", o.deaths);
  if (!o.evidence.empty()) {
    std::string* list = object.Key("evidence");
    list->push_back('[');
    for (size_t i = 0; i < o.evidence.size(); ++i) {
      if (i > 0) list->push_back(',');
      AppendJsonString(o.evidence[i], list);
    }
    list->push_back(']');
  }
  object.Some("facts", o.facts);
  if (o.failures > 0) object.Count("failures", o.failures);
  object.Some("message", o.message);
  if (over) object.Count("seq", o.seq);
  object.Text("state", StateName(o.state));
  if (o.usage.tokens_in > 0) object.Count("tokens_in", static_cast<uint64_t>(o.usage.tokens_in));
  if (o.usage.tokens_out > 0) object.Count("tokens_out", static_cast<uint64_t>(o.usage.tokens_out));
  if (over) object.Text("verdict", Name(o.verdict));
  if (o.usage.wall_ms > 0) *object.Key("wall_ms") += FormatDouble(o.usage.wall_ms);
  object.Some("worker", o.worker);
  object.Close();
}

// What of a record does not change after its birth.
std::string BirthJson(const Candidate& c) {
  std::string text;
  text.reserve(256);
  ObjectWriter object(&text);
  object.Text("id", Name(c.view.id));
  object.Text("name", c.view.name);
  object.Some("note", c.note);
  object.Text("origin", c.view.origin);
  object.Some("parameters", c.view.parameters);
  if (!c.view.parents.empty()) {
    std::string* out = object.Key("parents");
    out->push_back('[');
    for (size_t i = 0; i < c.view.parents.size(); ++i) {
      if (i > 0) out->push_back(',');
      AppendJsonString(Name(c.view.parents[i]), out);
    }
    out->push_back(']');
  }
  object.Some("source", c.view.source.sha256);
  object.Some("source_name", c.view.source_name);
  object.Some("variant", c.view.variant);
  object.Close();
  return text;
}

void AppendState(const Candidate& c, RecordFields* out) {
  out->emplace_back("state", c.ended ? "ended" : "active");
  if (c.ended) out->emplace_back("verdict", Name(c.verdict));
  if (!c.message.empty()) out->emplace_back("message", c.message);
  if (!c.ended_by.empty()) out->emplace_back("ended_by", c.ended_by);
  if (c.ended && c.twin != 0)
    out->emplace_back("same_as", Name(Subject{SubjectKind::kCandidate, c.twin}));
}

void AppendArtefacts(const Candidate& c, RecordFields* out) {
  if (c.artefacts.empty()) return;
  std::string text = "[";
  for (const Artefact& a : c.artefacts) {
    if (&a != c.artefacts.data()) text.push_back(',');
    AppendJson(ToValue(a), &text);
  }
  text.push_back(']');
  out->emplace_back("artefacts", std::move(text));
}

void AppendStep(const RunCore& core, const Candidate& c, uint16_t step, uint16_t index,
                const StepOutcome& outcome, RecordFields* out) {
  if (outcome.state == State::kWaiting) return;
  std::string text;
  text.reserve(256);
  AppendOutcome(outcome, &text);
  out->emplace_back("step:" + core.OutcomeLabel(c, step, index), std::move(text));
}

const Candidate* RecordOf(const RunCore& core, Subject subject) {
  if (subject.kind == SubjectKind::kPrepared)
    return subject.number == 0 || subject.number > core.prepared().size()
               ? nullptr
               : &core.prepared()[subject.number - 1].record;
  return core.candidates().Find(subject.number);
}

}  // namespace

RecordFields AllFields(const RunCore& core, Subject subject) {
  RecordFields fields;
  if (subject.kind == SubjectKind::kRequest) {
    // Requests are few: they take the general way.
    const Value record = core.CandidateRecord(subject);
    if (!record.IsNull()) fields.emplace_back("record", ToJson(record));
    return fields;
  }
  const Candidate* c = RecordOf(core, subject);
  if (c == nullptr) return fields;
  fields.emplace_back("record", BirthJson(*c));
  AppendState(*c, &fields);
  AppendArtefacts(*c, &fields);
  for (size_t s = 0; s < c->steps.size(); ++s)
    AppendStep(core, *c, static_cast<uint16_t>(s), 0, c->steps[s], &fields);
  for (const auto& [where, outcome] : c->branches)
    AppendStep(core, *c, where.first, where.second, outcome, &fields);
  for (const auto& [key, outcome] : core.claims()) {
    if (key.subject == subject) AppendStep(core, *c, key.step, key.index, outcome, &fields);
  }
  return fields;
}

void AppendFields(const RunCore& core, const RecordPart& part, RecordFields* out) {
  const Candidate* c =
      part.subject.kind == SubjectKind::kRequest ? nullptr : RecordOf(core, part.subject);
  if (c == nullptr) return;
  switch (part.part) {
    case RecordPart::Part::kAll:
      return;  // AllFields
    case RecordPart::Part::kState:
      return AppendState(*c, out);
    case RecordPart::Part::kArtefacts:
      return AppendArtefacts(*c, out);
    case RecordPart::Part::kStep: {
      const StepOutcome* outcome = nullptr;
      if (part.index >= kFirstClaim) {
        const auto claim = core.claims().find({part.subject, part.step, part.index});
        if (claim != core.claims().end()) outcome = &claim->second;
      } else if (part.index == 0) {
        outcome = &c->steps[part.step];
      } else {
        const auto branch = c->branches.find({part.step, part.index});
        if (branch != c->branches.end()) outcome = &branch->second;
      }
      if (outcome != nullptr) AppendStep(core, *c, part.step, part.index, *outcome, out);
      return;
    }
  }
}

}  // namespace kev
