#include "engine/core/record_json.h"

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

}  // namespace

std::string CandidateRecordJson(const RunCore& core, Subject subject) {
  // Requests, and candidates that may have claims, are few: they take the general way.
  if (subject.kind == SubjectKind::kRequest || core.has_claims() || core.phase() == Phase::kEnded ||
      (subject.kind == SubjectKind::kCandidate &&
       core.candidates().Find(subject.number) == nullptr)) {
    return ToJson(core.CandidateRecord(subject));
  }
  const Candidate& c = subject.kind == SubjectKind::kPrepared
                           ? core.prepared()[subject.number - 1].record
                           : core.candidates()[subject.number - 1];
  if (!c.widths.empty()) return ToJson(core.CandidateRecord(subject));
  std::string text;
  text.reserve(1024);
  ObjectWriter object(&text);
  if (!c.artefacts.empty()) {
    std::string* out = object.Key("artefacts");
    out->push_back('[');
    for (const Artefact& a : c.artefacts) {
      if (&a != c.artefacts.data()) out->push_back(',');
      AppendJson(ToValue(a), out);
    }
    out->push_back(']');
  }
  object.Some("ended_by", c.ended_by);
  object.Text("id", Name(subject));
  object.Some("message", c.message);
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
  object.Text("state", c.ended ? "ended" : "active");
  // Steps are written in the order of their ids, as a map would keep them.
  std::vector<std::pair<std::string_view, const StepOutcome*>> steps;
  for (size_t s = 0; s < c.steps.size(); ++s) {
    if (c.steps[s].state != State::kWaiting)
      steps.emplace_back(core.plan().steps[s].id, &c.steps[s]);
  }
  std::sort(steps.begin(), steps.end());
  if (!steps.empty()) {
    ObjectWriter by_step(object.Key("steps"));
    for (const auto& [id, outcome] : steps) AppendOutcome(*outcome, by_step.AnyKey(id));
    by_step.Close();
  }
  object.Some("variant", c.view.variant);
  if (c.ended) object.Text("verdict", Name(c.verdict));
  object.Close();
  return text;
}

}  // namespace kev
