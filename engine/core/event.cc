#include "engine/core/event.h"

#include <array>
#include <string_view>

namespace kev {
namespace {

constexpr std::array<const char*, 3> kLostReasons = {"worker_died", "engine_restart", "drained"};
constexpr std::array<const char*, 2> kTimeOuts = {"queued", "running"};
constexpr std::array<const char*, 4> kSignals = {"pause", "resume", "cancel", "budget"};

template <size_t N>
std::optional<uint8_t> IndexIn(const std::array<const char*, N>& names, const std::string& name) {
  for (size_t i = 0; i < N; ++i) {
    if (name == names[i]) return static_cast<uint8_t>(i);
  }
  return std::nullopt;
}

Error Malformed(const std::string& what) {
  return Error{Code::kCorrupt, "malformed event: " + what};
}

void SetJob(Value* v, const JobKey& key, uint32_t attempt) {
  v->Set("job", Name(key.subject));
  v->Set("step", static_cast<int64_t>(key.step));
  if (key.index != 0) v->Set("index", static_cast<int64_t>(key.index));
  v->Set("attempt", attempt);
}

Result<JobKey> JobKeyFrom(const Value& v) {
  const auto subject = SubjectFrom(v["job"].AsString());
  const auto fits = [](int64_t i) { return i >= 0 && i <= UINT16_MAX; };
  if (!subject || !fits(v["step"].AsInt(-1)) || !fits(v["index"].AsInt())) return Malformed("job");
  return JobKey{*subject, static_cast<uint16_t>(v["step"].AsInt()),
                static_cast<uint16_t>(v["index"].AsInt())};
}

uint32_t AttemptFrom(const Value& v) { return static_cast<uint32_t>(v["attempt"].AsInt()); }

struct Encoder {
  Value operator()(const RunSubmitted& e) const {
    Value v;
    v.Set("event", "submitted");
    v.Set("plan", ToValue(e.plan));
    v.Set("about", e.about);
    return v;
  }
  Value operator()(const JobReported& e) const {
    Value v;
    v.Set("event", "result");
    SetJob(&v, e.key, e.attempt);
    v.Set("result", ToValue(e.result));
    if (!e.worker.empty()) v.Set("worker", e.worker);
    return v;
  }
  Value operator()(const AttemptLost& e) const {
    Value v;
    v.Set("event", "lost");
    SetJob(&v, e.key, e.attempt);
    v.Set("reason", kLostReasons[static_cast<size_t>(e.reason)]);
    if (e.taken) v.Set("taken", true);
    if (e.alone) v.Set("alone", true);
    if (!e.detail.empty()) v.Set("detail", e.detail);
    return v;
  }
  Value operator()(const AttemptTimedOut& e) const {
    Value v;
    v.Set("event", "timed_out");
    SetJob(&v, e.key, e.attempt);
    v.Set("kind", kTimeOuts[static_cast<size_t>(e.kind)]);
    return v;
  }
  Value operator()(const Signal& e) const {
    Value v;
    v.Set("event", "signal");
    v.Set("signal", kSignals[static_cast<size_t>(e.kind)]);
    if (!e.data.IsNull()) v.Set("data", e.data);
    return v;
  }
  Value operator()(const StepDisabled& e) const {
    Value v;
    v.Set("event", "step_disabled");
    v.Set("step", e.step);
    v.Set("reason", e.reason);
    return v;
  }
  Value operator()(const InFlightSet& e) const {
    Value v;
    v.Set("event", "in_flight");
    v.Set("in_flight", e.in_flight);
    return v;
  }
  Value operator()(const EpochBegun& e) const {
    Value v;
    v.Set("event", "epoch");
    v.Set("epoch", e.epoch);
    v.Set("decision_version", e.decision_version);
    return v;
  }
  Value operator()(const TimePassed&) const {
    Value v;
    v.Set("event", "time");
    return v;
  }
};

}  // namespace

Value ToValue(const Event& event) { return std::visit(Encoder{}, event); }

Result<Event> EventFrom(const Value& v) {
  const std::string& kind = v["event"].AsString();
  if (kind == "result") {
    auto key = JobKeyFrom(v);
    if (!key) return key.error();
    auto result = JobResultFrom(v["result"]);
    if (!result) return result.error();
    return Event(JobReported{*key, AttemptFrom(v), std::move(*result), v["worker"].AsString()});
  }
  if (kind == "submitted") {
    auto plan = PlanFrom(v["plan"]);
    if (!plan) return plan.error();
    return Event(RunSubmitted{std::move(*plan), v["about"]});
  }
  if (kind == "lost") {
    auto key = JobKeyFrom(v);
    if (!key) return key.error();
    const auto reason = IndexIn(kLostReasons, v["reason"].AsString());
    if (!reason) return Malformed("reason");
    return Event(AttemptLost{*key, AttemptFrom(v), static_cast<AttemptLost::Reason>(*reason),
                             v["taken"].AsBool(), v["alone"].AsBool(), v["detail"].AsString()});
  }
  if (kind == "timed_out") {
    auto key = JobKeyFrom(v);
    if (!key) return key.error();
    const auto which = IndexIn(kTimeOuts, v["kind"].AsString());
    if (!which) return Malformed("kind");
    return Event(AttemptTimedOut{*key, AttemptFrom(v), static_cast<AttemptTimedOut::Kind>(*which)});
  }
  if (kind == "signal") {
    const auto which = IndexIn(kSignals, v["signal"].AsString());
    if (!which) return Malformed("signal");
    return Event(Signal{static_cast<Signal::Kind>(*which), v["data"]});
  }
  if (kind == "step_disabled")
    return Event(StepDisabled{v["step"].AsString(), v["reason"].AsString()});
  if (kind == "in_flight") return Event(InFlightSet{static_cast<uint32_t>(v["in_flight"].AsInt())});
  if (kind == "epoch") {
    return Event(EpochBegun{static_cast<uint64_t>(v["epoch"].AsInt()),
                            static_cast<uint32_t>(v["decision_version"].AsInt())});
  }
  if (kind == "time") return Event(TimePassed{});
  return Malformed("unknown event '" + kind + "'");
}

Value ToValue(const EventGroup& group) {
  Value v;
  v.Set("seq", group.first_seq);
  v.Set("ms", group.run_time_ms);
  Value::List events;
  events.reserve(group.events.size());
  for (const Event& event : group.events) events.push_back(ToValue(event));
  v.Set("events", std::move(events));
  return v;
}

Result<EventGroup> EventGroupFrom(const Value& v) {
  EventGroup group;
  group.first_seq = static_cast<uint64_t>(v["seq"].AsInt());
  group.run_time_ms = v["ms"].AsInt();
  const auto& events = v["events"].AsList();
  if (group.first_seq == 0 || events.empty()) return Malformed("empty group");
  for (const Value& item : events) {
    auto event = EventFrom(item);
    if (!event) return event.error();
    group.events.push_back(std::move(*event));
  }
  return group;
}

std::string Summary(const Event& event, const Plan* plan) {
  const auto job = [&](const JobKey& key, uint32_t attempt) {
    std::string text = Name(key.subject) + "/";
    text += plan != nullptr && key.step < plan->steps.size() ? plan->steps[key.step].id
                                                             : std::to_string(key.step);
    if (key.index != 0) text += "[" + std::to_string(key.index) + "]";
    return text + "#" + std::to_string(attempt);
  };
  struct Visitor {
    const decltype(job)& name;
    std::string operator()(const RunSubmitted& e) const {
      return "submitted " + e.plan.workflow + " on " + e.plan.task;
    }
    std::string operator()(const JobReported& e) const {
      std::string text = "result " + name(e.key, e.attempt) + " ";
      text += e.result.failure ? std::string("failed: ") + Name(e.result.failure->failure)
                               : Name(e.result.verdict);
      return e.result.cached ? text + " (cached)" : text;
    }
    std::string operator()(const AttemptLost& e) const {
      return "lost " + name(e.key, e.attempt) + " " + kLostReasons[static_cast<size_t>(e.reason)];
    }
    std::string operator()(const AttemptTimedOut& e) const {
      return "timed out " + name(e.key, e.attempt) + " " + kTimeOuts[static_cast<size_t>(e.kind)];
    }
    std::string operator()(const Signal& e) const {
      return std::string("signal ") + kSignals[static_cast<size_t>(e.kind)];
    }
    std::string operator()(const StepDisabled& e) const { return "disabled " + e.step; }
    std::string operator()(const InFlightSet& e) const {
      return "in_flight " + std::to_string(e.in_flight);
    }
    std::string operator()(const EpochBegun& e) const { return "epoch " + std::to_string(e.epoch); }
    std::string operator()(const TimePassed&) const { return "time"; }
  };
  return std::visit(Visitor{job}, event);
}

}  // namespace kev
