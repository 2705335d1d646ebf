#include "tools/live/engine_calls.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "configs/suggestion.h"
#include "tools/live/explain.h"
#include "tools/live/report.h"

namespace kev {
namespace {

const std::vector<std::string>& Methods() {
  static const std::vector<std::string> kMethods{"submit",  "runs",    "status", "signal",
                                                 "explain", "dlq",     "drain",  "events",
                                                 "blob",    "workers", "ping"};
  return kMethods;
}

std::optional<Signal::Kind> KindFrom(const std::string& name) {
  if (name == "pause") return Signal::Kind::kPause;
  if (name == "resume") return Signal::Kind::kResume;
  if (name == "cancel") return Signal::Kind::kCancel;
  if (name == "budget") return Signal::Kind::kBudget;
  if (name == "retry_dead") return Signal::Kind::kRetryDead;
  if (name == "drop_dead") return Signal::Kind::kDropDead;
  return std::nullopt;
}

Status CheckLimits(const Value& limits) {
  static const std::set<std::string> kWhole{"candidates", "evaluations", "wall_ms", "tokens",
                                            "plateau"};
  static const std::set<std::string> kReal{"device_s", "usd", "speedup"};
  if (limits.AsMap().empty()) return Error{Code::kInvalid, "no budget was given"};
  for (const auto& [key, value] : limits.AsMap()) {
    const bool good = kWhole.contains(key)  ? value.IsInt() && value.AsInt() >= 0
                      : kReal.contains(key) ? value.IsNumber() && value.AsDouble() >= 0
                                            : false;
    if (!good) {
      return Error{Code::kInvalid,
                   "budget " + key + "=" + ToJson(value) +
                       ": candidates, evaluations, wall_ms, tokens and plateau are whole numbers, "
                       "device_s, usd and speedup numbers, none below 0"};
    }
  }
  return {};
}

}  // namespace

EngineCalls::EngineCalls(EngineService* service) : service_(service), feed_(service) {
  service_->host()->on_call = [this](SessionId session, const Hello& hello, ClientCall& call) {
    On(session, hello, call);
  };
}
EngineCalls::~EngineCalls() {
  if (service_->host() != nullptr) service_->host()->on_call = nullptr;
}

void EngineCalls::On(SessionId session, const Hello& hello, ClientCall& call) {
  const auto refuse = [&](const Error& error) {
    service_->host()->Reply(session, {call.id, error, Value()});
  };
  if (hello.role == Role::kWorker)
    return refuse({Code::kPermission, "a worker may not give orders; come as a client"});
  Status later;
  if (call.method == "submit") {
    if (!on_submit) {
      return refuse({Code::kInvalid, "this engine drives " + service_->options().what +
                                         " only; submit to a service (`kevolve engine`)"});
    }
    return on_submit(session, call);
  }
  if (call.method == "signal") {
    later = SignalRun(session, call);
  } else if (call.method == "blob") {
    later = SendBlob(session, call);
  } else if (call.method == "events") {
    const auto folder = FolderOf(call);
    const Value& from = call.arguments["from"];
    if (!from.IsNull() && (!from.IsInt() || from.AsInt() < 1))
      later = Error{Code::kInvalid, "events: `from` is the number of an event, from 1 on"};
    else if (folder)
      feed_.Ask(session, call.id, *folder, static_cast<uint64_t>(call.arguments["from"].AsInt(1)),
                call.arguments["wait_ms"].AsInt(10000));
    else
      later = folder.error();
  } else {
    Result<Value> answer = Answer(hello, call);
    if (!answer) return refuse(answer.error());
    service_->host()->Reply(session, {call.id, Status(), std::move(*answer)});
  }
  if (!later.ok()) refuse(later.error());
}

Result<ServedRun*> EngineCalls::RunOf(const ClientCall& call) {
  const std::string& id = call.arguments["run"].AsString();
  ServedRun* run = service_->Find(id);
  if (run != nullptr && run->hosted != nullptr) return run;
  if (find_ended && find_ended(id)) {
    return Error{Code::kNotFound,
                 "run " + id + " is not live any more; `" + CommandName() + " show` shows it"};
  }
  return Error{Code::kNotFound,
               "this engine (" + service_->options().what + ") does not drive a run '" + id + "'"};
}

Result<RunFolder> EngineCalls::FolderOf(const ClientCall& call) {
  const std::string& id = call.arguments["run"].AsString();
  if (ServedRun* run = service_->Find(id)) return run->folder;
  if (find_ended) return find_ended(id);
  return Error{Code::kNotFound,
               "this engine (" + service_->options().what + ") does not drive a run '" + id + "'"};
}

Result<Value> EngineCalls::Answer(const Hello& hello, const ClientCall& call) {
  if (call.method == "ping") {
    Value v;
    v.Set("engine", service_->options().what);
    v.Set("holder", FolderLock::Holder(service_->options().folder.path));
    return v;
  }
  if (call.method == "runs") return Runs();
  if (call.method == "workers") return Workers();
  if (call.method == "drain") {
    if (hello.role != Role::kAdmin)
      return Error{Code::kPermission, "draining a worker takes the key of an admin"};
    return Drain(call);
  }
  if (call.method != "status" && call.method != "explain" && call.method != "dlq") {
    return Error{Code::kInvalid, "this engine knows no call '" + call.method + "'" +
                                     DidYouMean(call.method, Methods())};
  }
  const auto run = RunOf(call);
  if (!run) return run.error();
  const Live live{service_->host(), (*run)->hosted, service_->clock().NowMs()};
  if (call.method == "dlq") return DeadLetters(*(*run)->core);
  if (call.method == "explain") {
    Result<Value> why = Explain(*(*run)->core, live, call.arguments["what"].AsString());
    if (why && service_->disk_low() && call.arguments["what"].AsString().empty())
      why->Set("disk", "nothing new is given out: the disk is nearly full");
    return why;
  }
  Value v = Digest(**run);
  v.Set("record", (*run)->core->RunRecord());
  v.Set("confirmed_seq", (*run)->hosted->confirmed_seq());
  v.Set("run_time_ms", (*run)->hosted->RunTimeMs(live.now_ms));
  v.Set("workers", static_cast<uint64_t>(live.host->workers()));
  v.Set("ready", static_cast<uint64_t>(live.host->placer().ready()));
  v.Set("out", static_cast<uint64_t>(live.host->placer().out()));
  return v;
}

Value Digest(const ServedRun& run) {
  const RunCore& core = *run.core;
  Value v;
  v.Set("run", run.folder.id);
  v.Set("phase", Name(core.phase()));
  v.Set("paused", core.paused());
  v.Set("task", core.plan().task);
  v.Set("workflow", core.plan().workflow);
  v.Set("candidates", static_cast<uint64_t>(core.candidates().size()));
  v.Set("evaluated", core.evaluated());
  v.Set("weight", run.weight);
  v.Set("epoch", run.epoch);
  if (run.failure) v.Set("failure", run.failure->message);
  const Value& facts = WinningFacts(core);
  if (!facts.IsNull()) v.Set("speedup", facts["speedup"]);
  return v;
}

Value EngineCalls::Runs() const {
  Value::List runs;
  for (const auto& [id, run] : service_->runs()) runs.push_back(Digest(*run));
  return runs;
}

Value EngineCalls::Workers() const {
  Value::List workers;
  for (const auto& [session, hello] : service_->host()->sessions()) {
    if (hello.role != Role::kWorker) continue;
    const Placer::WorkerCounts counts = service_->host()->placer().CountsOfWorker(session);
    Value v;
    v.Set("worker", hello.worker);
    v.Set("program", hello.program);
    v.Set("host", hello.host);
    v.Set("peer", hello.peer);
    v.Set("version", hello.version);
    v.Set("slots", hello.slots);
    Value::List stages;
    for (const std::string& stage : hello.stages) stages.emplace_back(stage);
    v.Set("stages", std::move(stages));
    Value::Map resources, labels;
    for (const auto& [name, amount] : hello.resources) resources[name] = amount;
    for (const auto& [name, label] : hello.labels) labels[name] = label;
    v.Set("resources", std::move(resources));
    v.Set("labels", std::move(labels));
    v.Set("out", static_cast<uint64_t>(counts.out));
    v.Set("taken", static_cast<uint64_t>(counts.taken));
    v.Set("finished", counts.finished);
    if (counts.mean_busy_ms >= 0) v.Set("mean_busy_ms", counts.mean_busy_ms);
    v.Set("draining", counts.draining);
    v.Set("own", service_->fleet().Owns(hello));
    workers.push_back(std::move(v));
  }
  return workers;
}

Result<Value> EngineCalls::Drain(const ClientCall& call) {
  const std::string& worker = call.arguments["worker"].AsString();
  if (worker.empty()) return Error{Code::kInvalid, "which worker? `kevolve workers` lists them"};
  const size_t drained = service_->host()->DrainWorkers(worker);
  if (drained == 0) {
    std::vector<std::string> names;
    for (const auto& [session, hello] : service_->host()->sessions()) {
      if (hello.role == Role::kWorker) names.push_back(hello.worker);
    }
    return Error{Code::kNotFound, "no worker '" + worker + "' is connected" +
                                      DidYouMean(worker, names) + "; `kevolve workers` lists them"};
  }
  Value data;
  data.Set("worker", worker);
  for (const auto& [id, run] : service_->runs()) {
    if (run->hosted != nullptr && run->core->phase() != Phase::kEnded)
      run->hosted->Post(Signal{Signal::Kind::kWorkerDrained, data});
  }
  Value v;
  v.Set("drained", static_cast<uint64_t>(drained));
  return v;
}

Status EngineCalls::SignalRun(SessionId session, const ClientCall& call) {
  const auto run = RunOf(call);
  if (!run) return run.error();
  const std::string& name = call.arguments["kind"].AsString();
  const auto kind = KindFrom(name);
  if (!kind) {
    return Error{Code::kInvalid, "there is no signal '" + name +
                                     "'; pause, resume, cancel, budget, retry_dead and drop_dead "
                                     "are"};
  }
  const RunCore& core = *(*run)->core;
  if (core.phase() == Phase::kEnded)
    return Error{Code::kNotFound, "run " + core.run() + " has ended; nothing was done"};
  // Of what a client sends only that goes into the log which the signal means.
  Value data;
  if (*kind == Signal::Kind::kBudget) {
    data = call.arguments["data"];
    if (Status s = CheckLimits(data); !s.ok()) return s;
  } else if (*kind == Signal::Kind::kRetryDead || *kind == Signal::Kind::kDropDead) {
    data.Set("job", call.arguments["data"]["job"].AsString());
    if (Status s = CheckDeadLetter(core, data["job"].AsString()); !s.ok()) return s;
  }
  (*run)->hosted->Post(
      Signal{*kind, data}, [this, session, id = call.id, name, run_id = core.run(), served = *run] {
        Value v;
        v.Set("run", run_id);
        v.Set("signal", name);
        v.Set("seq", served->hosted == nullptr ? 0 : served->hosted->confirmed_seq());
        service_->host()->Reply(session, {id, Status(), std::move(v)});
      });
  return {};
}

Status EngineCalls::SendBlob(SessionId session, const ClientCall& call) {
  const auto folder = FolderOf(call);
  if (!folder) return folder.error();
  const std::string& sha256 = call.arguments["sha256"].AsString();
  const auto reply = [this, session, id = call.id](Result<std::string> bytes) {
    Value v;
    if (bytes) v = Value::Bytes{std::move(*bytes)};
    service_->host()->Reply(session, {id, bytes ? Status() : Status(bytes.error()), std::move(v)});
  };
  std::error_code error;
  if (std::filesystem::exists(folder->Archive(), error)) {
    auto reader = ArchiveReader::Open(folder->Archive());
    reply(reader ? (*reader)->Blob(sha256) : Result<std::string>(reader.error()));
    return {};
  }
  service_->host()->ReadBlob(sha256, [reply](const Status& status, std::vector<std::string> data) {
    if (!status.ok())
      reply(status.error());
    else
      reply(data.empty() ? std::string() : std::move(data[0]));
  });
  return {};
}

}  // namespace kev
