#include "engine/core/placer.h"

#include <doctest/doctest.h>

#include "tests/engine/core/placer_rig.h"

namespace kev {
namespace {

TEST_CASE("a worker gets as many attempts as it has slots, in order of arrival") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 2));
  for (uint32_t i = 1; i <= 3; ++i) rig.Ready(compile, i);
  CHECK(rig.Placed() == "1>w1 2>w1");
  CHECK(rig.placer.ready() == 1);
  CHECK(rig.placer.out() == 2);
  rig.placer.Finished(Id(1), 100);
  CHECK(rig.Placed() == "3>w1");
}

TEST_CASE("attempts go to workers that do their stage, to the one with most room first") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  const uint32_t profile = rig.placer.AddClass(Does("profile"));
  rig.placer.AddWorker(1, Spec({"compile", "verify"}, 1));
  rig.placer.AddWorker(2, Spec({"compile"}, 3));
  CHECK_FALSE(rig.placer.HasWorkerFor("profile"));
  CHECK(rig.placer.HasWorkerFor("verify"));
  rig.Ready(profile, 9);
  for (uint32_t i = 1; i <= 3; ++i) rig.Ready(compile, i);
  CHECK(rig.Placed() == "1>w2 2>w2 3>w1");
  CHECK(rig.placer.ready("profile") == 1);
}

TEST_CASE("a free slot is better than a place in a longer queue") {
  // The worker with the most credit used to be chosen, so that a job waited behind another while a
  // slower worker idled.
  Rig rig;
  const uint32_t tune = rig.placer.AddClass(Does("tune"));
  rig.placer.AddWorker(1, Spec({"tune"}, 1));
  rig.placer.SetCredit(1, 1000);
  rig.Ready(tune, 1);
  rig.Placed();
  rig.placer.Finished(Id(1), 0.01);  // 50 ahead from now on
  rig.Ready(tune, 2);
  CHECK(rig.Placed() == "2>w1");
  rig.placer.AddWorker(2, Spec({"tune"}, 1));
  rig.Ready(tune, 3);
  rig.Ready(tune, 4);
  CHECK(rig.Placed() == "3>w2 4>w1");
}

TEST_CASE("short jobs are sent ahead so that the worker does not wait for the queue") {
  const auto ahead = [](double busy_ms) {
    Rig rig;
    const uint32_t tune = rig.placer.AddClass(Does("tune"));
    rig.placer.AddWorker(1, Spec({"tune"}, 1));
    rig.placer.SetCredit(1, 100'000);
    rig.Ready(tune, 1000);
    rig.Placed();
    rig.placer.Finished(Id(1000), busy_ms);
    for (uint32_t i = 1; i <= 500; ++i) rig.Ready(tune, i);
    return rig.placer.Place(0).size();
  };
  CHECK(ahead(1000) == 1);
  CHECK(ahead(0.05) == 11);
  CHECK(ahead(0.005) == 101);
  CHECK(ahead(0) == 257);  // bounded
}

TEST_CASE("before its first grant a worker has no more than its slots, however short its jobs") {
  Rig rig;
  const uint32_t tune = rig.placer.AddClass(Does("tune"));
  rig.placer.AddWorker(1, Spec({"tune"}, 2));
  for (uint32_t i = 1; i <= 9; ++i) rig.Ready(tune, i);
  CHECK(rig.Placed() == "1>w1 2>w1");
  rig.placer.Finished(Id(1), 0);
  CHECK(rig.Placed() == "3>w1");
}

TEST_CASE("what was placed and could not be sent costs the worker nothing") {
  Rig rig;
  const uint32_t tune = rig.placer.AddClass(Does("tune"));
  rig.placer.AddWorker(1, Spec({"tune"}, 1));
  rig.placer.SetCredit(1, 1);
  rig.Ready(tune, 1);
  CHECK(rig.Placed() == "1>w1");
  rig.placer.NotSent(Id(1));
  CHECK(rig.placer.out() == 0);
  rig.Ready(tune, 2);
  CHECK(rig.Placed() == "2>w1");
  rig.placer.NotSent(Id(7));  // nobody knows it
  CHECK(rig.placer.out() == 1);
}

TEST_CASE("a worker is never sent more in all than it has granted; repeated grants do not add up") {
  Rig rig;
  const uint32_t tune = rig.placer.AddClass(Does("tune"));
  rig.placer.AddWorker(1, Spec({"tune"}, 4));
  rig.placer.SetCredit(1, 2);
  for (uint32_t i = 1; i <= 9; ++i) rig.Ready(tune, i);
  CHECK(rig.Placed() == "1>w1 2>w1");
  rig.placer.Finished(Id(1), 100);
  rig.placer.Finished(Id(2), 100);
  CHECK(rig.Placed() == "");
  rig.placer.SetCredit(1, 3);
  rig.placer.SetCredit(1, 3);
  rig.placer.SetCredit(1, 1);  // late
  CHECK(rig.Placed() == "3>w1");
  CHECK(rig.placer.CountsOfWorker(1).sent == 3);
}

TEST_CASE("a first grant below what was sent already takes nothing back") {
  Rig rig;
  const uint32_t tune = rig.placer.AddClass(Does("tune"));
  rig.placer.AddWorker(1, Spec({"tune"}, 3));
  for (uint32_t i = 1; i <= 9; ++i) rig.Ready(tune, i);
  CHECK(rig.Placed() == "1>w1 2>w1 3>w1");
  rig.placer.SetCredit(1, 1);
  rig.placer.Finished(Id(1), 100);
  CHECK(rig.Placed() == "");
}

TEST_CASE("a worker that claims a great many slots is not believed") {
  Rig rig;
  const uint32_t tune = rig.placer.AddClass(Does("tune"));
  rig.placer.AddWorker(1, Spec({"tune"}, UINT32_MAX));
  rig.placer.AddWorker(2, Spec({"compile"}, 0));  // nor does one without any get something
  for (uint32_t i = 1; i <= 5000; ++i) rig.Ready(tune, i);
  CHECK(rig.placer.Place(0).size() == 4096);
}

TEST_CASE("a drained worker gets nothing new") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 1));
  rig.placer.DrainWorker(1);
  rig.Ready(compile, 1);
  CHECK(rig.Placed() == "");
  rig.placer.AddWorker(2, Spec({"compile"}, 1));
  CHECK(rig.Placed() == "1>w2");
}

TEST_CASE("while holding nothing is placed") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 1));
  rig.Ready(compile, 1);
  CHECK(rig.placer.Place(0, /*holding=*/true).empty());
  CHECK(rig.Placed() == "1>w1");
}

TEST_CASE("what is known already, or of a class that is not its run's, is refused") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  rig.Ready(compile, 1);
  CHECK_FALSE(rig.placer.Ready({Id(1), compile, 0, false}, 0));
  CHECK_FALSE(rig.placer.Ready({Id(2, /*run=*/7), compile, 0, false}, 0));
  CHECK_FALSE(rig.placer.Ready({Id(2), 99, 0, false}, 0));
  CHECK(rig.placer.ready() == 1);
}

TEST_CASE("unknown attempts, workers and runs are ignored") {
  Rig rig;
  rig.placer.Taken(Id(1), 0);
  rig.placer.Progressed(Id(1), 0);
  rig.placer.Finished(Id(1), 1);
  rig.placer.Returned(Id(1), 0);
  CHECK_FALSE(rig.placer.Withdraw(Id(1)));
  CHECK_FALSE(rig.placer.WorkerOf(Id(1)));
  rig.placer.DrainWorker(1);
  rig.placer.SetCredit(1, 5);
  CHECK(rig.placer.RemoveWorker(1).empty());
  CHECK(rig.placer.RemoveRun(1, 0).empty());
  rig.placer.HoldRun(1, true, 0);
  CHECK(rig.Placed() == "");
}

TEST_CASE(
    "a withdrawn attempt that waits is forgotten, one that is out keeps its slot until answered") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 1));
  rig.Ready(compile, 1);
  rig.Ready(compile, 2);
  rig.Later(compile, 3, 50);
  rig.Placed();
  CHECK_FALSE(rig.placer.Withdraw(Id(2)));
  CHECK_FALSE(rig.placer.Withdraw(Id(3)));
  CHECK(rig.placer.ready() == 0);
  CHECK(rig.placer.Withdraw(Id(1)) == WorkerId{1});
  CHECK(rig.placer.Withdraw(Id(1)) == WorkerId{1});
  rig.Ready(compile, 4);
  CHECK(rig.Placed(100) == "");
  rig.placer.Finished(Id(1), -1);
  CHECK(rig.Placed(100) == "4>w1");
  CHECK_FALSE(rig.placer.Withdraw(Id(77)));
}

TEST_CASE("a result for an attempt that waits again ends it") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 1));
  rig.Ready(compile, 1);
  rig.placer.Finished(Id(1), 5);
  CHECK(rig.Placed() == "");
  CHECK(rig.placer.ready() == 0);
}

TEST_CASE("a lost worker gives back what it had, and says what was taken and what was alone") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 3));
  for (uint32_t i = 1; i <= 3; ++i) rig.Ready(compile, i);
  rig.Placed();
  rig.placer.Taken(Id(1), 0);
  rig.placer.Taken(Id(3), 0);
  rig.placer.Withdraw(Id(3));
  auto had = rig.placer.RemoveWorker(1);
  REQUIRE(had.size() == 3);
  CHECK((had[0].taken && !had[0].withdrawn && had[0].worker == 1));
  CHECK((!had[1].taken && !had[1].withdrawn));
  CHECK((had[2].taken && had[2].withdrawn));  // a death counts for what was begun, wanted or not
  CHECK_FALSE(had[0].alone);
  CHECK(rig.placer.workers() == 0);
  rig.placer.AddWorker(2, Spec({"compile"}, 2));
  rig.Ready(compile, 4);
  rig.Placed();
  had = rig.placer.RemoveWorker(2);
  REQUIRE(had.size() == 1);
  CHECK(had[0].alone);
  CHECK(rig.placer.out() == 0);
}

TEST_CASE("a worker that comes back keeps the ready attempts that it already has") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 1));
  rig.Ready(compile, 1);
  CHECK(rig.placer.Adopt(1, Id(1), 0));
  CHECK_FALSE(rig.placer.Adopt(1, Id(1), 0));
  CHECK_FALSE(rig.placer.Adopt(1, Id(2), 0));
  CHECK_FALSE(rig.placer.Adopt(9, Id(1), 0));
  CHECK(rig.placer.WorkerOf(Id(1)) == WorkerId{1});
  rig.Ready(compile, 2);
  CHECK(rig.Placed() == "");  // its one slot is in use
  const auto had = rig.placer.RemoveWorker(1);
  REQUIRE(had.size() == 1);
  CHECK(had[0].taken);
}

TEST_CASE("a worker may come back with more than its slots and its step's cap") {
  Rig rig;
  JobClass capped = Does("compile");
  capped.max_running = 1;
  const uint32_t compile = rig.placer.AddClass(capped);
  rig.placer.AddWorker(1, Spec({"compile"}, 1));
  for (uint32_t i = 1; i <= 3; ++i) rig.Ready(compile, i);
  CHECK(rig.placer.Adopt(1, Id(1), 0));
  CHECK(rig.placer.Adopt(1, Id(2), 0));
  CHECK(rig.Placed() == "");
  rig.placer.Finished(Id(1), 1);
  CHECK(rig.Placed() == "");
  rig.placer.Finished(Id(2), 1);
  CHECK(rig.Placed() == "3>w1");
}

TEST_CASE("what a worker hands back unbegun goes before those that came later") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 3));
  for (uint32_t i = 1; i <= 5; ++i) rig.Ready(compile, i);
  CHECK(rig.Placed() == "1>w1 2>w1 3>w1");
  for (const uint32_t i : {2u, 3u, 1u}) rig.placer.Returned(Id(i), 10);
  rig.placer.Returned(Id(1), 10);  // said twice
  CHECK(rig.placer.ready() == 5);
  CHECK(rig.Placed(10) == "1>w1 2>w1 3>w1");
  rig.placer.Withdraw(Id(2));
  rig.placer.Returned(Id(2), 20);  // not wanted any more
  CHECK(rig.Placed(20) == "4>w1");
  CHECK(rig.placer.ready() == 1);
}

TEST_CASE("an attempt is not placed before its time, and the placer says when to look again") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 2));
  rig.Later(compile, 1, 50);
  CHECK(rig.placer.NextWake() == 50);
  CHECK(rig.Placed(49) == "");
  CHECK(rig.Placed(50) == "1>w1");
  CHECK_FALSE(rig.placer.NextWake());
}

TEST_CASE("retries are served in order of their time, and behind what was ready before") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  rig.Later(compile, 1, 60);
  rig.Later(compile, 2, 50);
  rig.Later(compile, 3, 50);
  rig.Ready(compile, 4);
  CHECK(rig.Placed(100) == "");
  rig.Ready(compile, 5, 100);
  rig.placer.AddWorker(1, Spec({"compile"}, 9));
  CHECK(rig.Placed(100) == "4>w1 2>w1 3>w1 1>w1 5>w1");
}

TEST_CASE("a clock that jumps back does not bring time back") {
  Rig rig;
  JobClass limited = Does("compile");
  limited.running_limit_ms = 100;
  const uint32_t compile = rig.placer.AddClass(limited);
  rig.placer.AddWorker(1, Spec({"compile"}, 1));
  rig.Ready(compile, 1, 1000);
  rig.Placed(1000);
  rig.placer.Taken(Id(1), 500);  // 1000 was told before
  CHECK(rig.placer.NextWake() == 1100);
  CHECK(rig.Expired(600) == "");
  CHECK(rig.Expired(1100) == "1 running");
}

}  // namespace
}  // namespace kev
