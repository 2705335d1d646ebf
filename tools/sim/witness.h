// Witness: stands between an engine's host and its transport, sees every message in both directions
// in the order in which the host does, and says when the engine breaks a promise: to send or
// acknowledge before the commit is confirmed, to give one attempt out twice, to refuse the result
// of an attempt that is current to the worker that has it, to exceed a cap, a rate, a resource, a
// worker's labels, or to disturb what must be quiet or alone.
//
// Threads: one at a time. Errors: told to the Story as violations; EngineDies at its crash points.
#ifndef KEV_TOOLS_SIM_WITNESS_H_
#define KEV_TOOLS_SIM_WITNESS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/host/clock.h"
#include "engine/host/transport.h"
#include "tools/sim/ledger.h"
#include "tools/sim/server.h"
#include "tools/sim/story.h"

namespace kev::sim {

class Witness final : public Transport {
 public:
  using AttemptName = std::tuple<std::string, JobKey, uint32_t>;  // run, job, attempt

  Witness(Transport* link, uint64_t engine, Clock* clock, Ledger* ledger, CrashPlan* plan,
          Story* story)
      : link_(link), engine_(engine), clock_(clock), ledger_(ledger), plan_(plan), story_(story) {}

  // The connection to the store, of which the witness asks what the engine has been told.
  void Watch(const SimStore* store) { store_ = store; }

  std::vector<Inbound> Receive(size_t most) override;
  void Send(SessionId session, Outbound message) override;
  void Flush() override;
  int Descriptor() const override { return -1; }

  // The log says that the attempt is lost.
  void Lost(const std::string& run, const Ledger::AttemptOf& attempt);
  // An order of a client was answered; by its number and run.
  void Expect(SessionId session, uint64_t id, const std::string& run, int64_t order) {
    orders_[{session, id}] = {run, order};
  }
  size_t outstanding() const { return where_.size(); }
  // Attempts that workers have: something for a liar to claim.
  std::optional<AttemptName> Any(uint64_t nth) const;

 private:
  struct Session {
    Hello hello;
    std::set<AttemptName> has;
  };
  struct Rate {
    double tokens = 0;
    int64_t at_ms = 0;
  };

  void Hear(const Inbound& inbound);
  void Check(SessionId session, const Assign& assign);
  void CheckRules(SessionId session, const Session& worker, const AttemptName& name,
                  const Ledger::Attempt& attempt, const Step& step);
  void Check(SessionId session, const Acknowledge& ack);
  void Check(SessionId session, const Welcome& welcome);
  void Check(SessionId session, const ClientReply& reply);
  void Take(const AttemptName& name, SessionId session);
  void Drop(const AttemptName& name);
  const Step* StepOf(const AttemptName& name) const;
  bool Light(const AttemptName& name) const;
  std::string Named(const AttemptName& name) const;
  void Violate(const std::string& what) {
    story_->Violate("engine " + std::to_string(engine_) + " " + what);
  }

  Transport* link_;
  uint64_t engine_;
  Clock* clock_;
  Ledger* ledger_;
  CrashPlan* plan_;
  Story* story_;
  const SimStore* store_ = nullptr;
  std::vector<Inbound> waiting_;  // the host gets them one by one
  size_t next_ = 0;
  std::map<SessionId, Session> sessions_;
  std::map<AttemptName, SessionId> where_;                 // who has it now
  std::set<AttemptName> given_;                            // sent, and not handed back since
  std::set<AttemptName> done_;                             // its owner has reported it
  std::set<AttemptName> known_;                            // were in the log when it gave them out
  std::set<AttemptName> acknowledged_;                     // were in the log when it said so
  std::set<std::pair<AttemptName, SessionId>> answering_;  // and has no answer yet
  std::map<std::pair<std::string, uint16_t>, Rate> rates_;
  std::map<std::pair<SessionId, uint64_t>, std::pair<std::string, int64_t>> orders_;
};

}  // namespace kev::sim

#endif  // KEV_TOOLS_SIM_WITNESS_H_
