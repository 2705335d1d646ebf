// HostRig: a host between a fake transport and a fake store, which outlives it: a second engine can
// be started on the same store.
//
// Threads: one at a time. Errors: a log that does not fold to its own digests throws.
#ifndef KEV_TESTS_ENGINE_SUPPORT_HOST_RIG_H_
#define KEV_TESTS_ENGINE_SUPPORT_HOST_RIG_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/run_core.h"
#include "engine/host/fake/fake_clock.h"
#include "engine/host/fake/fake_store.h"
#include "engine/host/fake/fake_transport.h"
#include "engine/host/host.h"

namespace kev::testing {

// The stages of LinearPlan.
inline const std::vector<std::string> kAll = {"select", "propose/tune", "compile", "verify",
                                              "profile"};

// LinearPlan with one candidate in flight.
Plan OneAtATime();

class HostRig {
 public:
  // Submits the plan; nothing is committed before the first Turn.
  explicit HostRig(Plan plan, Value secret = Value());

  // The engine dies as it stands; another begins from what the store has. Every session is gone.
  void Restart();
  // Why nothing is committed any more; nullopt when all is well.
  std::optional<Error> Broken() const;
  // Turns until nothing moves any more.
  void Settle();
  // A worker with one session; settled.
  SessionId Connect(const std::vector<std::string>& stages, uint32_t slots = 1);
  SessionId Connect(Hello hello);
  std::vector<Assign> Assigned(SessionId session) { return transport->TakeSent<Assign>(session); }
  std::vector<Acknowledge> Acked(SessionId session) {
    return transport->TakeSent<Acknowledge>(session);
  }
  void Report(SessionId session, const Assign& job, JobResult result);
  // Reports GoodAnswer for one job, settles, and gives what the session was assigned then.
  std::vector<Assign> Do(SessionId session, const Assign& job);

  // A core folded from the store's log; every group's digest is checked.
  RunCore Refold() const;
  // "r1/pick#1 ok", … of the whole log, as it is shown to people.
  std::string Told() const;

  FakeClock clock;
  FakeStore store;
  std::unique_ptr<FakeTransport> transport;
  std::unique_ptr<RunCore> core;
  std::unique_ptr<Host> host;
  HostedRun* run = nullptr;
  int64_t grace_ms = 0;                            // of the next Restart
  int64_t retain_ms = 0;                           // likewise
  uint64_t snapshot_events = 0, snapshot_seq = 0;  // likewise
  std::vector<Subject> over;                       // likewise

 private:
  void Begin(uint64_t epoch, int64_t run_time_ms);

  Plan plan_;
  Value secret_;
  uint64_t epoch_ = 1;
};

}  // namespace kev::testing

#endif  // KEV_TESTS_ENGINE_SUPPORT_HOST_RIG_H_
