// The host on its bad days: a store that fails, and engines that begin again from its log.
#include <doctest/doctest.h>

#include "tests/engine/support/canonical_reader.h"
#include "tests/engine/support/driven_run.h"
#include "tests/engine/support/host_rig.h"
#include "tests/engine/support/plans.h"

namespace kev::testing {
namespace {

TEST_CASE("when the store refuses a commit nothing is acknowledged or given out any more") {
  for (const Code code : {Code::kConflict, Code::kUnavailable, Code::kDiskFull}) {
    HostRig rig(OneAtATime());
    const SessionId worker = rig.Connect(kAll);
    const Assign job = rig.Assigned(worker).at(0);
    rig.store.FailNext(code);
    CHECK(rig.Do(worker, job).empty());
    REQUIRE(rig.Broken());
    CHECK(rig.Broken()->code == code);
    CHECK(rig.Acked(worker).empty());
    const size_t commits = rig.store.commits();
    rig.run->Post(Signal{Signal::Kind::kPause, Value()});
    rig.Settle();
    CHECK(rig.store.commits() == commits);
    const SessionId late = rig.Connect(kAll);
    CHECK(rig.Assigned(late).empty());
    CHECK_FALSE(rig.run->Ended());
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
  CHECK(rig.Broken());
  CHECK(rig.Acked(worker).empty());
  CHECK(rig.Assigned(worker).empty());
}

TEST_CASE("an engine that was taken over is told so and stops") {
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  const Assign job = rig.Assigned(worker).at(0);
  rig.store.SetEpoch(2);
  CHECK(rig.Do(worker, job).empty());
  CHECK(rig.Broken()->code == Code::kConflict);
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
  CHECK(rig.Told().find("epoch 2; all open attempts lost but 0") != std::string::npos);
}

TEST_CASE("a commit whose answer was lost is found in the log and not done twice") {
  HostRig rig(OneAtATime());
  const SessionId first = rig.Connect(kAll);
  const Assign job = rig.Assigned(first).at(0);
  const JobResult result = GoodAnswer(ReadJob(job.payload));
  rig.store.LoseNextAnswer();
  rig.Report(first, job, result);
  rig.Settle();
  CHECK(rig.Broken());
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
  CHECK(rig.run->RunTimeMs(rig.clock.NowMs()) == 150);
}

TEST_CASE("a broken host still hands over what was asked of it before") {
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  rig.store.Hold();
  rig.transport->Arrive(worker, HistoryWanted{"run", 1, 1});
  rig.Settle();
  rig.store.FailNext(Code::kUnavailable);
  rig.run->Post(Signal{Signal::Kind::kPause, Value()});
  rig.Settle();
  rig.store.ReleaseAll();
  rig.Settle();
  CHECK(rig.Broken());
  CHECK(rig.transport->TakeSent<HistoryAnswer>(worker).size() == 1);
}

TEST_CASE("a result of somebody who was not given the attempt is refused") {
  HostRig rig(OneAtATime());
  const SessionId first = rig.Connect(kAll);
  const SessionId other = rig.Connect(kAll);
  const Assign job = rig.Assigned(first).at(0);
  rig.Report(other, job, GoodAnswer(ReadJob(job.payload)));
  rig.Settle();
  CHECK(rig.Acked(other).at(0).stale);
  CHECK(rig.core->OpenAttempt(job.key) == 1);
  CHECK(rig.store.log("run").size() == 1);  // it does not even reach the log
  rig.Report(first, job, GoodAnswer(ReadJob(job.payload)));
  rig.Settle();
  CHECK_FALSE(rig.Acked(first).at(0).stale);
}

TEST_CASE("a store that comes back is asked what it has, and the run goes on") {
  for (const bool stored : {true, false}) {
    CAPTURE(stored);
    HostRig rig(OneAtATime());
    const SessionId worker = rig.Connect(kAll);
    const Assign job = rig.Assigned(worker).at(0);
    if (stored)
      rig.store.LoseNextAnswer();
    else
      rig.store.FailNext(Code::kUnavailable);
    rig.Report(worker, job, GoodAnswer(ReadJob(job.payload)));
    rig.Settle();
    REQUIRE(rig.host->store_lost());
    CHECK(rig.Acked(worker).empty());
    CHECK(rig.host->Explain(*rig.run, job.key).find("store is gone") == std::string::npos);
    rig.host->Reconcile(&rig.store);
    rig.Settle();
    CHECK_FALSE(rig.Broken());
    CHECK(rig.Acked(worker).size() == 1);
    CHECK(rig.Assigned(worker).size() == 1);
    CHECK(rig.core->last_seq() == rig.store.log("run").back().last_seq);
    rig.Refold();
  }
}

TEST_CASE("what a store confirmed and lost is written again while it is remembered") {
  HostRig rig(OneAtATime());
  rig.retain_ms = 1000;
  rig.Restart();  // with that
  const SessionId worker = rig.Connect(kAll);
  std::vector<Assign> jobs = rig.Assigned(worker);
  for (int i = 0; i < 3; ++i) jobs = rig.Do(worker, jobs.at(0));
  const size_t entries = rig.store.log("run").size();
  rig.store.LoseTail("run", 2);
  rig.store.FailNext(Code::kUnavailable);
  rig.Report(worker, jobs.at(0), GoodAnswer(ReadJob(jobs.at(0).payload)));
  rig.Settle();
  rig.host->Reconcile(&rig.store);
  rig.Settle();
  CHECK_FALSE(rig.Broken());
  CHECK(rig.store.log("run").size() == entries + 1);
  rig.Refold();
}

TEST_CASE("a store that lost what nobody remembers ends the run here") {
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  std::vector<Assign> jobs = rig.Assigned(worker);
  for (int i = 0; i < 3; ++i) jobs = rig.Do(worker, jobs.at(0));
  rig.store.LoseTail("run", 2);
  rig.store.FailNext(Code::kUnavailable);
  rig.Report(worker, jobs.at(0), GoodAnswer(ReadJob(jobs.at(0).payload)));
  rig.Settle();
  rig.host->Reconcile(&rig.store);
  rig.Settle();
  REQUIRE(rig.run->broken());
  CHECK(rig.run->broken()->message.find("lost what it had taken") != std::string::npos);
}

TEST_CASE("a pause holds what waits, a resume lets it go, and both are in the log") {
  auto b = LinearPlan();
  HostRig rig(b.plan());
  rig.run->Post(Signal{Signal::Kind::kPause, Value()});
  const SessionId worker = rig.Connect(kAll, 4);
  CHECK(rig.Assigned(worker).empty());
  CHECK(rig.core->ExplainRun().find("paused") != std::string::npos);
  bool told = false;
  rig.run->Post(Signal{Signal::Kind::kResume, Value()}, [&] { told = true; });
  rig.Settle();
  CHECK(told);
  CHECK(rig.Assigned(worker).size() == 1);
}

TEST_CASE("two runs share the workers of one host") {
  HostRig rig(OneAtATime());
  RunCore second("second");
  HostedRunOptions options;
  options.run = "second";
  HostedRun& other = rig.host->Add(options, &second);
  rig.store.SetEpoch(0);
  other.Post(RunSubmitted{OneAtATime(), Value()});
  const SessionId worker = rig.Connect(kAll, 4);
  std::vector<Assign> jobs = rig.Assigned(worker);
  CHECK(jobs.size() == 2);
  for (int i = 0; i < 400 && !(rig.run->Ended() && other.Ended()); ++i) {
    REQUIRE_FALSE(jobs.empty());
    const Assign job = jobs.front();
    jobs.erase(jobs.begin());
    for (Assign& next : rig.Do(worker, job)) jobs.push_back(std::move(next));
  }
  CHECK(rig.run->Ended());
  CHECK(other.Ended());
  CHECK(rig.core->ended()->stopped_by == "candidates");
  CHECK(second.ended()->stopped_by == "candidates");
  rig.host->Remove(other);
  CHECK(rig.host->Find("second") == nullptr);
}

}  // namespace
}  // namespace kev::testing
