#include "engine/core/event.h"

#include <array>
#include <charconv>
#include <string_view>

#include "engine/core/packed.h"

namespace kev {
namespace {

constexpr std::array<const char*, 3> kLostReasons = {"worker_died", "engine_restart", "drained"};
constexpr std::array<const char*, 3> kTimeOuts = {"queued", "running", "no_progress"};
constexpr std::array<const char*, 7> kSignals = {
    "pause", "resume", "cancel", "budget", "worker_drained", "retry_dead", "drop_dead"};

template <size_t N>
std::optional<uint8_t> IndexIn(const std::array<const char*, N>& names, std::string_view name) {
  for (size_t i = 0; i < N; ++i) {
    if (name == names[i]) return static_cast<uint8_t>(i);
  }
  return std::nullopt;
}

Error Malformed(const std::string& what) {
  return Error{Code::kCorrupt, "malformed event: " + what};
}

void WriteSubject(Subject subject, PackedWriter out) {
  char text[12];
  text[0] = "crp"[static_cast<size_t>(subject.kind)];
  const char* end = std::to_chars(text + 1, text + sizeof text, subject.number).ptr;
  out.Text({text, static_cast<size_t>(end - text)});
}

struct JobFields {
  JobKey key;
  uint32_t attempt = 0;
};
Result<JobFields> JobFieldsFrom(const PackedView& v) {
  JobFields fields;
  std::optional<Subject> subject;
  int64_t step = -1, index = 0;
  for (PackedItems items(v); items.Next();) {
    const std::string_view key = items.key();
    if (key == "job")
      subject = SubjectFrom(items.value().AsString());
    else if (key == "step")
      step = items.value().AsInt(-1);
    else if (key == "index")
      index = items.value().AsInt(-1);
    else if (key == "attempt")
      fields.attempt = static_cast<uint32_t>(items.value().AsInt());
  }
  const auto fits = [](int64_t i) { return i >= 0 && i <= UINT16_MAX; };
  if (!subject || !fits(step) || !fits(index)) return Malformed("job");
  fields.key = {*subject, static_cast<uint16_t>(step), static_cast<uint16_t>(index)};
  return fields;
}

// Keys in sorted order: attempt … event, index, job … step.
struct Encoder {
  std::string* out;

  void operator()(const RunSubmitted& e) const {
    PackedMap map(out);
    map.Some("about", e.about);
    map.Text("event", "submitted");
    map.Key("plan").Write(ToValue(e.plan));
  }
  void operator()(const JobReported& e) const {
    PackedMap map(out);
    map.Int("attempt", e.attempt);
    map.Text("event", "result");
    map.SomeInt("index", e.key.index);
    WriteSubject(e.key.subject, map.Key("job"));
    if (e.packed.empty())
      Encode(e.result, map.Key("result").out());
    else
      map.Key("result").Raw(e.packed);
    map.Int("step", e.key.step);
    map.SomeText("worker", e.worker);
  }
  void operator()(const AttemptLost& e) const {
    PackedMap map(out);
    map.SomeTrue("alone", e.alone);
    map.Int("attempt", e.attempt);
    map.SomeText("detail", e.detail);
    map.Text("event", "lost");
    map.SomeInt("index", e.key.index);
    WriteSubject(e.key.subject, map.Key("job"));
    map.Text("reason", kLostReasons[static_cast<size_t>(e.reason)]);
    map.Int("step", e.key.step);
    map.SomeTrue("taken", e.taken);
  }
  void operator()(const AttemptTimedOut& e) const {
    PackedMap map(out);
    map.Int("attempt", e.attempt);
    map.Text("event", "timed_out");
    map.SomeInt("index", e.key.index);
    WriteSubject(e.key.subject, map.Key("job"));
    map.Text("kind", kTimeOuts[static_cast<size_t>(e.kind)]);
    map.Int("step", e.key.step);
  }
  void operator()(const OpenAttemptsLost& e) const {
    PackedMap map(out);
    map.SomeText("detail", e.detail);
    map.Text("event", "open_lost");
    PackedWriter writer = map.Key("kept");
    writer.List(e.kept.size());
    for (const auto& [key, attempt] : e.kept) {
      writer.List(4);
      WriteSubject(key.subject, writer);
      writer.Int(key.step);
      writer.Int(key.index);
      writer.Int(attempt);
    }
  }
  void operator()(const CandidatesGiven& e) const {
    PackedMap map(out);
    PackedWriter writer = map.Key("candidates");
    writer.List(e.proposals.size());
    for (const Proposal& proposal : e.proposals) Encode(proposal, out);
    map.Text("event", "given");
    map.SomeTrue("last", e.last);
  }
  void operator()(const Signal& e) const {
    PackedMap map(out);
    map.Some("data", e.data);
    map.Text("event", "signal");
    map.Text("signal", kSignals[static_cast<size_t>(e.kind)]);
  }
  void operator()(const StepDisabled& e) const {
    PackedMap map(out);
    map.Text("event", "step_disabled");
    map.Text("reason", e.reason);
    map.Text("step", e.step);
  }
  void operator()(const InFlightSet& e) const {
    PackedMap map(out);
    map.Text("event", "in_flight");
    map.Int("in_flight", e.in_flight);
  }
  void operator()(const EpochBegun& e) const {
    PackedMap map(out);
    map.Int("decision_version", e.decision_version);
    map.Int("epoch", static_cast<int64_t>(e.epoch));
    map.Text("event", "epoch");
  }
  void operator()(const TimePassed&) const {
    PackedMap map(out);
    map.Text("event", "time");
  }
};

}  // namespace

void Encode(const Event& event, std::string* out) { std::visit(Encoder{out}, event); }

void Encode(const EventGroup& group, std::string* out) {
  PackedMap map(out);
  PackedWriter events = map.Key("events");
  events.List(group.events.size());
  for (const Event& event : group.events) Encode(event, out);
  map.Int("ms", group.run_time_ms);
  map.Int("seq", static_cast<int64_t>(group.first_seq));
}

Result<Event> EventFrom(const PackedView& v) {
  const std::string_view kind = v["event"].AsString();
  if (kind == "result") {
    auto job = JobFieldsFrom(v);
    if (!job) return job.error();
    auto result = JobResultFrom(v["result"]);
    if (!result) return result.error();
    return Event(JobReported{
        job->key, job->attempt, std::move(*result), std::string(v["worker"].AsString()), {}});
  }
  if (kind == "submitted") {
    auto plan = PlanFrom(v["plan"].ToValue());
    if (!plan) return plan.error();
    return Event(RunSubmitted{std::move(*plan), v["about"].ToValue()});
  }
  if (kind == "lost") {
    auto job = JobFieldsFrom(v);
    if (!job) return job.error();
    const auto reason = IndexIn(kLostReasons, v["reason"].AsString());
    if (!reason) return Malformed("reason");
    return Event(AttemptLost{job->key, job->attempt, static_cast<AttemptLost::Reason>(*reason),
                             v["taken"].AsBool(), v["alone"].AsBool(),
                             std::string(v["detail"].AsString())});
  }
  if (kind == "timed_out") {
    auto job = JobFieldsFrom(v);
    if (!job) return job.error();
    const auto which = IndexIn(kTimeOuts, v["kind"].AsString());
    if (!which) return Malformed("kind");
    return Event(
        AttemptTimedOut{job->key, job->attempt, static_cast<AttemptTimedOut::Kind>(*which)});
  }
  if (kind == "open_lost") {
    OpenAttemptsLost lost;
    lost.detail = v["detail"].AsString();
    const PackedView list = v["kept"];
    for (PackedItems items(list); items.Next();) {
      int64_t number[4] = {0, -1, -1, -1};
      std::optional<Subject> subject;
      size_t at = 0;
      for (PackedItems parts(items.value()); parts.Next() && at < 4; ++at) {
        if (at == 0)
          subject = SubjectFrom(parts.value().AsString());
        else
          number[at] = parts.value().AsInt(-1);
      }
      if (!subject || number[1] < 0 || number[2] < 0 || number[3] < 0) return Malformed("kept");
      lost.kept.push_back(
          {{*subject, static_cast<uint16_t>(number[1]), static_cast<uint16_t>(number[2])},
           static_cast<uint32_t>(number[3])});
    }
    return Event(std::move(lost));
  }
  if (kind == "given") {
    CandidatesGiven given;
    given.last = v["last"].AsBool();
    const PackedView list = v["candidates"];
    for (PackedItems items(list); items.Next();) {
      auto proposal = ProposalFrom(items.value());
      if (!proposal) return proposal.error();
      given.proposals.push_back(std::move(*proposal));
    }
    return Event(std::move(given));
  }
  if (kind == "signal") {
    const auto which = IndexIn(kSignals, v["signal"].AsString());
    if (!which) return Malformed("signal");
    return Event(Signal{static_cast<Signal::Kind>(*which), v["data"].ToValue()});
  }
  if (kind == "step_disabled")
    return Event(
        StepDisabled{std::string(v["step"].AsString()), std::string(v["reason"].AsString())});
  if (kind == "in_flight") return Event(InFlightSet{static_cast<uint32_t>(v["in_flight"].AsInt())});
  if (kind == "epoch") {
    return Event(EpochBegun{static_cast<uint64_t>(v["epoch"].AsInt()),
                            static_cast<uint32_t>(v["decision_version"].AsInt())});
  }
  if (kind == "time") return Event(TimePassed{});
  return Malformed("unknown event '" + std::string(kind) + "'");
}

Result<EventGroup> EventGroupFrom(const PackedView& v) {
  EventGroup group;
  group.first_seq = static_cast<uint64_t>(v["seq"].AsInt());
  group.run_time_ms = v["ms"].AsInt();
  const PackedView events = v["events"];
  if (group.first_seq == 0 || events.size() == 0) return Malformed("empty group");
  for (PackedItems items(events); items.Next();) {
    auto event = EventFrom(items.value());
    if (!event) return event.error();
    group.events.push_back(std::move(*event));
  }
  return group;
}

Value ToValue(const Event& event) {
  std::string bytes;
  Encode(event, &bytes);
  return PackedView(bytes).ToValue();
}

Value ToValue(const EventGroup& group) {
  std::string bytes;
  Encode(group, &bytes);
  return PackedView(bytes).ToValue();
}

void AppendSummary(const Event& event, const Plan* plan, std::string* out) {
  const auto job = [&](const char* what, const JobKey& key, uint32_t attempt) {
    char digits[24];
    const auto number = [&](uint64_t n) {
      out->append(digits, std::to_chars(digits, digits + sizeof digits, n).ptr);
    };
    *out += what;
    out->push_back("crp"[static_cast<size_t>(key.subject.kind)]);
    number(key.subject.number);
    out->push_back('/');
    if (plan != nullptr && key.step < plan->steps.size())
      *out += plan->steps[key.step].id;
    else
      number(key.step);
    *out += IndexText(key.index);
    out->push_back('#');
    number(attempt);
    out->push_back(' ');
  };
  if (const auto* reported = std::get_if<JobReported>(&event)) {
    job("result ", reported->key, reported->attempt);
    const JobResult& r = reported->result;
    if (r.failure)
      *out += std::string("failed: ") + Name(r.failure->failure);
    else
      *out += Name(r.verdict);
    if (r.cached) *out += " (cached)";
  } else if (const auto* lost = std::get_if<AttemptLost>(&event)) {
    job("lost ", lost->key, lost->attempt);
    *out += kLostReasons[static_cast<size_t>(lost->reason)];
  } else if (const auto* late = std::get_if<AttemptTimedOut>(&event)) {
    job("timed out ", late->key, late->attempt);
    *out += kTimeOuts[static_cast<size_t>(late->kind)];
  } else if (const auto* submitted = std::get_if<RunSubmitted>(&event)) {
    *out += "submitted " + submitted->plan.workflow + " on " + submitted->plan.task;
  } else if (const auto* open = std::get_if<OpenAttemptsLost>(&event)) {
    *out += "all open attempts lost but " + std::to_string(open->kept.size());
  } else if (const auto* given = std::get_if<CandidatesGiven>(&event)) {
    *out += "given " + std::to_string(given->proposals.size());
  } else if (const auto* signal = std::get_if<Signal>(&event)) {
    *out += std::string("signal ") + kSignals[static_cast<size_t>(signal->kind)];
  } else if (const auto* disabled = std::get_if<StepDisabled>(&event)) {
    *out += "disabled " + disabled->step;
  } else if (const auto* set = std::get_if<InFlightSet>(&event)) {
    *out += "in_flight " + std::to_string(set->in_flight);
  } else if (const auto* epoch = std::get_if<EpochBegun>(&event)) {
    *out += "epoch " + std::to_string(epoch->epoch);
  } else {
    *out += "time";
  }
}

std::string Summary(const Event& event, const Plan* plan) {
  std::string text;
  AppendSummary(event, plan, &text);
  return text;
}

}  // namespace kev
