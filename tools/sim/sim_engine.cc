#include "tools/sim/sim_engine.h"

#include <algorithm>
#include <utility>

namespace kev::sim {
namespace {

std::optional<Signal::Kind> KindFrom(const std::string& name) {
  static const std::pair<const char*, Signal::Kind> kKinds[] = {
      {"pause", Signal::Kind::kPause},          {"resume", Signal::Kind::kResume},
      {"cancel", Signal::Kind::kCancel},        {"budget", Signal::Kind::kBudget},
      {"retry_dead", Signal::Kind::kRetryDead}, {"drop_dead", Signal::Kind::kDropDead}};
  for (const auto& [text, kind] : kKinds) {
    if (name == text) return kind;
  }
  return std::nullopt;
}

}  // namespace

SimEngine::SimEngine(uint64_t number, MemoryNetwork* network, const World& world)
    : number_(number),
      network_(network),
      world_(world),
      clock_(network, static_cast<int64_t>(world.random->Below(1'000'000))) {
  CounterRandom& random = *world_.random;
  static constexpr int64_t kGraces[] = {0, 1500, 4000, 8000};
  const int64_t grace_ms = kGraces[random.Below(4)];
  const bool keep_ended = random.Below(2) == 0;
  if (world_.story->told()) {
    world_.story->Tell("engine " + std::to_string(number_) + " starts, grace " +
                       std::to_string(grace_ms) + " ms");
  }
  Transport* link = network_->StartEngine();
  witness_ = std::make_unique<Witness>(link, number_, &clock_, world_.ledger, &plan_, world_.story);
  if (world_.hooks->transport) transport_ = world_.hooks->transport(witness_.get());
  Connect(nullptr);
  host_ = std::make_unique<Host>(transport_ ? transport_.get() : witness_.get(),
                                 store_ ? store_.get() : connection_.get(), &clock_);
  host_->on_call = [this](SessionId session, const Hello&, ClientCall& call) {
    Take(session, call);
  };
  lives_.reserve(world_.runs->size());
  for (const RunScript& script : *world_.runs) {
    Live& live = lives_.emplace_back();
    live.script = &script;
    Begin(live, keep_ended, grace_ms);
  }
}

void SimEngine::Connect(const SimStore* before) {
  connection_ = std::make_unique<SimStore>(world_.server, number_, &plan_);
  for (const RunScript& run : *world_.runs) {
    if (before != nullptr) connection_->Confirm(run.name, before->confirmed(run.name));
  }
  witness_->Watch(connection_.get());
  if (world_.hooks->store) store_ = world_.hooks->store(connection_.get());
}

std::unique_ptr<RunCore> SimEngine::Recover(const std::string& run, bool keep_ended,
                                            uint64_t* snapshot_seq) {
  RunCore::Options options;
  options.keep_ended = keep_ended;
  auto core = std::make_unique<RunCore>(run, options);
  const auto [seq, snapshot] = world_.server->Snapshot(run);
  if (seq != 0) {
    auto restored = RunCore::FromSnapshot(snapshot, options);
    if (restored) {
      core = std::move(*restored);
      *snapshot_seq = seq;
    } else {
      world_.story->Violate("the snapshot of " + run + " at seq " + std::to_string(seq) +
                            " cannot be read: " + restored.error().message);
    }
  }
  for (const auto& commit : world_.server->WholeLog(run)) {
    if (commit->last_seq <= core->last_seq()) continue;
    const Result<EventGroup> group = EventGroupFrom(PackedView(commit->body));
    if (!group) continue;  // the ledger has said so
    if (RunCore::DigestCommands(core->Apply(*group)).Hex() != commit->digest)
      world_.story->Violate("recovering " + run + " gives other commands at seq " +
                            std::to_string(commit->last_seq));
  }
  core->TakeChanged();
  return core;
}

void SimEngine::Begin(Live& live, bool keep_ended, int64_t grace_ms) {
  CounterRandom& random = *world_.random;
  const std::string& name = live.script->name;
  world_.ledger->ForgetGhosts(name, number_);
  HostedRunOptions options;
  options.run = name;
  options.epoch = world_.server->TakeEpoch(name, number_);
  live.core = Recover(name, keep_ended, &options.snapshot_seq);
  options.run_time_ms = live.core->run_time_ms();
  options.group_most = random.Below(3) == 0 ? 1 + random.Below(4) : 256;
  options.commits_in_flight = 1 + random.Below(3);
  options.restart_grace_ms = grace_ms;
  options.snapshot_events = random.Below(2) == 0 ? 0 : 20 + random.Below(80);
  options.retain_ms = world_.server->strict() ? 0 : 5000;
  connection_->Confirm(name, live.core->last_seq());
  live.given = world_.ledger->given(name);
  live.run = &host_->Add(options, live.core.get());
  if (live.core->last_seq() == 0)
    live.run->Post(RunSubmitted{live.script->plan, Value()});
  else
    host_->PostRestart(*live.run, kDecisionVersion);
  if (!live.script->plan.given && live.core->in_flight() == 0 && live.script->plan.in_flight == 0)
    live.run->Post(InFlightSet{1 + static_cast<uint32_t>(random.Below(6))});
}

bool SimEngine::GiveNext() {
  bool more = false;
  for (Live& live : lives_) {
    if (live.giving || live.given >= live.script->given.size()) {
      more = more || live.giving;
      continue;
    }
    more = true;
    live.giving = moved_ = true;
    live.run->Post(live.script->given[live.given], [&live] {
      live.giving = false;
      ++live.given;
    });
  }
  return more;
}

void SimEngine::Take(SessionId session, ClientCall& call) {
  const auto kind = KindFrom(call.method);
  HostedRun* run = host_->Find(call.arguments["run"].AsString());
  if (!kind || run == nullptr) {
    return host_->Reply(session,
                        {call.id, Error{Code::kNotFound, "there is no such run"}, Value()});
  }
  const int64_t order = call.arguments["data"]["order"].AsInt();
  witness_->Expect(session, call.id, run->options().run, order);
  run->Post(Signal{*kind, call.arguments["data"]}, [this, session, id = call.id] {
    ++world_.story->tally.orders;
    host_->Reply(session, {id, Status(), Value()});
  });
}

void SimEngine::Turn() {
  moved_ = false;
  if (!up() || frozen_) return;
  if (!Survives([this] { moved_ = host_->Turn(); })) return;
  for (const Live& live : lives_) {
    if (live.run->broken()) return Die(live.run->broken()->message);
  }
  if (!host_->store_lost() || !connection_->lost()) {
    reconnect_at_ms_.reset();
    return;
  }
  const int64_t now = network_->now_ms();
  if (!reconnect_at_ms_)
    reconnect_at_ms_ = now + 1 + static_cast<int64_t>(world_.random->Below(200));
  if (now < *reconnect_at_ms_ || !world_.server->alive()) return;
  reconnect_at_ms_.reset();
  if (world_.story->told())
    world_.story->Tell("engine " + std::to_string(number_) + " connects to the store again");
  // The host lets go of the old one first.
  const std::unique_ptr<SimStore> old = std::move(connection_);
  const std::unique_ptr<Store> old_wrapper = std::move(store_);
  Connect(old.get());
  moved_ = Survives([this] { host_->Reconcile(store_ ? store_.get() : connection_.get()); });
}

bool SimEngine::Survives(const std::function<void()>& what) {
  try {
    what();
    return true;
  } catch (const EngineDies& dies) {
    ++world_.story->tally.crashes[static_cast<size_t>(dies.at)];
    Die(std::string("killed ") + Name(dies.at));
    return false;
  }
}

void SimEngine::DrainWorker(const std::string& name) {
  if (!up() || frozen_) return;
  moved_ = Survives([&] { host_->DrainWorkers(name); });
}

void SimEngine::Die(const std::string& why) {
  if (!up()) return;
  if (world_.story->told())
    world_.story->Tell("engine " + std::to_string(number_) + " dies: " + why);
  plan_.armed = false;
  network_->StopEngine();
  host_.reset();
  lives_.clear();
  transport_.reset();
  witness_.reset();
  store_.reset();
  connection_.reset();
  frozen_ = false;
}

void SimEngine::Freeze(bool frozen) {
  if (!up() || frozen == frozen_) return;
  if (world_.story->told())
    world_.story->Tell("engine " + std::to_string(number_) + (frozen ? " stops" : " goes on"));
  frozen_ = frozen;
  network_->FreezeEngine(frozen);
}

int64_t SimEngine::NextMs() const {
  if (!up() || frozen_) return INT64_MAX;
  const int64_t now = network_->now_ms();
  if (moved_) return now;
  int64_t next = connection_->NextMs();
  if (reconnect_at_ms_) next = world_.server->alive() ? *reconnect_at_ms_ : INT64_MAX;
  const int64_t wait = host_->WaitMs();
  if (wait >= 0) next = std::min(next, now + wait);
  return next;
}

bool SimEngine::AllEnded() const {
  return up() && std::all_of(lives_.begin(), lives_.end(), [](const Live& live) {
           return live.run->Ended() && !live.run->in_grace();
         });
}

void SimEngine::Audit() const {
  if (!up() || frozen_) return;
  const std::string wrong = host_->placer().Audit();
  if (!wrong.empty()) world_.story->Violate("the placer's books are wrong: " + wrong);
  for (const Live& live : lives_) {
    for (const StartAttempt& open : live.core->OpenAttempts()) {
      const std::string why = host_->Explain(*live.run, open.key);
      if (why.empty() || why.find("is not known here") != std::string::npos) {
        world_.story->Violate("job " + live.script->name + "/" +
                              live.core->Label(open.key, open.attempt) + " is lost: it " + why);
      }
    }
  }
}

void SimEngine::CompareWithLedger() const {
  if (!up() || frozen_ || host_->store_lost()) return;
  for (const Live& live : lives_) {
    const uint64_t seq = live.core->last_seq();
    if (live.run->confirmed_seq() == seq && world_.ledger->LastSeq(live.script->name) == seq)
      world_.ledger->Compare(*live.core);
  }
}

std::string SimEngine::Complaint() const {
  if (!up()) return "no engine runs";
  for (const Live& live : lives_) {
    if (live.run->Ended()) continue;
    std::string text = live.script->name + " does not end: " + live.core->ExplainRun();
    for (const StartAttempt& open : live.core->OpenAttempts())
      text += "; " + live.core->Label(open.key, open.attempt) + " " +
              host_->Explain(*live.run, open.key);
    if (!live.run->Settled()) text += "; not all is committed";
    if (host_->store_lost()) text += "; the store is lost: " + host_->store_lost()->message;
    return text + "; " + ToJson(live.core->RunRecord());
  }
  return "a run is in its grace for ever";
}

void SimEngine::CheckEmpty() const {
  if (!up()) return;
  const Placer& placer = host_->placer();
  if (placer.out() != 0 || placer.ready() != 0) {
    world_.story->Violate("all runs have ended, and the placer still has " +
                          std::to_string(placer.out()) + " attempts out and " +
                          std::to_string(placer.ready()) + " waiting");
  }
}

}  // namespace kev::sim
