// Who comes back, and to what: workers after a restart and in its grace, engines to a store that
// another one has gone on with. Each was found by a seed of the simulator (tools/sim).
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "tests/engine/support/canonical_reader.h"
#include "tests/engine/support/driven_run.h"
#include "tests/engine/support/host_rig.h"
#include "tests/engine/support/plans.h"

namespace kev::testing {
namespace {

Hello WorkerWith(const std::vector<InFlight>& in_flight, const std::string& name = "host:1") {
  Hello hello;
  hello.worker = name;
  hello.stages = kAll;
  hello.host = "host";
  hello.in_flight = in_flight;
  return hello;
}

// A job that a worker had when the engine died. Another engine has begun, with a grace of 4 s.
Assign HeldOverARestart(HostRig& rig) {
  rig.grace_ms = 4000;
  const Assign job = rig.Assigned(rig.Connect(kAll)).at(0);
  rig.Restart();
  return job;
}

// An engine reported a result, and does not know whether its commit took effect. Another one has
// taken the run over and written an entry of its own.
struct TakenOver {
  TakenOver() : rig(OneAtATime()) {
    worker = rig.Connect(kAll);
    const Assign job = rig.Assigned(worker).at(0);
    rig.store.FailNext(Code::kUnavailable);
    rig.Report(worker, job, GoodAnswer(ReadJob(job.payload)));
    rig.Settle();
    REQUIRE(rig.host->store_lost());
  }
  void OtherWrites(uint64_t expected, uint64_t last) {
    auto commit = std::make_shared<Commit>();
    commit->run = "run";
    commit->epoch = 2;
    commit->expected_seq = expected;
    commit->last_seq = last;
    commit->body = "of another engine";
    commit->digest = RunCore::DigestCommands({}).Hex();
    rig.store.SetEpoch(2);
    rig.store.Submit(commit);
    rig.store.ForgetAnswers();
  }
  void CheckStopped() {
    rig.host->Reconcile(&rig.store);
    rig.Settle();
    REQUIRE(rig.run->broken());
    CHECK(rig.run->broken()->code == Code::kConflict);
    CHECK(rig.run->broken()->message.find("another") != std::string::npos);
    CHECK(rig.Acked(worker).empty());
    CHECK(rig.Assigned(worker).empty());
  }
  HostRig rig;
  SessionId worker = 0;
};

TEST_CASE("an engine whose run was taken over while its store was away acknowledges nothing") {
  TakenOver t;
  SUBCASE("the other wrote as much as was in doubt") { t.OtherWrites(1, 2); }
  SUBCASE("the other wrote more") {
    t.OtherWrites(1, 2);
    t.OtherWrites(2, 5);
  }
  SUBCASE("the other has taken the run and written nothing yet") { t.rig.store.SetEpoch(2); }
  t.CheckStopped();
}

TEST_CASE("where the epoch is not known, an entry with other bytes is another's") {
  // Two groups that give no commands have the same digest: a pause, and an entry of another engine.
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  bool told = false;
  rig.store.FailNext(Code::kUnavailable);
  rig.run->Post(Signal{Signal::Kind::kPause, Value()}, [&] { told = true; });
  rig.Settle();
  auto commit = std::make_shared<Commit>();
  commit->run = "run";
  commit->expected_seq = 1;
  commit->last_seq = 2;
  commit->body = "of another engine";
  commit->digest = RunCore::DigestCommands({}).Hex();
  rig.store.SetEpoch(0);
  rig.store.Submit(commit);
  rig.store.ForgetAnswers();
  rig.host->Reconcile(&rig.store);
  rig.Settle();
  CHECK(rig.run->broken());
  CHECK_FALSE(told);
  CHECK(rig.Acked(worker).empty());
}

TEST_CASE("a worker that comes back within the grace keeps what it has, and its result counts") {
  HostRig rig(OneAtATime());
  const Assign job = HeldOverARestart(rig);
  const SessionId after = rig.Connect(WorkerWith({{"run", job.key, 1}, {"run", job.key, 2}}));
  const auto welcome = rig.transport->TakeSent<Welcome>(after);
  REQUIRE(welcome.at(0).keep.size() == 1);
  CHECK(welcome[0].keep[0].attempt == 1);
  rig.Report(after, job, GoodAnswer(ReadJob(job.payload)));
  rig.Settle();
  CHECK_FALSE(rig.Acked(after).at(0).stale);
  CHECK(rig.core->stale() == 0);
  rig.clock.Advance(4000);
  rig.Settle();
  CHECK(rig.core->requests()[0].outcome.attempt == 1);
}

TEST_CASE("a worker does not keep another job of the same name, from a history that was lost") {
  // The power fails with durability `normal`: the log goes on from an earlier point, and asks for
  // something else under a number that was given out before. Seed 103035 of the simulator.
  HostRig rig(OneAtATime());
  const Assign job = HeldOverARestart(rig);
  REQUIRE(job.job_digest != 0);
  const SessionId other =
      rig.Connect(WorkerWith({{"run", job.key, 1, job.job_digest ^ 1}}, "host:2"));
  CHECK(rig.transport->TakeSent<Welcome>(other).at(0).keep.empty());
  rig.Report(other, job, GoodAnswer(ReadJob(job.payload)));
  rig.Settle();
  CHECK(rig.Acked(other).at(0).stale);
  CHECK(rig.core->OpenAttempt(job.key) == 1);

  const SessionId owner = rig.Connect(WorkerWith({{"run", job.key, 1, job.job_digest}}));
  CHECK(rig.transport->TakeSent<Welcome>(owner).at(0).keep.size() == 1);
  rig.Report(owner, job, GoodAnswer(ReadJob(job.payload)));
  rig.Settle();
  CHECK_FALSE(rig.Acked(owner).at(0).stale);
}

TEST_CASE("what nobody came back with is lost when the grace ends, not before") {
  HostRig rig(OneAtATime());
  const Assign job = HeldOverARestart(rig);
  const SessionId after = rig.Connect(kAll);
  CHECK(rig.Assigned(after).empty());
  CHECK(rig.host->Explain(*rig.run, job.key).find("restarted") != std::string::npos);
  rig.clock.Advance(3999);
  rig.Settle();
  CHECK(rig.Assigned(after).empty());
  rig.clock.Advance(1);
  rig.Settle();
  CHECK(rig.Assigned(after).at(0).attempt == 2);
}

TEST_CASE("what is begun in the grace after a restart is not lost at its end") {
  HostRig rig(OneAtATime());
  const Assign first = HeldOverARestart(rig);
  const SessionId after = rig.Connect(WorkerWith({{"run", first.key, 1}}));
  const Assign second = rig.Do(after, first).at(0);  // follows from what it came back with
  CHECK(second.attempt == 1);
  rig.clock.Advance(4000);
  rig.Settle();
  CHECK(rig.core->OpenAttempt(second.key) == 1);
  CHECK(rig.Assigned(after).empty());
  rig.Report(after, second, GoodAnswer(ReadJob(second.payload)));
  rig.Settle();
  CHECK_FALSE(rig.Acked(after).back().stale);
  CHECK(rig.core->stale() == 0);
}

TEST_CASE("what waits unsent when the grace ends is not offered under two numbers") {
  HostRig rig(OneAtATime());
  const Assign first = HeldOverARestart(rig);
  // It can do what it has and nothing else: what follows waits for somebody else.
  Hello hello = WorkerWith({{"run", first.key, 1}});
  hello.stages = {"select"};
  const SessionId after = rig.Connect(hello);
  rig.Do(after, first);
  rig.clock.Advance(4000);
  rig.Settle();
  const SessionId late = rig.Connect(kAll);
  const std::vector<Assign> jobs = rig.Assigned(late);
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0].attempt == 1);
  CHECK(rig.host->placer().ready() == 0);
}

TEST_CASE("a worker that reconnects within the grace keeps what it has a second time") {
  HostRig rig(OneAtATime());
  const Assign job = HeldOverARestart(rig);
  const SessionId once = rig.Connect(WorkerWith({{"run", job.key, 1}}));
  // The new session is announced before the old one is given up.
  const SessionId twice = rig.Connect(WorkerWith({{"run", job.key, 1}}));
  rig.transport->Disconnect(once, "it began a new session");
  rig.Settle();
  CHECK(rig.transport->TakeSent<Welcome>(twice).at(0).keep.size() == 1);
  rig.clock.Advance(4000);
  rig.Settle();
  CHECK(rig.core->OpenAttempt(job.key) == 1);
}

TEST_CASE("nothing goes to a session whose worker has begun another one") {
  // The loss of the old one is told later, and what was sent to it is nowhere. Seed 204861.
  HostRig rig(OneAtATime());
  const SessionId once = rig.Connect(kAll);
  const Assign job = rig.Assigned(once).at(0);
  rig.Report(once, job, GoodAnswer(ReadJob(job.payload)));
  Hello hello = WorkerWith({});
  hello.replaces = {once};
  const SessionId twice = rig.Connect(hello);
  CHECK(rig.Assigned(once).empty());
  CHECK(rig.Assigned(twice).size() == 1);
}

TEST_CASE("what a connected worker has is not another's to claim") {
  HostRig rig(OneAtATime());
  const SessionId owner = rig.Connect(kAll);
  const Assign job = rig.Assigned(owner).at(0);
  const SessionId other = rig.Connect(WorkerWith({{"run", job.key, 1}}, "elsewhere:7"));
  CHECK(rig.transport->TakeSent<Welcome>(other).at(0).keep.empty());
  rig.Report(owner, job, GoodAnswer(ReadJob(job.payload)));
  rig.Settle();
  CHECK_FALSE(rig.Acked(owner).at(0).stale);
}

TEST_CASE("what came back with its worker and is handed back unbegun is offered anew") {
  // The engine that sent it is gone, and its payload with it: it cannot be sent again as it is.
  HostRig rig(OneAtATime());
  const Assign job = HeldOverARestart(rig);
  const SessionId after = rig.Connect(WorkerWith({{"run", job.key, 1}}));
  rig.transport->Arrive(after, Returned{"run", job.key, 1});
  rig.Settle();
  const std::vector<Assign> again = rig.Assigned(after);
  REQUIRE(again.size() == 1);
  CHECK(again[0].key == job.key);
  CHECK(again[0].attempt == 2);
  CHECK_FALSE(again[0].payload.empty());
}

TEST_CASE("that it was cancelled is no result of a job that nobody cancelled") {
  // With `normal` durability the log may have lost why: a time-out that was answered, and forgotten
  // with the tail.
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  const Assign job = rig.Assigned(worker).at(0);
  rig.Report(worker, job, Verdicts(Verdict::kCancelled));
  rig.Settle();
  CHECK_FALSE(rig.run->Ended());
  CHECK(rig.core->OpenAttempt(job.key) == 2);
  CHECK(rig.Refold().OpenAttempt(job.key) == 2);
}

TEST_CASE("a result whose facts are not what its stage declares is no result") {
  auto b = LinearPlan();
  b.plan().in_flight = 1;
  Step& confirm = b.plan().steps[3];
  confirm.facts = {{"speedup", FactKind::kNumber}, {"speedup_low", FactKind::kNumber}};
  const auto answers = [&](const Value& speedup) {
    HostRig rig(b.plan());
    const SessionId worker = rig.Connect(kAll);
    std::vector<Assign> jobs = rig.Assigned(worker);
    while (jobs.at(0).key.step != 3) jobs = rig.Do(worker, jobs[0]);
    JobResult result = Measured(2);
    result.facts.Set("speedup", speedup);
    rig.Report(worker, jobs[0], result);
    rig.Settle();
    CHECK(rig.Acked(worker).back().key == jobs[0].key);
    const Candidate* candidate = rig.core->candidates().Find(jobs[0].key.subject.number);
    REQUIRE(candidate != nullptr);
    const StepOutcome& outcome = candidate->steps[3];
    CHECK(rig.Refold().OpenAttempt(jobs[0].key) == rig.core->OpenAttempt(jobs[0].key));
    return outcome.evidence.empty() ? std::string(outcome.attempt == 1 ? "taken" : "made again")
                                    : outcome.evidence.back();
  };
  CHECK(answers(Value(2.5)) == "taken");
  CHECK(answers(Value(int64_t{2})) == "taken");
  for (const Value& wrong : {Value("fast"), Value(std::nan("")),
                             Value(std::numeric_limits<double>::infinity()), Value(true)})
    CHECK(answers(wrong).find("its fact 'speedup' is no finite number") != std::string::npos);
}

TEST_CASE("a result that its stage cannot have is no result") {
  auto b = LinearPlan();
  b.plan().in_flight = 1;
  b.plan().steps[3].facts = {{"speedup", FactKind::kNumber}};
  // What is said of the first attempt of the job of `step` when its result is `change`d.
  const auto said = [&](uint16_t step, const std::function<void(JobResult&)>& change) {
    HostRig rig(b.plan());
    const SessionId worker = rig.Connect(kAll);
    std::vector<Assign> jobs = rig.Assigned(worker);
    while (jobs.at(0).key.step != step) jobs = rig.Do(worker, jobs[0]);
    JobResult result = GoodAnswer(ReadJob(jobs[0].payload));
    change(result);
    rig.Report(worker, jobs[0], result);
    rig.Settle();
    CHECK(rig.Acked(worker).back().key == jobs[0].key);
    const JobKey& key = jobs[0].key;
    const StepOutcome& outcome = key.subject.kind == SubjectKind::kRequest
                                     ? rig.core->requests()[key.subject.number - 1].outcome
                                     : rig.core->candidates().Find(key.subject.number)->steps[step];
    CHECK(rig.core->dead_letters().empty());
    return outcome.evidence.empty() ? std::string("taken") : outcome.evidence.back();
  };
  const auto has = [](const std::string& text, const char* what) {
    CHECK_MESSAGE(text.find(what) != std::string::npos, text);
  };
  for (uint16_t step = 0; step < 5; ++step) CHECK(said(step, [](JobResult&) {}) == "taken");
  has(said(1, [](JobResult& r) { r.verdict = Verdict::kPoison; }), "is the engine's to give");
  has(said(1, [](JobResult& r) { r.verdict = Verdict::kDuplicate; }), "is the engine's to give");
  has(said(1, [](JobResult& r) { r.artefacts.clear(); }), "brings no artefact");
  has(said(3, [](JobResult& r) { r.facts = Value(); }), "brings no 'speedup'");
  for (const char* parent : {"c1", "p1", "r1", "c4000000"}) {
    has(said(0, [&](JobResult& r) { r.proposals[0].parents = {*SubjectFrom(parent)}; }),
        "which is no candidate of the run");
  }
  CHECK(said(1, [](JobResult& r) { r = Verdicts(Verdict::kNoCompile, "no"); }) == "taken");
}

TEST_CASE("a blob that a result names came with it, or the store has it") {
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  Assign job = rig.Assigned(worker).at(0);
  const auto report = [&](const char* blob, bool sent) {
    ResultMessage message{"run", job.key, job.attempt, GoodAnswer(ReadJob(job.payload)), {}};
    message.result.blobs["stdout"] = RefOf(blob);
    if (sent) message.blobs.emplace_back(RefOf(blob), blob);
    rig.transport->Arrive(worker, std::move(message));
    rig.Settle();
    return rig.core->requests()[0].outcome;
  };
  SUBCASE("else the attempt is made again") {
    const StepOutcome outcome = report("nowhere", false);
    REQUIRE(outcome.evidence.size() == 1);
    CHECK(outcome.evidence[0].find("which did not come with it") != std::string::npos);
    CHECK(outcome.attempt == 2);
    CHECK(outcome.blobs.empty());
  }
  SUBCASE("from an earlier result") {
    CHECK(report("text", true).attempt == 1);
    job = rig.Assigned(worker).at(0);  // r2, by the step that proposes
    JobResult result = GoodAnswer(ReadJob(job.payload));
    result.proposals[0].source = RefOf("text");
    rig.transport->Arrive(worker, ResultMessage{"run", job.key, 1, std::move(result), {}});
    rig.Settle();
    CHECK(rig.core->candidates().size() == 1);
  }
  SUBCASE("from a time before this engine: it is asked") {
    CHECK(report("text", true).attempt == 1);
    rig.grace_ms = 4000;
    job = rig.Assigned(worker).at(0);
    rig.Restart();
    const SessionId after = rig.Connect(WorkerWith({{"run", job.key, 1}}));
    JobResult result = GoodAnswer(ReadJob(job.payload));
    result.proposals[0].source = RefOf("text");
    rig.transport->Arrive(after, ResultMessage{"run", job.key, 1, std::move(result), {}});
    rig.Settle();
    CHECK(rig.core->candidates().size() == 1);
    CHECK(rig.Acked(after).size() == 1);
  }
}

TEST_CASE("a job that must be alone is alone as well on the worker that came back with it") {
  HostRig rig(LinearPlan().plan());
  rig.grace_ms = 4000;
  Assign job;
  for (int death = 0; death < 2; ++death) {
    const SessionId worker = rig.Connect({"select"});
    job = rig.Assigned(worker).at(0);
    rig.transport->Arrive(worker, Taken{"run", job.key, job.attempt});
    rig.transport->Disconnect(worker, "it died");
    rig.Settle();
  }
  const SessionId third = rig.Connect({"select"});
  job = rig.Assigned(third).at(0);
  REQUIRE(rig.core->Solitary(job.key));
  rig.Restart();
  Hello hello = WorkerWith({{"run", job.key, job.attempt}});
  hello.slots = 4;
  const SessionId after = rig.Connect(hello);
  RunCore second("second");
  HostedRunOptions options;
  options.run = "second";
  HostedRun& other = rig.host->Add(options, &second);
  rig.store.SetEpoch(0);
  other.Post(RunSubmitted{OneAtATime(), Value()});
  rig.Settle();
  CHECK(rig.Assigned(after).empty());
  rig.Do(after, job);
  CHECK_FALSE(rig.host->placer().out() == 0);
}

TEST_CASE("a worker keeps a result that is on its way to the log, and is answered where it is") {
  HostRig rig(OneAtATime());
  const SessionId once = rig.Connect(kAll);
  const Assign job = rig.Assigned(once).at(0);
  rig.store.Hold();
  rig.run->Post(Signal{Signal::Kind::kPause, Value()});  // one commit under way: the next collects
  rig.Settle();
  rig.Report(once, job, GoodAnswer(ReadJob(job.payload)));
  rig.Settle();
  CHECK(rig.host->Explain(*rig.run, job.key) == "its result is on its way to the log");
  const SessionId twice = rig.Connect(WorkerWith({{"run", job.key, 1}}));
  rig.transport->Disconnect(once, "it began a new session");
  CHECK(rig.transport->TakeSent<Welcome>(twice).at(0).keep.size() == 1);
  rig.Report(twice, job, GoodAnswer(ReadJob(job.payload)));
  rig.Settle();
  rig.store.ReleaseAll();
  rig.Settle();
  const auto acks = rig.Acked(twice);
  REQUIRE(acks.size() == 1);
  CHECK_FALSE(acks[0].stale);
}

TEST_CASE("an attempt whose beginning is not confirmed says that it waits for that") {
  HostRig rig(OneAtATime());
  rig.store.Hold();
  const SessionId worker = rig.Connect(kAll);
  const JobKey pick = rig.core->OpenAttempts().at(0).key;
  CHECK(rig.Assigned(worker).empty());
  CHECK(rig.host->Explain(*rig.run, pick) ==
        "it waits until the store has confirmed its beginning");
}

TEST_CASE("the record of a request says that it was withdrawn") {
  HostRig rig(OneAtATime());
  rig.Connect(kAll);
  rig.run->Post(Signal{Signal::Kind::kCancel, Value()});
  rig.Settle();
  CHECK(rig.store.projection("run", "req:1")["record"].find("cancelled") != std::string::npos);
}

}  // namespace
}  // namespace kev::testing
