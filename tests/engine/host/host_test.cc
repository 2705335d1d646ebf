// The host on its good days: who is told what, and when.
#include <doctest/doctest.h>

#include "tests/engine/support/canonical_reader.h"
#include "tests/engine/support/host_rig.h"
#include "tests/engine/support/plans.h"

namespace kev::testing {
namespace {

TEST_CASE("a run goes from submission to its end over one worker") {
  auto b = LinearPlan();
  b.Reference().Baseline("plain");
  HostRig rig(b.plan());
  const SessionId worker = rig.Connect(kAll, 4);
  std::vector<Assign> jobs = rig.Assigned(worker);
  while (!rig.run->Ended()) {
    REQUIRE_FALSE(jobs.empty());
    const Assign job = jobs.front();
    jobs.erase(jobs.begin());
    for (Assign& next : rig.Do(worker, job)) jobs.push_back(std::move(next));
  }
  CHECK(rig.core->ended()->stopped_by == "candidates");
  CHECK(rig.store.projection("run", "cand:10").at("verdict") == "ok");
  CHECK(rig.store.projection("run", "run").at("record").find("\"phase\":\"ended\"") !=
        std::string::npos);
  CHECK(rig.Acked(worker).size() == rig.host->jobs_done());
}

TEST_CASE("commands leave only after the commit that gave them is confirmed") {
  HostRig rig(OneAtATime());
  rig.store.Hold();
  const SessionId worker = rig.Connect(kAll);
  CHECK(rig.store.log("run").size() == 1);
  CHECK(rig.Assigned(worker).empty());
  rig.store.ReleaseAll();
  rig.Settle();
  CHECK(rig.Assigned(worker).size() == 1);
}

TEST_CASE("a result is acknowledged only after its commit is confirmed") {
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  const Assign job = rig.Assigned(worker).at(0);
  rig.store.Hold();
  rig.Report(worker, job, GoodAnswer(ReadJob(job.payload)));
  rig.Settle();
  CHECK(rig.Told().find("result r1/pick#1 ok") != std::string::npos);
  CHECK(rig.Acked(worker).empty());
  rig.store.ReleaseAll();
  rig.Settle();
  const auto acks = rig.Acked(worker);
  REQUIRE(acks.size() == 1);
  CHECK(acks[0].key == job.key);
  CHECK_FALSE(acks[0].stale);
}

TEST_CASE("a result sent again is acknowledged and logged once") {
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  const Assign job = rig.Assigned(worker).at(0);
  const JobResult result = GoodAnswer(ReadJob(job.payload));
  rig.store.Hold();
  rig.Report(worker, job, result);
  rig.Settle();
  rig.Report(worker, job, result);  // while the commit is under way
  rig.Settle();
  rig.store.ReleaseAll();
  rig.Settle();
  CHECK(rig.Acked(worker).size() == 1);
  rig.Report(worker, job, result);  // after it
  rig.Settle();
  const auto again = rig.Acked(worker);
  REQUIRE(again.size() == 1);
  CHECK_FALSE(again[0].stale);
  CHECK(rig.core->stale() == 0);
}

TEST_CASE("a result sent again on a new session is acknowledged there") {
  // The acknowledgement used to go to the session that had died, and the worker waited for ever.
  HostRig rig(OneAtATime());
  const SessionId old = rig.Connect(kAll);
  const Assign job = rig.Assigned(old).at(0);
  const JobResult result = GoodAnswer(ReadJob(job.payload));
  rig.store.Hold();
  rig.Report(old, job, result);
  rig.Settle();
  rig.transport->Disconnect(old, "connection reset");
  const SessionId fresh = rig.Connect(kAll);
  rig.Report(fresh, job, result);
  rig.Settle();
  rig.store.ReleaseAll();
  rig.Settle();
  CHECK(rig.Acked(fresh).size() == 1);
  CHECK(rig.core->OpenAttempt(job.key) == 0);
}

TEST_CASE("who reports what another worker has just reported does not get its acknowledgement") {
  // The acknowledgement went to the liar, and the worker whose result counted waited for ever.
  HostRig rig(OneAtATime());
  const auto named = [](const std::string& name) {
    Hello hello;
    hello.worker = name;
    hello.stages = kAll;
    hello.host = "host";
    return hello;
  };
  const SessionId worker = rig.Connect(named("host:1"));
  const Assign job = rig.Assigned(worker).at(0);
  const SessionId liar = rig.Connect(named("host:2"));
  rig.store.Hold();
  rig.Report(worker, job, GoodAnswer(ReadJob(job.payload)));
  rig.Settle();
  JobResult lie = GoodAnswer(ReadJob(job.payload));
  lie.message = "a lie";
  rig.Report(liar, job, lie);
  rig.Settle();
  const auto refused = rig.Acked(liar);
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].stale);
  rig.store.ReleaseAll();
  rig.Settle();
  const auto acks = rig.Acked(worker);
  REQUIRE(acks.size() == 1);
  CHECK_FALSE(acks[0].stale);
  CHECK(rig.Acked(liar).empty());
}

TEST_CASE("a result of an attempt that is over is acknowledged as stale and its cost is logged") {
  HostRig rig(OneAtATime());
  const SessionId first = rig.Connect(kAll);
  const Assign job = rig.Assigned(first).at(0);
  rig.transport->Disconnect(first, "connection reset");
  const SessionId second = rig.Connect(kAll);
  JobResult late = GoodAnswer(ReadJob(job.payload));
  late.usage.tokens_in = 9;
  rig.Report(second, job, late);
  rig.Settle();
  const auto acks = rig.Acked(second);
  REQUIRE(acks.size() == 1);
  CHECK(acks[0].stale);
  CHECK(rig.core->usage().tokens_in == 9);
}

TEST_CASE("a result for another run is acknowledged as stale and not logged") {
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  Assign job = rig.Assigned(worker).at(0);
  job.run = "yesterday";
  const size_t entries = rig.store.log("run").size();
  rig.Report(worker, job, {});
  rig.Settle();
  CHECK(rig.Acked(worker).at(0).stale);
  CHECK(rig.store.log("run").size() == entries);
  // It once freed the slot and dropped the payload of this run's job of the same name, which then
  // never ended.
  CHECK(rig.host->placer().out() == 1);
  job.run = "run";
  rig.Report(worker, job, {});
  rig.Settle();
  CHECK(rig.store.log("run").size() > entries);
}

TEST_CASE(
    "while a commit is under way events collect, and a full enough group leaves before it ends") {
  auto b = LinearPlan();
  b.plan().in_flight = 100;
  b.plan().budget.candidates = 100;
  HostRig rig(b.plan());
  const SessionId worker = rig.Connect(kAll, 200);
  std::vector<Assign> jobs = rig.Do(worker, rig.Assigned(worker).at(0));
  REQUIRE(jobs.size() == 100);
  const auto report = [&](size_t from, size_t to) {
    for (size_t i = from; i < to; ++i)
      rig.Report(worker, jobs[i], GoodAnswer(ReadJob(jobs[i].payload)));
    rig.Settle();
  };
  rig.store.Hold();
  const size_t before = rig.store.commits();
  report(0, 1);
  CHECK(rig.store.commits() == before + 1);
  report(1, 10);
  CHECK(rig.store.commits() == before + 1);  // nine collect
  report(10, 50);
  CHECK(rig.store.commits() == before + 2);  // worth a trip of their own
  report(50, 100);
  CHECK(rig.store.commits() == before + 2);  // never more than two
  CHECK(rig.Assigned(worker).empty());
  rig.store.ReleaseAll();
  rig.Settle();
  CHECK(rig.Assigned(worker).size() == 100);
}

TEST_CASE("a lost session loses its attempts, which go to another worker under a new number") {
  HostRig rig(OneAtATime());
  const SessionId first = rig.Connect(kAll);
  const Assign job = rig.Assigned(first).at(0);
  rig.transport->Arrive(first, Taken{"run", job.key, job.attempt});
  rig.transport->Disconnect(first, "connection reset");
  const SessionId second = rig.Connect(kAll);
  const auto again = rig.Assigned(second);
  REQUIRE(again.size() == 1);
  CHECK(again[0].key == job.key);
  CHECK(again[0].attempt == 2);
  CHECK(ReadJob(again[0].payload).attempt == 2);
  CHECK(rig.Told().find("lost r1/pick#1 worker_died") != std::string::npos);
}

TEST_CASE("an orderly BYE is a drain, not a death") {
  HostRig rig(OneAtATime());
  const SessionId first = rig.Connect(kAll);
  rig.transport->Disconnect(first, "BYE", /*orderly=*/true);
  rig.Settle();
  CHECK(rig.Told().find("lost r1/pick#1 drained") != std::string::npos);
}

TEST_CASE("a result that was received before its session was lost is not lost") {
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  const Assign job = rig.Assigned(worker).at(0);
  rig.Report(worker, job, GoodAnswer(ReadJob(job.payload)));
  rig.transport->Disconnect(worker, "connection reset");
  rig.Settle();
  CHECK(rig.Told().find("lost") == std::string::npos);
  CHECK(rig.Told().find("result r1/pick#1 ok") != std::string::npos);
}

TEST_CASE("the secret is in verify jobs, in no other, and never in the log") {
  Value secret;
  secret.Set("held_out", "open sesame");
  HostRig rig(OneAtATime(), secret);
  const SessionId worker = rig.Connect(kAll);
  std::vector<Assign> jobs = rig.Assigned(worker);
  size_t verified = 0;
  while (!rig.run->Ended()) {
    REQUIRE(jobs.size() == 1);
    const Job job = ReadJob(jobs[0].payload);
    verified += job.stage == "verify";
    const bool judged = job.stage == "verify" || job.stage == "profile";
    CHECK(job.secret == (judged ? secret : Value()));
    jobs = rig.Do(worker, jobs[0]);
  }
  CHECK(verified == 10);
  for (const auto& entry : rig.store.log("run")) {
    CHECK(entry.body.find("open sesame") == std::string::npos);
  }
}

TEST_CASE("while it holds, results are still committed but nothing new is given out") {
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  const Assign job = rig.Assigned(worker).at(0);
  rig.host->Hold(true);
  CHECK(rig.Do(worker, job).empty());
  CHECK(rig.Acked(worker).size() == 1);
  rig.host->Hold(false);
  rig.Settle();
  CHECK(rig.Assigned(worker).size() == 1);
}

TEST_CASE("blobs go with the commit that names them, once") {
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  const Assign job = rig.Assigned(worker).at(0);
  rig.transport->Arrive(worker, ResultMessage{"run",
                                              job.key,
                                              job.attempt,
                                              GoodAnswer(ReadJob(job.payload)),
                                              {{RefOf("text"), "text"}}});
  rig.Settle();
  CHECK(rig.store.blobs().at(RefOf("text").sha256) == "text");
  rig.transport->Arrive(worker, BlobWanted{RefOf("text").sha256});
  rig.transport->Arrive(worker, BlobWanted{RefOf("none").sha256});
  rig.Settle();
  const auto answers = rig.transport->TakeSent<BlobAnswer>(worker);
  REQUIRE(answers.size() == 2);
  CHECK(answers[0].bytes == "text");
  CHECK_FALSE(answers[1].found);
}

TEST_CASE("a worker that asks for history gets the groups of the log") {
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  rig.Do(worker, rig.Assigned(worker).at(0));
  rig.transport->Arrive(worker, HistoryWanted{"run", 1, 2});
  rig.Settle();
  const auto answers = rig.transport->TakeSent<HistoryAnswer>(worker);
  REQUIRE(answers.size() == 1);
  REQUIRE(answers[0].groups.size() == 2);
  CHECK(answers[0].groups[0] == rig.store.log("run")[0].body);
}

TEST_CASE("the wall budget ends a run in which nothing else happens") {
  auto plan = OneAtATime();
  plan.budget.wall_ms = 1000;
  HostRig rig(plan);
  rig.Settle();
  CHECK(rig.host->WaitMs() == 1000);
  rig.clock.Advance(1000);
  rig.Settle();
  CHECK(rig.run->Ended());
  CHECK(rig.core->ended()->stopped_by == "wall");
  CHECK(rig.host->WaitMs() == -1);
}

TEST_CASE("an attempt that runs far beyond its limit is called back and tried again") {
  auto b = LinearPlan();
  b.plan().in_flight = 1;
  b.at("pick").timeout_running_ms = 1000;
  b.at("pick").retry.base_ms = 0;
  HostRig rig(b.plan());
  const SessionId worker = rig.Connect(kAll, 2);
  const Assign job = rig.Assigned(worker).at(0);
  rig.transport->Arrive(worker, Taken{"run", job.key, job.attempt});
  rig.Settle();
  rig.clock.Advance(6249);  // the worker's own deadline comes first: limit + limit / 4 + 5 s
  rig.Settle();
  CHECK(rig.transport->TakeSent<Cancel>(worker).empty());
  rig.clock.Advance(1);
  rig.Settle();
  CHECK(rig.transport->TakeSent<Cancel>(worker).size() == 1);
  CHECK(rig.Assigned(worker).at(0).attempt == 2);
}

TEST_CASE("a worker's inventory is kept only as far as it is current") {
  HostRig rig(OneAtATime());
  const SessionId first = rig.Connect(kAll);
  const Assign job = rig.Assigned(first).at(0);
  // It comes back on a new connection; the loss of the old one is noticed later.
  Hello hello;
  hello.worker = "host:1";
  hello.stages = kAll;
  hello.host = "host";
  hello.in_flight = {{"run", job.key, 1}, {"run", job.key, 2}, {"other", job.key, 2}};
  const SessionId second = rig.Connect(hello);
  const auto welcome = rig.transport->TakeSent<Welcome>(second);
  REQUIRE(welcome.size() == 1);
  REQUIRE(welcome[0].keep.size() == 1);
  CHECK(welcome[0].keep[0].attempt == 1);
  rig.transport->Disconnect(first, "the worker began a new session");
  rig.Settle();
  CHECK(rig.Told().find("lost") == std::string::npos);
  CHECK(rig.Assigned(second).empty());  // it has it already
  rig.Report(second, job, GoodAnswer(ReadJob(job.payload)));
  rig.Settle();
  CHECK_FALSE(rig.Acked(second).at(0).stale);
}

TEST_CASE("compaction goes on behind a restart: with the snapshot that was, and what had ended") {
  HostRig rig(OneAtATime());
  const auto work_until = [&](size_t candidates) {
    const SessionId worker = rig.Connect(kAll);
    std::vector<Assign> jobs = rig.Assigned(worker);
    while (!jobs.empty() && rig.core->candidates().size() < candidates)
      jobs = rig.Do(worker, jobs.at(0));
  };
  work_until(5);
  rig.snapshot_events = 20;
  rig.snapshot_seq = 2;
  rig.over = {{SubjectKind::kCandidate, 1}, {SubjectKind::kRequest, 1}};
  const uint64_t before = rig.core->last_seq();
  REQUIRE(before > rig.snapshot_seq + rig.snapshot_events);
  REQUIRE_FALSE(rig.store.projection("run", "cand:1").empty());
  rig.Restart();
  rig.Settle();
  // An engine that restarts more often than a snapshot is due takes one all the same.
  const std::string seq = rig.store.projection("run", "snap")["seq"];
  REQUIRE_FALSE(seq.empty());
  CHECK(std::stoull(seq) > before);
  CHECK_FALSE(rig.store.projection("run", "req:1").empty());
  work_until(15);
  REQUIRE(rig.store.projection("run", "snap")["seq"] != seq);
  CHECK(rig.store.projection("run", "req:1").empty());
  CHECK_FALSE(rig.store.projection("run", "cand:1").empty());  // this core keeps candidates
}

TEST_CASE("draining tells every worker and gives it nothing more") {
  HostRig rig(OneAtATime());
  const SessionId worker = rig.Connect(kAll);
  const Assign job = rig.Assigned(worker).at(0);
  rig.host->DrainWorkers();
  CHECK(rig.transport->TakeSent<Drain>(worker).size() == 1);
  CHECK(rig.Do(worker, job).empty());
  CHECK(rig.Acked(worker).size() == 1);
}

}  // namespace
}  // namespace kev::testing
