// A whole engine under random trouble: workers that die, hang up, answer late or twice, and engines
// that die at any moment. Everything is drawn from one seed, so that a failure can be run again.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/core/random.h"
#include "tests/engine/support/canonical_reader.h"
#include "tests/engine/support/driven_run.h"
#include "tests/engine/support/host_rig.h"
#include "tests/engine/support/plans.h"

namespace kev::testing {
namespace {

using Attempt = std::pair<JobKey, uint32_t>;

// A worker that keeps its results until they are acknowledged, as the real session does.
struct SimulatedWorker {
  std::vector<std::string> stages;
  SessionId session = 0;  // 0: not connected
  std::vector<Assign> in_hand;
  std::vector<ResultMessage> unacknowledged;
};

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : random_(seed, "simulation"), rig_(PlanFor(seed)) {
    for (int i = 0; i < 3; ++i) {
      workers_.push_back({{"compile", "verify"}, 0, {}, {}});
      workers_.push_back({{"select", "propose/tune", "propose/llm"}, 0, {}, {}});
      workers_.push_back({{"profile"}, 0, {}, {}});
    }
  }

  void Trouble(int steps) {
    for (int i = 0; i < steps && !rig_.run->Ended(); ++i) {
      SimulatedWorker& w = workers_[random_.Below(workers_.size())];
      switch (random_.Below(40)) {
        case 0:
          Hangup(w, /*dies=*/true);
          break;
        case 1:
          Hangup(w, /*dies=*/false);
          break;
        case 2:
          RestartEngine();
          break;
        case 3:
          if (random_.Below(4) == 0) rig_.store.LoseNextAnswer();
          break;
        case 4:
          if (random_.Below(4) == 0) rig_.store.FailNext(Code::kUnavailable);
          break;
        case 5:
          rig_.store.Hold();
          break;
        case 6:
          rig_.store.Release(1);
          break;
        case 7:
        case 8:
          rig_.store.ReleaseAll();
          break;
        case 9:
          SendAgain(w);
          break;
        case 10:
          rig_.clock.Advance(static_cast<int64_t>(random_.Below(2000)));
          break;
        case 11:
        case 12:
        case 13:
          Connect(w);
          break;
        default:
          Work(w, /*clumsy=*/true);
      }
      rig_.host->Turn();
      Listen();
      if (rig_.Broken()) RestartEngine();
    }
  }

  // No trouble from here on: the run must come to its end.
  void Calm() {
    rig_.store.ReleaseAll();
    for (int i = 0; !rig_.run->Ended(); ++i) {
      REQUIRE(i < 100000);
      if (rig_.Broken()) RestartEngine();
      for (SimulatedWorker& w : workers_) {
        Connect(w);
        Work(w, /*clumsy=*/false);
      }
      rig_.clock.Advance(20);
      rig_.host->Turn();
      Listen();
    }
    rig_.Settle();
    Listen();
  }

  void CheckLog() {
    RunCore folded("run");
    std::map<JobKey, uint32_t> started;
    std::set<Attempt> reported;
    std::set<JobKey> finished;
    for (const FakeStore::Entry& entry : rig_.store.log("run")) {
      const EventGroup group = std::move(*EventGroupFrom(PackedView(entry.body)));
      for (const Event& event : group.events) {
        if (const auto* report = std::get_if<JobReported>(&event)) {
          reported.insert({report->key, report->attempt});
        }
      }
      const std::vector<Command> commands = folded.Apply(group);
      REQUIRE(RunCore::DigestCommands(commands).Hex() == entry.digest);
      for (const Command& command : commands) {
        if (const auto* start = std::get_if<StartAttempt>(&command)) {
          REQUIRE(++started[start->key] == start->attempt);  // numbers count up, one by one
          REQUIRE_FALSE(finished.contains(start->key));      // what has ended does not begin again
        }
      }
      for (const auto& [key, attempt] : started) {
        if (folded.OpenAttempt(key) == 0)
          finished.insert(key);
        else
          REQUIRE_FALSE(finished.contains(key));
      }
    }
    CHECK(finished.size() == started.size());  // every job has ended
    CHECK(folded.OpenAttempts().empty());
    CHECK(Picture(folded) == Picture(*rig_.core));
    for (const Attempt& attempt : acknowledged_) REQUIRE(reported.contains(attempt));
    for (const Attempt& attempt : given_out_) REQUIRE(started.at(attempt.first) >= attempt.second);
    for (const Candidate& c : folded.candidates()) CHECK(c.ended);
  }

  const RunCore& core() const { return *rig_.core; }
  int restarts() const { return restarts_; }
  size_t done() const { return acknowledged_.size(); }

 private:
  static Plan PlanFor(uint64_t seed) {
    auto b = LinearPlan();
    b.Step("mutate", "propose/llm");
    b.at("build").needs.push_back(b.plan().Find("mutate").value());
    b.InFlightShare("mutate", 3).Reference().Baseline("plain").Baseline("blas");
    b.plan().seed = seed;
    b.plan().in_flight = 8;
    b.plan().budget.candidates = 60;
    for (Step& step : b.plan().steps) {
      step.retry = {50, 10, 500};
      step.timeout_running_ms = 20000;
    }
    b.at("tune").batch = 3;
    b.at("confirm").quiet_host = true;
    return b.plan();
  }

  void Connect(SimulatedWorker& w) {
    if (w.session != 0) return;
    Hello hello;
    hello.worker = "w" + std::to_string(&w - workers_.data());
    hello.stages = w.stages;
    hello.slots = 2;
    hello.host = "host" + std::to_string((&w - workers_.data()) % 2);
    for (const Assign& job : w.in_hand) hello.in_flight.push_back({job.run, job.key, job.attempt});
    for (const ResultMessage& r : w.unacknowledged)
      hello.in_flight.push_back({r.run, r.key, r.attempt});
    w.session = rig_.transport->Connect(hello);
    for (const ResultMessage& r : w.unacknowledged) rig_.transport->Arrive(w.session, r);
  }

  void Hangup(SimulatedWorker& w, bool dies) {
    if (w.session != 0) rig_.transport->Disconnect(w.session, "connection reset");
    w.session = 0;
    if (!dies) return;
    w.in_hand.clear();
    w.unacknowledged.clear();
  }

  void RestartEngine() {
    ++restarts_;
    for (SimulatedWorker& w : workers_) w.session = 0;
    rig_.Restart();
  }

  // Takes a job or ends one.
  void Work(SimulatedWorker& w, bool clumsy) {
    if (w.session == 0 || w.in_hand.empty()) return;
    const size_t which = clumsy ? random_.Below(w.in_hand.size()) : 0;
    const Assign job = w.in_hand[which];
    rig_.transport->Arrive(w.session, Taken{job.run, job.key, job.attempt});
    if (clumsy && random_.Below(3) == 0) return;
    w.in_hand.erase(w.in_hand.begin() + static_cast<std::ptrdiff_t>(which));
    JobResult result =
        GoodAnswer(ReadJob(job.payload), [&](const Job&) { return 0.5 + random_.Unit(); });
    result.usage.wall_ms = static_cast<double>(random_.Below(3));
    result.usage.tokens_in = 1;
    const bool candidate = job.key.subject.kind == SubjectKind::kCandidate;
    if (candidate && random_.Below(6) == 0) result = Verdicts(Verdict::kWrong);
    if (clumsy && random_.Below(20) == 0) result = Failed(FailureClass::kInfrastructure);
    ResultMessage message{job.run, job.key, job.attempt, std::move(result), {}};
    w.unacknowledged.push_back(message);
    if (clumsy && random_.Below(10) == 0) rig_.transport->Arrive(w.session, message);
    rig_.transport->Arrive(w.session, std::move(message));
  }

  void SendAgain(SimulatedWorker& w) {
    if (w.session == 0 || w.unacknowledged.empty()) return;
    rig_.transport->Arrive(w.session, w.unacknowledged[random_.Below(w.unacknowledged.size())]);
  }

  void Listen() {
    for (SimulatedWorker& w : workers_) {
      if (w.session == 0) continue;
      for (Outbound& message : rig_.transport->TakeSent(w.session)) {
        if (auto* assign = std::get_if<Assign>(&message)) {
          // Whatever is given out is in the log already, and nothing is given out twice.
          REQUIRE_FALSE(assign->payload.empty());
          REQUIRE(given_out_.insert({assign->key, assign->attempt}).second);
          w.in_hand.push_back(std::move(*assign));
        } else if (const auto* ack = std::get_if<Acknowledge>(&message)) {
          acknowledged_.insert({ack->key, ack->attempt});
          std::erase_if(w.unacknowledged, [&](const ResultMessage& r) {
            return r.key == ack->key && r.attempt == ack->attempt;
          });
        } else if (const auto* cancel = std::get_if<Cancel>(&message)) {
          const auto job = std::find_if(w.in_hand.begin(), w.in_hand.end(), [&](const Assign& a) {
            return a.key == cancel->key && a.attempt == cancel->attempt;
          });
          if (job == w.in_hand.end()) continue;
          ResultMessage answer{job->run, job->key, job->attempt, Verdicts(Verdict::kCancelled), {}};
          w.in_hand.erase(job);
          w.unacknowledged.push_back(answer);
          rig_.transport->Arrive(w.session, std::move(answer));
        } else if (const auto* welcome = std::get_if<Welcome>(&message)) {
          std::erase_if(w.in_hand, [&](const Assign& a) {
            return std::none_of(welcome->keep.begin(), welcome->keep.end(), [&](const InFlight& k) {
              return k.key == a.key && k.attempt == a.attempt;
            });
          });
        }
      }
    }
  }

  CounterRandom random_;
  HostRig rig_;
  std::vector<SimulatedWorker> workers_;
  std::set<Attempt> given_out_;
  std::set<Attempt> acknowledged_;
  int restarts_ = 0;
};

TEST_CASE(
    "under random trouble every job ends once, nothing acknowledged is lost, and the log refolds") {
  int restarts = 0;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    Simulation simulation(seed);
    simulation.Trouble(4000);
    simulation.Calm();
    simulation.CheckLog();
    CHECK(simulation.core().ended()->status == "done");
    CHECK(simulation.core().candidates().size() == 60);
    CHECK(simulation.done() > 200);
    restarts += simulation.restarts();
  }
  CHECK(restarts > 100);
}

TEST_CASE("without trouble no attempt is made twice") {
  Simulation simulation(99);
  simulation.Calm();
  simulation.CheckLog();
  CHECK(simulation.core().stale() == 0);
  for (const Candidate& c : simulation.core().candidates()) {
    for (const StepOutcome& outcome : c.steps) CHECK(outcome.attempt <= 1);
  }
}

}  // namespace
}  // namespace kev::testing
