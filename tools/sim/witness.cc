#include "tools/sim/witness.h"

#include <algorithm>
#include <cmath>

namespace kev::sim {
namespace {

template <typename M>
Witness::AttemptName NameOf(const M& m) {
  return {m.run, m.key, m.attempt};
}

bool LabelFits(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    for (size_t i = 0; i <= text.size(); ++i) {
      if (LabelFits(pattern.substr(1), text.substr(i))) return true;
    }
    return false;
  }
  return !text.empty() && text[0] == pattern[0] && LabelFits(pattern.substr(1), text.substr(1));
}

}  // namespace

std::string Witness::Named(const AttemptName& name) const {
  const auto& [run, key, attempt] = name;
  const RunCore* core = ledger_->Core(run);
  if (core == nullptr || key.step >= core->plan().steps.size())
    return run + "/" + Name(key.subject) + "/" + std::to_string(key.step) + "#" +
           std::to_string(attempt);
  return run + "/" + core->Label(key, attempt);
}

const Step* Witness::StepOf(const AttemptName& name) const {
  return ledger_->StepOf(std::get<0>(name), std::get<1>(name).step);
}

bool Witness::Light(const AttemptName& name) const {
  const Step* step = StepOf(name);
  return step != nullptr && (step->kind == StageKind::kPropose || step->kind == StageKind::kSelect);
}

std::optional<Witness::AttemptName> Witness::Any(uint64_t nth) const {
  if (where_.empty()) return std::nullopt;
  auto it = where_.begin();
  std::advance(it, static_cast<ptrdiff_t>(nth % where_.size()));
  return it->first;
}

std::vector<Inbound> Witness::Receive(size_t most) {
  if (next_ == waiting_.size()) {
    waiting_ = link_->Receive(most);
    next_ = 0;
  }
  std::vector<Inbound> one;
  if (next_ == waiting_.size()) return one;
  one.push_back(std::move(waiting_[next_++]));
  Hear(one.back());
  return one;
}

void Witness::Hear(const Inbound& inbound) {
  const SessionId session = inbound.session;
  if (const auto* hello = std::get_if<Hello>(&inbound.message)) {
    sessions_[session].hello = *hello;
    if (story_->told()) {
      story_->Tell("engine " + std::to_string(engine_) + ": " + hello->worker + " joins as " +
                   std::to_string(session) + " with " + std::to_string(hello->in_flight.size()) +
                   " in flight");
    }
  } else if (const auto* result = std::get_if<ResultMessage>(&inbound.message)) {
    const AttemptName name = NameOf(*result);
    if (story_->told()) story_->Tell(std::to_string(session) + " reports " + Named(name));
    const auto at = where_.find(name);
    if (at == where_.end() || at->second != session) return;
    Drop(name);
    done_.insert(name);
    answering_.insert({name, session});
  } else if (const auto* returned = std::get_if<Returned>(&inbound.message)) {
    const AttemptName name = NameOf(*returned);
    if (story_->told()) story_->Tell(std::to_string(session) + " hands back " + Named(name));
    const auto at = where_.find(name);
    if (at == where_.end() || at->second != session) return;
    Drop(name);
    given_.erase(name);
  } else if (const auto* lost = std::get_if<SessionLost>(&inbound.message)) {
    if (story_->told()) story_->Tell(std::to_string(session) + " is lost: " + lost->reason);
    const auto it = sessions_.find(session);
    if (it == sessions_.end()) return;
    for (const AttemptName& name : it->second.has) where_.erase(name);
    sessions_.erase(it);
  }
}

void Witness::Send(SessionId session, Outbound message) {
  const bool matters =
      std::holds_alternative<Assign>(message) || std::holds_alternative<Acknowledge>(message);
  if (matters) plan_->Pass(CrashPoint::kBeforeSend);
  if (const auto* assign = std::get_if<Assign>(&message))
    Check(session, *assign);
  else if (const auto* ack = std::get_if<Acknowledge>(&message))
    Check(session, *ack);
  else if (const auto* welcome = std::get_if<Welcome>(&message))
    Check(session, *welcome);
  else if (const auto* reply = std::get_if<ClientReply>(&message))
    Check(session, *reply);
  else if (const auto* cancel = std::get_if<Cancel>(&message); cancel && story_->told())
    story_->Tell("cancel " + Named(NameOf(*cancel)) + " at " + std::to_string(session));
  else if (const auto* retract = std::get_if<Retract>(&message); retract && story_->told())
    story_->Tell("retract " + Named(NameOf(*retract)) + " from " + std::to_string(session));
  link_->Send(session, std::move(message));
}

void Witness::Flush() {
  plan_->Pass(CrashPoint::kBeforeFlush);
  link_->Flush();
  plan_->Pass(CrashPoint::kAfterFlush);
}

void Witness::Take(const AttemptName& name, SessionId session) {
  Drop(name);
  where_[name] = session;
  if (const auto it = sessions_.find(session); it != sessions_.end()) it->second.has.insert(name);
}

void Witness::Drop(const AttemptName& name) {
  const auto at = where_.find(name);
  if (at == where_.end()) return;
  if (const auto it = sessions_.find(at->second); it != sessions_.end()) it->second.has.erase(name);
  where_.erase(at);
}

void Witness::Check(SessionId session, const Assign& assign) {
  const AttemptName name = NameOf(assign);
  if (story_->told()) {
    story_->Tell("engine " + std::to_string(engine_) + ": " + Named(name) + " to " +
                 std::to_string(session));
  }
  Ledger::Attempt* attempt = ledger_->Find(assign.run, assign.key, assign.attempt, engine_);
  const uint64_t confirmed = store_->confirmed(assign.run);
  if (attempt == nullptr) return Violate("gives out " + Named(name) + ", which is in no log");
  known_.insert(name);
  if (!attempt->ghost && attempt->started_seq > confirmed) {
    Violate("gives out " + Named(name) + ", begun at seq " + std::to_string(attempt->started_seq) +
            ", with only seq " + std::to_string(confirmed) + " confirmed");
  }
  if (!attempt->ghost && attempt->over_seq != 0 && attempt->over_seq <= confirmed)
    Violate("gives out " + Named(name) + ", which was over at seq " +
            std::to_string(attempt->over_seq));
  if (const auto at = where_.find(name); at != where_.end()) {
    Violate("gives out " + Named(name) + ", which session " + std::to_string(at->second) + " has");
  } else if (!given_.insert(name).second) {
    Violate("gives out " + Named(name) + " again");
  } else if (attempt->given_by != 0 && attempt->given_by != engine_) {
    Violate("gives out " + Named(name) + " as engine " + std::to_string(attempt->given_by) +
            " did before it");
  }
  attempt->given_by = engine_;
  const auto it = sessions_.find(session);
  if (it != sessions_.end()) {
    attempt->holders.insert(it->second.hello.worker);
    const Step* step = StepOf(name);
    if (step != nullptr) CheckRules(session, it->second, name, *attempt, *step);
  }
  Take(name, session);
}

void Witness::CheckRules(SessionId session, const Session& worker, const AttemptName& name,
                         const Ledger::Attempt& attempt, const Step& step) {
  const std::string& run = std::get<0>(name);
  const Hello& hello = worker.hello;
  const RunCore* core = ledger_->Core(run);  // null: the store has lost all of it
  if (core != nullptr && core->paused() && core->last_seq() == store_->confirmed(run))
    Violate("gives out " + Named(name) + " of a paused run");
  if (std::find(hello.stages.begin(), hello.stages.end(), step.stage) == hello.stages.end())
    Violate("gives " + Named(name) + " to " + hello.worker + ", which does no " + step.stage);
  for (const auto& [label, pattern] : step.labels) {
    const auto has = hello.labels.find(label);
    if (has == hello.labels.end() || !LabelFits(pattern, has->second))
      Violate("gives " + Named(name) + " to " + hello.worker + ", whose label " + label +
              " does not fit");
  }
  for (const auto& [resource, amount] : step.resources) {
    uint32_t used = amount;
    for (const AttemptName& other : worker.has) {
      const Step* its = StepOf(other);
      const auto needs = its == nullptr ? step.resources.end() : its->resources.find(resource);
      if (its != nullptr && needs != its->resources.end()) used += needs->second;
    }
    const auto has = hello.resources.find(resource);
    if (used > (has == hello.resources.end() ? 0 : has->second))
      Violate("gives " + Named(name) + " to " + hello.worker + ", which has not enough " +
              resource);
  }
  uint32_t same = 1;
  bool busy_host = false, quiet_host = false;
  for (const auto& [other, at] : where_) {
    if (std::get<0>(other) == run && std::get<1>(other).step == std::get<1>(name).step) ++same;
    const auto its = sessions_.find(at);
    if (its == sessions_.end() || its->second.hello.host != hello.host) continue;
    const Step* its_step = StepOf(other);
    quiet_host = quiet_host || (its_step != nullptr && its_step->quiet_host);
    busy_host = busy_host || !Light(other);
  }
  if (step.max_running != 0 && same > step.max_running)
    Violate("has " + std::to_string(same) + " of " + Named(name) + "'s step out, at most " +
            std::to_string(step.max_running));
  if (step.quiet_host && busy_host)
    Violate("gives the quiet " + Named(name) + " to the busy host " + hello.host);
  if (!step.quiet_host && quiet_host)
    Violate("gives " + Named(name) + " to host " + hello.host + ", which must be quiet");
  const auto solitary = [&](const AttemptName& other) {
    const Ledger::Attempt* its =
        ledger_->Find(std::get<0>(other), std::get<1>(other), std::get<2>(other), engine_);
    return its != nullptr && its->solitary;
  };
  if (attempt.solitary && !worker.has.empty())
    Violate("gives " + Named(name) + ", which must be alone, to the busy " + hello.worker);
  if (std::any_of(worker.has.begin(), worker.has.end(), solitary))
    Violate("gives " + Named(name) + " to " + hello.worker + ", where one must be alone");
  if (step.rate_per_s > 0) {
    const int64_t now = clock_->NowMs();
    const auto [it, fresh] = rates_.try_emplace({run, std::get<1>(name).step});
    Rate& rate = it->second;
    const double passed = static_cast<double>(now - rate.at_ms) / 1000 * step.rate_per_s;
    rate.tokens = fresh ? step.rate_burst : std::min<double>(step.rate_burst, rate.tokens + passed);
    rate.at_ms = now;
    rate.tokens -= 1;
    if (rate.tokens < -0.01) Violate("gives out " + Named(name) + " above its step's rate");
  }
  (void)session;
}

void Witness::Check(SessionId session, const Acknowledge& ack) {
  const AttemptName name = NameOf(ack);
  if (story_->told()) {
    story_->Tell("engine " + std::to_string(engine_) + ": " + (ack.stale ? "STALE " : "ACK ") +
                 Named(name) + " to " + std::to_string(session));
  }
  const bool was_its = answering_.erase({name, session}) > 0;
  const Ledger::Attempt* attempt = ledger_->Find(ack.run, ack.key, ack.attempt, engine_);
  if (!ack.stale) {
    // What the store confirmed and has lost since, its engine still knows, and writes again.
    const bool knows = attempt != nullptr && Ledger::KnownTo(*attempt, engine_);
    const uint64_t reported =
        attempt == nullptr ? 0
                           : std::max(attempt->reported_seq, knows ? attempt->ghost_report_seq : 0);
    if (reported == 0 && !acknowledged_.contains(name))
      return Violate("acknowledges " + Named(name) + ", whose result is not in the log");
    acknowledged_.insert(name);
    if (attempt != nullptr && !attempt->ghost && reported > store_->confirmed(ack.run))
      Violate("acknowledges " + Named(name) + ", whose commit is not confirmed");
  } else if (was_its && attempt != nullptr && !attempt->ghost && attempt->over_seq == 0) {
    Violate("refuses the result of " + Named(name) + " to the worker that has it");
  }
}

void Witness::Check(SessionId session, const Welcome& welcome) {
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return;
  for (const InFlight& kept : welcome.keep) {
    const AttemptName name = NameOf(kept);
    if (story_->told()) story_->Tell(it->second.hello.worker + " keeps " + Named(name));
    const auto at = where_.find(name);
    if (at != where_.end()) {
      const auto other = sessions_.find(at->second);
      if (other != sessions_.end() && other->second.hello.worker != it->second.hello.worker)
        Violate("lets " + it->second.hello.worker + " have " + Named(name) + ", which " +
                other->second.hello.worker + " has");
    }
    Ledger::Attempt* attempt = ledger_->Find(kept.run, kept.key, kept.attempt, engine_);
    if (attempt != nullptr) attempt->holders.insert(it->second.hello.worker);
    if (attempt == nullptr && !known_.contains(name))
      Violate("lets " + it->second.hello.worker + " keep " + Named(name) + ", which is in no log");
    else if (attempt != nullptr && attempt->reported_seq == 0 && !done_.contains(name))
      Take(name, session);
  }
}

void Witness::Check(SessionId session, const ClientReply& reply) {
  const auto expected = orders_.find({session, reply.id});
  if (expected == orders_.end()) return;
  const auto [run, order] = expected->second;
  orders_.erase(expected);
  if (!reply.status.ok()) return;
  const uint64_t at = ledger_->OrderAt(run, order);
  if (at == 0 || at > store_->confirmed(run))
    Violate("answers order " + std::to_string(order) + " on " + run + " before it is committed");
}

void Witness::Lost(const std::string& run, const Ledger::AttemptOf& attempt) {
  const AttemptName name{run, attempt.first, attempt.second};
  const auto at = where_.find(name);
  if (at != where_.end())
    Violate("counts " + Named(name) + " as lost, which session " + std::to_string(at->second) +
            " has");
}

}  // namespace kev::sim
