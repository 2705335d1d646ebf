// The host on its bad days: a store that fails, and engines that begin again from its log.
#include <doctest/doctest.h>

#include "tests/engine/support/canonical_reader.h"
#include "tests/engine/support/driven_run.h"
#include "tests/engine/support/host_rig.h"
#include "tests/engine/support/plans.h"

namespace kev::testing {
namespace {

const std::vector<std::string> kAll = {"select", "propose/tune", "compile", "verify", "profile"};

Plan OneAtATime() {
  auto b = LinearPlan();
  b.plan().in_flight = 1;
  return b.plan();
}

TEST_CASE("when the store refuses a commit nothing is acknowledged or given out any more") {
  for (const Code code : {Code::kConflict, Code::kUnavailable, Code::kDiskFull}) {
    HostRig rig(OneAtATime());
    const SessionId worker = rig.Connect(kAll);
    const Assign job = rig.Assigned(worker).at(0);
    rig.store.FailNext(code);
    CHECK(rig.Do(worker, job).empty());
    REQUIRE(rig.host->broken());
    CHECK(rig.host->broken()->code == code);
    CHECK(rig.Acked(worker).empty());
    const size_t commits = rig.store.commits();
    rig.host->Post(Signal{Signal::Kind::kPause, Value()});
    rig.Settle();
    CHECK(rig.store.commits() == commits);
    const SessionId late = rig.Connect(kAll);
    CHECK(rig.Assigned(late).empty());
    CHECK_FALSE(rig.host->Ended());
  }
}

TEST_CASE("of two commits under way the second gives nothing when the first fails") {
  auto b = LinearPlan();
  b.plan().in_flight = 100;
  b.plan().budget.candidates = 100;
  HostRig rig(b.plan());
  const SessionId worker = rig.Connect(kAll, 200);
  const std::vector<Assign> jobs = rig.Do(worker, rig.Assigned(worker).at(0));
  rig.Acked(worker);
  rig.store.Hold();
  rig.store.FailNext(Code::kUnavailable);
  rig.Report(worker, jobs.at(0), GoodAnswer(ReadJob(jobs[0].payload)));
  rig.Settle();
  for (size_t i = 1; i < 60; ++i) rig.Report(worker, jobs[i], GoodAnswer(ReadJob(jobs[i].payload)));
  rig.Settle();
  CHECK(rig.store.waiting() == 2);
  rig.store.ReleaseAll();
  rig.Settle();
  CHECK(rig.host->broken());
  CHECK(rig.Acked(worker).empty());
  CHECK(rig.Assigned(worker).empty());
}

TEST_CASE("an engine that was taken over is told so and stops") {
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  const Assign job = rig.Assigned(worker).at(0);
  rig.store.SetEpoch(2);
  CHECK(rig.Do(worker, job).empty());
  CHECK(rig.host->broken()->code == Code::kConflict);
}

TEST_CASE("after a restart every open attempt is offered again under a new number") {
  HostRig rig(OneAtATime());
  const SessionId first = rig.Connect(kAll);
  const Assign job = rig.Assigned(first).at(0);
  rig.Restart();
  const SessionId second = rig.Connect(kAll);
  const auto again = rig.Assigned(second);
  REQUIRE(again.size() == 1);
  CHECK(again[0].key == job.key);
  CHECK(again[0].attempt == 2);
  CHECK(rig.Told().find("epoch 2; lost r1/pick#1 engine_restart") != std::string::npos);
}

TEST_CASE("a commit whose answer was lost is found in the log and not done twice") {
  HostRig rig(OneAtATime());
  const SessionId first = rig.Connect(kAll);
  const Assign job = rig.Assigned(first).at(0);
  const JobResult result = GoodAnswer(ReadJob(job.payload));
  rig.store.LoseNextAnswer();
  rig.Report(first, job, result);
  rig.Settle();
  CHECK(rig.host->broken());
  CHECK(rig.Acked(first).empty());
  rig.Restart();
  const SessionId second = rig.Connect(kAll);
  CHECK(ReadJob(rig.Assigned(second).at(0).payload).label == "r2/tune#2");
  rig.Report(second, job, result);  // never acknowledged: the worker sends it again
  rig.Settle();
  const auto acks = rig.Acked(second);
  REQUIRE(acks.size() == 1);
  CHECK_FALSE(acks[0].stale);
  CHECK(rig.core->requests().size() == 2);
}

TEST_CASE("run time leaves out the time in which no engine was there") {
  HostRig rig(OneAtATime());
  rig.clock.Advance(100);
  const SessionId worker = rig.Connect(kAll);
  rig.clock.Advance(50);
  rig.Do(worker, rig.Assigned(worker).at(0));
  rig.clock.Advance(100000);
  rig.Restart();
  CHECK(rig.host->RunTimeMs() == 150);
}

TEST_CASE("a broken host still hands over what was asked of it before") {
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  rig.store.Hold();
  rig.transport->Arrive(worker, HistoryWanted{"run", 1, 1});
  rig.Settle();
  rig.store.FailNext(Code::kUnavailable);
  rig.host->Post(Signal{Signal::Kind::kPause, Value()});
  rig.Settle();
  rig.store.ReleaseAll();
  rig.Settle();
  CHECK(rig.host->broken());
  CHECK(rig.transport->TakeSent<HistoryAnswer>(worker).size() == 1);
}

}  // namespace
}  // namespace kev::testing
