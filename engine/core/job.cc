#include "engine/core/job.h"

#include <array>
#include <charconv>
#include <utility>

#include "engine/core/packed.h"

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

// "c12" without an allocation.
void WriteName(Subject subject, PackedWriter out) {
  char text[12];
  text[0] = "crp"[static_cast<size_t>(subject.kind)];
  char* end = std::to_chars(text + 1, text + sizeof text, subject.number).ptr;
  out.Text({text, static_cast<size_t>(end - text)});
}

void WriteSubjects(const std::vector<Subject>& subjects, PackedWriter out) {
  out.List(subjects.size());
  for (const Subject s : subjects) WriteName(s, out);
}

bool ReadSubjects(const PackedView& view, std::vector<Subject>* subjects) {
  for (PackedItems items(view); items.Next();) {
    const auto subject = SubjectFrom(items.value().AsString());
    if (!subject) return false;
    subjects->push_back(*subject);
  }
  return true;
}

template <typename T>
void WriteList(const std::vector<T>& things, PackedWriter out) {
  out.List(things.size());
  for (const T& thing : things) Encode(thing, out.out());
}

template <typename T, typename From>
Status ReadList(const PackedView& view, From from, std::vector<T>* out) {
  for (PackedItems items(view); items.Next();) {
    auto thing = from(items.value());
    if (!thing) return thing.error();
    out->push_back(std::move(*thing));
  }
  return {};
}

template <typename T>
Value Unpacked(const T& thing) {
  std::string bytes;
  Encode(thing, &bytes);
  return PackedView(bytes).ToValue();
}

Result<CandidateView> CandidateViewFrom(const PackedView& v) {
  CandidateView c;
  const auto id = SubjectFrom(v["id"].AsString());
  if (!id) return Malformed("candidate");
  c.id = *id;
  for (PackedItems items(v); items.Next();) {
    const std::string_view key = items.key();
    const PackedView& value = items.value();
    if (key == "name") {
      c.name = value.AsString();
    } else if (key == "origin") {
      c.origin = value.AsString();
    } else if (key == "parents") {
      if (!ReadSubjects(value, &c.parents)) return Malformed("subject");
    } else if (key == "variant") {
      c.variant = value.AsString();
    } else if (key == "parameters") {
      c.parameters = value.ToValue();
    } else if (key == "source") {
      auto ref = BlobRefFrom(value);
      if (!ref) return ref.error();
      c.source = std::move(*ref);
    } else if (key == "source_name") {
      c.source_name = value.AsString();
    } else if (key == "facts") {
      c.facts = value.ToValue();
    }
  }
  return c;
}

Result<Request> RequestFrom(const PackedView& v) {
  Request r;
  r.step = v["step"].AsString();
  r.count = static_cast<uint32_t>(v["count"].AsInt(1));
  if (!ReadSubjects(v["parents"], &r.parents)) return Malformed("subject");
  r.hints = v["hints"].ToValue();
  return r;
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

std::string IndexText(uint16_t index) {
  if (index == 0) return "";
  if (index >= kFirstClaim) return "[claim " + std::to_string(index - kFirstClaim + 1) + "]";
  return "[" + std::to_string(index) + "]";
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

void Encode(const BlobRef& ref, std::string* out) {
  PackedWriter writer(out);
  writer.List(2);
  writer.Text(ref.sha256);
  writer.Int(static_cast<int64_t>(ref.size));
}

Result<BlobRef> BlobRefFrom(const PackedView& v) {
  PackedItems items(v);
  if (v.size() != 2 || !items.Next()) return Malformed("blob reference");
  const std::string_view sha = items.value().AsString();
  if (sha.size() != 64 || !items.Next() || !items.value().IsInt())
    return Malformed("blob reference");
  for (const char c : sha) {
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return Malformed("blob reference");
  }
  return BlobRef{std::string(sha), static_cast<uint64_t>(items.value().AsInt())};
}

void Encode(const Artefact& a, std::string* out) {
  PackedMap map(out);
  Encode(a.blob, map.Key("blob").out());
  map.Text("kind", a.kind);
  map.Some("launch", a.launch);
  map.Text("name", a.name);
  map.Text("role", a.role);
}

Result<Artefact> ArtefactFrom(const PackedView& v) {
  Artefact a;
  a.role = v["role"].AsString();
  a.name = v["name"].AsString();
  a.kind = v["kind"].AsString();
  auto ref = BlobRefFrom(v["blob"]);
  if (!ref) return ref.error();
  a.blob = std::move(*ref);
  a.launch = v["launch"].ToValue();
  return a;
}

void Encode(const CandidateView& c, std::string* out) {
  PackedMap map(out);
  map.Some("facts", c.facts);
  WriteName(c.id, map.Key("id"));
  map.Text("name", c.name);
  map.Text("origin", c.origin);
  map.Some("parameters", c.parameters);
  if (!c.parents.empty()) WriteSubjects(c.parents, map.Key("parents"));
  if (!c.source.empty()) Encode(c.source, map.Key("source").out());
  map.SomeText("source_name", c.source_name);
  map.SomeText("variant", c.variant);
}

void Encode(const Request& r, std::string* out) {
  PackedMap map(out);
  map.Int("count", r.count);
  map.Some("hints", r.hints);
  if (!r.parents.empty()) WriteSubjects(r.parents, map.Key("parents"));
  map.Text("step", r.step);
}

void Encode(const Proposal& p, std::string* out) {
  PackedMap map(out);
  map.SomeText("note", p.note);
  map.Some("parameters", p.parameters);
  if (!p.parents.empty()) WriteSubjects(p.parents, map.Key("parents"));
  if (!p.source.empty()) Encode(p.source, map.Key("source").out());
  map.SomeText("source_name", p.source_name);
  map.SomeText("variant", p.variant);
}

Result<Proposal> ProposalFrom(const PackedView& v) {
  Proposal p;
  for (PackedItems items(v); items.Next();) {
    const std::string_view key = items.key();
    const PackedView& value = items.value();
    if (key == "variant") {
      p.variant = value.AsString();
    } else if (key == "parameters") {
      p.parameters = value.ToValue();
    } else if (key == "source") {
      auto ref = BlobRefFrom(value);
      if (!ref) return ref.error();
      p.source = std::move(*ref);
    } else if (key == "source_name") {
      p.source_name = value.AsString();
    } else if (key == "parents") {
      if (!ReadSubjects(value, &p.parents)) return Malformed("subject");
    } else if (key == "note") {
      p.note = value.AsString();
    }
  }
  return p;
}

void Encode(const Job& j, std::string* out) {
  PackedMap map(out);
  if (!j.artefacts.empty()) WriteList(j.artefacts, map.Key("artefacts"));
  map.Int("attempt", j.attempt);
  if (j.candidate) Encode(*j.candidate, map.Key("candidate").out());
  if (!j.context.empty()) Encode(j.context, map.Key("context").out());
  map.SomeInt("history_seq", static_cast<int64_t>(j.history_seq));
  map.Int("index", j.key.index);
  map.Some("item", j.item);
  map.Text("label", j.label);
  map.Some("places", j.places);
  if (j.request) Encode(*j.request, map.Key("request").out());
  map.Text("run", j.run);
  map.SomeInt("running_limit_ms", j.running_limit_ms);
  map.Some("secret", j.secret);
  map.Int("seed", static_cast<int64_t>(j.seed));
  map.Some("settings", j.settings);
  map.Text("stage", j.stage);
  map.Text("step", j.step);
  map.Int("step_index", j.key.step);
  WriteName(j.key.subject, map.Key("subject"));
  map.SomeText("target", j.target);
}

Result<Job> JobFrom(const PackedView& v) {
  Job j;
  std::optional<Subject> subject;
  for (PackedItems items(v); items.Next();) {
    const std::string_view key = items.key();
    const PackedView& value = items.value();
    if (key == "run") {
      j.run = value.AsString();
    } else if (key == "subject") {
      subject = SubjectFrom(value.AsString());
    } else if (key == "step_index") {
      j.key.step = static_cast<uint16_t>(value.AsInt());
    } else if (key == "index") {
      j.key.index = static_cast<uint16_t>(value.AsInt());
    } else if (key == "attempt") {
      j.attempt = static_cast<uint32_t>(value.AsInt(1));
    } else if (key == "label") {
      j.label = value.AsString();
    } else if (key == "step") {
      j.step = value.AsString();
    } else if (key == "stage") {
      j.stage = value.AsString();
    } else if (key == "settings") {
      j.settings = value.ToValue();
    } else if (key == "context") {
      auto ref = BlobRefFrom(value);
      if (!ref) return ref.error();
      j.context = std::move(*ref);
    } else if (key == "target") {
      j.target = value.AsString();
    } else if (key == "seed") {
      j.seed = static_cast<uint64_t>(value.AsInt());
    } else if (key == "history_seq") {
      j.history_seq = static_cast<uint64_t>(value.AsInt());
    } else if (key == "running_limit_ms") {
      j.running_limit_ms = static_cast<uint32_t>(value.AsInt());
    } else if (key == "item") {
      j.item = value.ToValue();
    } else if (key == "candidate") {
      auto candidate = CandidateViewFrom(value);
      if (!candidate) return candidate.error();
      j.candidate = std::move(*candidate);
    } else if (key == "artefacts") {
      if (Status s = ReadList(value, ArtefactFrom, &j.artefacts); !s.ok()) return s.error();
    } else if (key == "request") {
      auto request = RequestFrom(value);
      if (!request) return request.error();
      j.request = std::move(*request);
    } else if (key == "places") {
      j.places = value.ToValue();
    } else if (key == "secret") {
      j.secret = value.ToValue();
    }
  }
  if (j.run.empty() || !subject) return Malformed("job");
  j.key.subject = *subject;
  return j;
}

void Encode(const JobResult& r, std::string* out) {
  PackedMap map(out);
  if (!r.artefacts.empty()) WriteList(r.artefacts, map.Key("artefacts"));
  if (!r.blobs.empty()) {
    PackedWriter writer = map.Key("blobs");
    writer.Map(r.blobs.size());
    for (const auto& [name, ref] : r.blobs) {
      writer.Text(name);
      Encode(ref, out);
    }
  }
  map.SomeTrue("cached", r.cached);
  map.SomeTrue("exhausted", r.exhausted);
  map.Some("facts", r.facts);
  if (r.failure) {
    PackedMap failure(map.Key("failure").out());
    failure.Text("class", Name(r.failure->failure));
    failure.Text("message", r.failure->message);
  }
  map.SomeText("message", r.message);
  if (!r.proposals.empty()) WriteList(r.proposals, map.Key("proposals"));
  if (!r.requests.empty()) WriteList(r.requests, map.Key("requests"));
  const Usage& u = r.usage;
  if (u.tokens_in != 0 || u.tokens_out != 0 || u.usd != 0 || u.device_ms != 0 || u.wall_ms != 0) {
    PackedMap usage(map.Key("usage").out());
    usage.SomeDouble("device_ms", u.device_ms);
    usage.SomeInt("tokens_in", u.tokens_in);
    usage.SomeInt("tokens_out", u.tokens_out);
    usage.SomeDouble("usd", u.usd);
    usage.SomeDouble("wall_ms", u.wall_ms);
  }
  if (r.verdict != Verdict::kOk) map.Text("verdict", Name(r.verdict));
}

Result<JobResult> JobResultFrom(const PackedView& v) {
  if (!v.IsMap()) return Malformed("result");
  JobResult r;
  for (PackedItems items(v); items.Next();) {
    const std::string_view key = items.key();
    const PackedView& value = items.value();
    if (key == "usage") {
      r.usage.tokens_in = value["tokens_in"].AsInt();
      r.usage.tokens_out = value["tokens_out"].AsInt();
      r.usage.usd = value["usd"].AsDouble();
      r.usage.device_ms = value["device_ms"].AsDouble();
      r.usage.wall_ms = value["wall_ms"].AsDouble();
    } else if (key == "facts") {
      r.facts = value.ToValue();
    } else if (key == "message") {
      r.message = value.AsString();
    } else if (key == "verdict") {
      const auto verdict = VerdictFrom(value.AsString());
      if (!verdict) return Malformed("verdict");
      r.verdict = *verdict;
    } else if (key == "failure") {
      const auto failure = FailureClassFrom(value["class"].AsString());
      if (!failure) return Malformed("failure class");
      r.failure = Failure{*failure, std::string(value["message"].AsString())};
    } else if (key == "cached") {
      r.cached = value.AsBool();
    } else if (key == "artefacts") {
      if (Status s = ReadList(value, ArtefactFrom, &r.artefacts); !s.ok()) return s.error();
    } else if (key == "blobs") {
      for (PackedItems blobs(value); blobs.Next();) {
        auto blob = BlobRefFrom(blobs.value());
        if (!blob) return blob.error();
        r.blobs.emplace(blobs.key(), std::move(*blob));
      }
    } else if (key == "proposals") {
      if (Status s = ReadList(value, ProposalFrom, &r.proposals); !s.ok()) return s.error();
      for (const Proposal& p : r.proposals) {
        if (p.source.empty()) return Malformed("proposal: it has no source");
      }
    } else if (key == "requests") {
      if (Status s = ReadList(value, RequestFrom, &r.requests); !s.ok()) return s.error();
    } else if (key == "exhausted") {
      r.exhausted = value.AsBool();
    }
  }
  return r;
}

Value ToValue(const BlobRef& ref) { return Unpacked(ref); }
Value ToValue(const Artefact& artefact) { return Unpacked(artefact); }
Value ToValue(const Job& job) { return Unpacked(job); }
Value ToValue(const JobResult& result) { return Unpacked(result); }

}  // namespace kev
