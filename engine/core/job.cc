#include "engine/core/job.h"

#include <array>
#include <charconv>
#include <utility>

namespace kev {
namespace {

constexpr std::array<std::pair<Verdict, const char*>, 13> kVerdicts = {{
    {Verdict::kOk, "ok"},
    {Verdict::kNoCompile, "no_compile"},
    {Verdict::kWrong, "wrong"},
    {Verdict::kNondeterministic, "nondeterministic"},
    {Verdict::kCrashed, "crashed"},
    {Verdict::kTimeout, "timeout"},
    {Verdict::kResources, "resources"},
    {Verdict::kCheated, "cheated"},
    {Verdict::kImpossible, "impossible"},
    {Verdict::kUnusable, "unusable"},
    {Verdict::kDuplicate, "duplicate"},
    {Verdict::kPoison, "poison"},
    {Verdict::kCancelled, "cancelled"},
}};

constexpr std::array<std::pair<FailureClass, const char*>, 5> kFailures = {{
    {FailureClass::kInfrastructure, "infrastructure"},
    {FailureClass::kRateLimited, "rate_limited"},
    {FailureClass::kDiskFull, "disk_full"},
    {FailureClass::kProviderMissing, "provider_missing"},
    {FailureClass::kTaskBroken, "task_broken"},
}};

Error Malformed(const char* what) {
  return Error{Code::kCorrupt, std::string("malformed ") + what};
}

Value SubjectList(const std::vector<Subject>& subjects) {
  Value::List list;
  for (const Subject s : subjects) list.emplace_back(Name(s));
  return list;
}

Result<std::vector<Subject>> SubjectsFrom(const Value& value) {
  std::vector<Subject> subjects;
  for (const Value& item : value.AsList()) {
    const auto subject = SubjectFrom(item.AsString());
    if (!subject) return Malformed("subject");
    subjects.push_back(*subject);
  }
  return subjects;
}

Result<CandidateView> CandidateViewFrom(const Value& v) {
  CandidateView c;
  const auto id = SubjectFrom(v["id"].AsString());
  if (!id) return Malformed("candidate");
  c.id = *id;
  c.name = v["name"].AsString();
  c.origin = v["origin"].AsString();
  auto parents = SubjectsFrom(v["parents"]);
  if (!parents) return parents.error();
  c.parents = std::move(*parents);
  c.variant = v["variant"].AsString();
  c.parameters = v["parameters"];
  if (v.Has("source")) {
    auto ref = BlobRefFrom(v["source"]);
    if (!ref) return ref.error();
    c.source = std::move(*ref);
  }
  c.source_name = v["source_name"].AsString();
  c.facts = v["facts"];
  return c;
}

Result<Request> RequestFrom(const Value& v) {
  Request r;
  r.step = v["step"].AsString();
  r.count = static_cast<uint32_t>(v["count"].AsInt(1));
  auto parents = SubjectsFrom(v["parents"]);
  if (!parents) return parents.error();
  r.parents = std::move(*parents);
  r.hints = v["hints"];
  return r;
}

Result<Proposal> ProposalFrom(const Value& v) {
  Proposal p;
  p.variant = v["variant"].AsString();
  p.parameters = v["parameters"];
  auto ref = BlobRefFrom(v["source"]);
  if (!ref) return ref.error();
  p.source = std::move(*ref);
  p.source_name = v["source_name"].AsString();
  auto parents = SubjectsFrom(v["parents"]);
  if (!parents) return parents.error();
  p.parents = std::move(*parents);
  p.note = v["note"].AsString();
  return p;
}

// Sets `key` unless the value is what a reader would assume without it.
void SetText(Value* v, const char* key, const std::string& text) {
  if (!text.empty()) v->Set(key, text);
}
void SetSome(Value* v, const char* key, const Value& value) {
  if (!value.IsNull()) v->Set(key, value);
}

}  // namespace

const char* Name(Verdict verdict) {
  for (const auto& [v, name] : kVerdicts) {
    if (v == verdict) return name;
  }
  return "ok";
}

std::optional<Verdict> VerdictFrom(std::string_view name) {
  for (const auto& [v, text] : kVerdicts) {
    if (name == text) return v;
  }
  return std::nullopt;
}

const char* Name(FailureClass failure) {
  for (const auto& [f, name] : kFailures) {
    if (f == failure) return name;
  }
  return "infrastructure";
}

std::optional<FailureClass> FailureClassFrom(std::string_view name) {
  for (const auto& [f, text] : kFailures) {
    if (name == text) return f;
  }
  return std::nullopt;
}

std::string Name(Subject subject) {
  static constexpr char kLetter[] = {'c', 'r', 'p'};
  return kLetter[static_cast<int>(subject.kind)] + std::to_string(subject.number);
}

std::optional<Subject> SubjectFrom(std::string_view name) {
  if (name.size() < 2) return std::nullopt;
  Subject subject;
  switch (name[0]) {
    case 'c':
      subject.kind = SubjectKind::kCandidate;
      break;
    case 'r':
      subject.kind = SubjectKind::kRequest;
      break;
    case 'p':
      subject.kind = SubjectKind::kPrepared;
      break;
    default:
      return std::nullopt;
  }
  const auto [end, error] =
      std::from_chars(name.data() + 1, name.data() + name.size(), subject.number);
  if (error != std::errc() || end != name.data() + name.size() || subject.number == 0)
    return std::nullopt;
  return subject;
}

Value ToValue(const BlobRef& ref) { return Value::List{Value(ref.sha256), Value(ref.size)}; }

Result<BlobRef> BlobRefFrom(const Value& v) {
  const auto& list = v.AsList();
  if (list.size() != 2 || !list[0].IsString() || !list[1].IsInt())
    return Malformed("blob reference");
  const std::string& sha = list[0].AsString();
  if (sha.size() != 64 || sha.find_first_not_of("0123456789abcdef") != std::string::npos) {
    return Malformed("blob reference");
  }
  return BlobRef{sha, static_cast<uint64_t>(list[1].AsInt())};
}

Value ToValue(const Artefact& a) {
  Value v;
  v.Set("blob", ToValue(a.blob));
  v.Set("kind", a.kind);
  v.Set("name", a.name);
  v.Set("role", a.role);
  SetSome(&v, "launch", a.launch);
  return v;
}

Result<Artefact> ArtefactFrom(const Value& v) {
  Artefact a;
  a.role = v["role"].AsString();
  a.name = v["name"].AsString();
  a.kind = v["kind"].AsString();
  auto ref = BlobRefFrom(v["blob"]);
  if (!ref) return ref.error();
  a.blob = std::move(*ref);
  a.launch = v["launch"];
  return a;
}

Value ToValue(const CandidateView& c) {
  Value v;
  v.Set("id", Name(c.id));
  v.Set("name", c.name);
  v.Set("origin", c.origin);
  if (!c.parents.empty()) v.Set("parents", SubjectList(c.parents));
  SetText(&v, "variant", c.variant);
  SetSome(&v, "parameters", c.parameters);
  if (!c.source.empty()) v.Set("source", ToValue(c.source));
  SetText(&v, "source_name", c.source_name);
  SetSome(&v, "facts", c.facts);
  return v;
}

Value ToValue(const Request& r) {
  Value v;
  v.Set("step", r.step);
  v.Set("count", r.count);
  if (!r.parents.empty()) v.Set("parents", SubjectList(r.parents));
  SetSome(&v, "hints", r.hints);
  return v;
}

Value ToValue(const Proposal& p) {
  Value v;
  SetText(&v, "variant", p.variant);
  SetSome(&v, "parameters", p.parameters);
  v.Set("source", ToValue(p.source));
  SetText(&v, "source_name", p.source_name);
  if (!p.parents.empty()) v.Set("parents", SubjectList(p.parents));
  SetText(&v, "note", p.note);
  return v;
}

Value ToValue(const Job& j) {
  Value v;
  v.Set("run", j.run);
  v.Set("subject", Name(j.key.subject));
  v.Set("step_index", static_cast<int64_t>(j.key.step));
  v.Set("index", static_cast<int64_t>(j.key.index));
  v.Set("attempt", j.attempt);
  v.Set("label", j.label);
  v.Set("step", j.step);
  v.Set("stage", j.stage);
  SetSome(&v, "settings", j.settings);
  if (!j.context.empty()) v.Set("context", ToValue(j.context));
  SetText(&v, "target", j.target);
  v.Set("seed", j.seed);
  if (j.history_seq != 0) v.Set("history_seq", j.history_seq);
  if (j.running_limit_ms != 0) v.Set("running_limit_ms", j.running_limit_ms);
  if (j.candidate) v.Set("candidate", ToValue(*j.candidate));
  if (!j.artefacts.empty()) {
    Value::List list;
    for (const Artefact& a : j.artefacts) list.push_back(ToValue(a));
    v.Set("artefacts", std::move(list));
  }
  if (j.request) v.Set("request", ToValue(*j.request));
  SetSome(&v, "places", j.places);
  SetSome(&v, "secret", j.secret);
  return v;
}

Result<Job> JobFrom(const Value& v) {
  Job j;
  j.run = v["run"].AsString();
  const auto subject = SubjectFrom(v["subject"].AsString());
  if (j.run.empty() || !subject) return Malformed("job");
  j.key = {*subject, static_cast<uint16_t>(v["step_index"].AsInt()),
           static_cast<uint16_t>(v["index"].AsInt())};
  j.attempt = static_cast<uint32_t>(v["attempt"].AsInt(1));
  j.label = v["label"].AsString();
  j.step = v["step"].AsString();
  j.stage = v["stage"].AsString();
  j.settings = v["settings"];
  if (v.Has("context")) {
    auto ref = BlobRefFrom(v["context"]);
    if (!ref) return ref.error();
    j.context = std::move(*ref);
  }
  j.target = v["target"].AsString();
  j.seed = static_cast<uint64_t>(v["seed"].AsInt());
  j.history_seq = static_cast<uint64_t>(v["history_seq"].AsInt());
  j.running_limit_ms = static_cast<uint32_t>(v["running_limit_ms"].AsInt());
  if (v.Has("candidate")) {
    auto candidate = CandidateViewFrom(v["candidate"]);
    if (!candidate) return candidate.error();
    j.candidate = std::move(*candidate);
  }
  for (const Value& item : v["artefacts"].AsList()) {
    auto artefact = ArtefactFrom(item);
    if (!artefact) return artefact.error();
    j.artefacts.push_back(std::move(*artefact));
  }
  if (v.Has("request")) {
    auto request = RequestFrom(v["request"]);
    if (!request) return request.error();
    j.request = std::move(*request);
  }
  j.places = v["places"];
  j.secret = v["secret"];
  return j;
}

Value ToValue(const JobResult& r) {
  Value v = Value::Map();
  if (r.failure) {
    Value f;
    f.Set("class", Name(r.failure->failure));
    f.Set("message", r.failure->message);
    v.Set("failure", std::move(f));
  }
  if (r.verdict != Verdict::kOk) v.Set("verdict", Name(r.verdict));
  SetText(&v, "message", r.message);
  SetSome(&v, "facts", r.facts);
  Value usage;
  if (r.usage.tokens_in != 0) usage.Set("tokens_in", r.usage.tokens_in);
  if (r.usage.tokens_out != 0) usage.Set("tokens_out", r.usage.tokens_out);
  if (r.usage.usd != 0) usage.Set("usd", r.usage.usd);
  if (r.usage.device_ms != 0) usage.Set("device_ms", r.usage.device_ms);
  if (r.usage.wall_ms != 0) usage.Set("wall_ms", r.usage.wall_ms);
  SetSome(&v, "usage", usage);
  if (r.cached) v.Set("cached", true);
  if (!r.artefacts.empty()) {
    Value::List list;
    for (const Artefact& a : r.artefacts) list.push_back(ToValue(a));
    v.Set("artefacts", std::move(list));
  }
  if (!r.blobs.empty()) {
    Value blobs;
    for (const auto& [name, ref] : r.blobs) blobs.Set(name, ToValue(ref));
    v.Set("blobs", std::move(blobs));
  }
  if (!r.proposals.empty()) {
    Value::List list;
    for (const Proposal& p : r.proposals) list.push_back(ToValue(p));
    v.Set("proposals", std::move(list));
  }
  if (!r.requests.empty()) {
    Value::List list;
    for (const Request& q : r.requests) list.push_back(ToValue(q));
    v.Set("requests", std::move(list));
  }
  if (r.exhausted) v.Set("exhausted", true);
  return v;
}

Result<JobResult> JobResultFrom(const Value& v) {
  if (!v.IsMap()) return Malformed("result");
  JobResult r;
  if (v.Has("failure")) {
    const Value& f = v["failure"];
    const auto failure = FailureClassFrom(f["class"].AsString());
    if (!failure) return Malformed("failure class");
    r.failure = Failure{*failure, f["message"].AsString()};
  }
  if (v.Has("verdict")) {
    const auto verdict = VerdictFrom(v["verdict"].AsString());
    if (!verdict) return Malformed("verdict");
    r.verdict = *verdict;
  }
  r.message = v["message"].AsString();
  r.facts = v["facts"];
  const Value& usage = v["usage"];
  r.usage.tokens_in = usage["tokens_in"].AsInt();
  r.usage.tokens_out = usage["tokens_out"].AsInt();
  r.usage.usd = usage["usd"].AsDouble();
  r.usage.device_ms = usage["device_ms"].AsDouble();
  r.usage.wall_ms = usage["wall_ms"].AsDouble();
  r.cached = v["cached"].AsBool();
  for (const Value& item : v["artefacts"].AsList()) {
    auto artefact = ArtefactFrom(item);
    if (!artefact) return artefact.error();
    r.artefacts.push_back(std::move(*artefact));
  }
  for (const auto& [name, ref] : v["blobs"].AsMap()) {
    auto blob = BlobRefFrom(ref);
    if (!blob) return blob.error();
    r.blobs.emplace(name, std::move(*blob));
  }
  for (const Value& item : v["proposals"].AsList()) {
    auto proposal = ProposalFrom(item);
    if (!proposal) return proposal.error();
    r.proposals.push_back(std::move(*proposal));
  }
  for (const Value& item : v["requests"].AsList()) {
    auto request = RequestFrom(item);
    if (!request) return request.error();
    r.requests.push_back(std::move(*request));
  }
  r.exhausted = v["exhausted"].AsBool();
  return r;
}

}  // namespace kev
