// Limits, and what is asked back.
#include <doctest/doctest.h>

#include "tests/engine/core/placer_rig.h"

namespace kev {
namespace {

TEST_CASE("the running limit counts from when the worker took the job, and is told once") {
  Rig rig;
  JobClass limited = Does("compile");
  limited.running_limit_ms = 100;
  const uint32_t compile = rig.placer.AddClass(limited);
  rig.placer.AddWorker(1, Spec({"compile"}, 1));
  rig.Ready(compile, 1);
  rig.Placed();
  CHECK(rig.Expired(5000) == "");
  rig.placer.Taken(Id(1), 5000);
  rig.placer.Taken(Id(1), 5090);  // said twice: the first counts
  CHECK(rig.placer.NextWake() == 5100);
  CHECK(rig.Expired(5099) == "");
  CHECK(rig.Expired(5100) == "1 running");
  CHECK(rig.Expired(9000) == "");
  CHECK_FALSE(rig.placer.NextWake());
  CHECK(rig.placer.out() == 1);  // until the worker answers
  CHECK(rig.placer.Withdraw(Id(1)) == WorkerId{1});
}

TEST_CASE("the queued limit counts from when the attempt could have been placed") {
  Rig rig;
  JobClass limited = Does("compile");
  limited.queued_limit_ms = 100;
  const uint32_t compile = rig.placer.AddClass(limited);
  rig.Later(compile, 1, 1000);
  rig.Placed(1000);
  CHECK(rig.placer.NextWake() == 1100);
  CHECK(rig.Expired(1099) == "");
  CHECK(rig.Expired(1100) == "1 queued");
  rig.placer.Withdraw(Id(1));
  CHECK(rig.Expired(2000) == "");
}

TEST_CASE("the queued limit ends when the worker begins, not when it was sent the job") {
  // A worker that is connected but takes nothing any more would otherwise keep its jobs for ever.
  Rig rig;
  JobClass limited = Does("compile");
  limited.queued_limit_ms = 100;
  const uint32_t compile = rig.placer.AddClass(limited);
  rig.placer.AddWorker(1, Spec({"compile"}, 2));
  rig.Ready(compile, 1);
  rig.Ready(compile, 2);
  rig.Placed();
  rig.placer.Taken(Id(1), 50);
  CHECK(rig.Expired(100) == "2 queued");
  CHECK(rig.Expired(1000) == "");
}

TEST_CASE("a paused run does not run into its queued limit, nor age") {
  Rig rig;
  JobClass limited = Does("compile", 3);
  limited.queued_limit_ms = 100;
  const uint32_t compile = rig.placer.AddClass(limited);
  rig.Ready(compile, 1, 0, 3);
  rig.placer.HoldRun(3, true, 40);
  rig.Ready(compile, 2, 500, 3);
  CHECK(rig.Expired(5000) == "");
  CHECK_FALSE(rig.placer.NextWake());
  rig.placer.HoldRun(3, false, 10'000);
  CHECK(rig.Expired(10'059) == "");
  CHECK(rig.Expired(10'060) == "1 queued");
  CHECK(rig.Expired(10'100) == "2 queued");
}

TEST_CASE("the progress limit counts from when the worker was last heard of") {
  Rig rig;
  JobClass limited = Does("propose");
  limited.progress_limit_ms = 100;
  const uint32_t propose = rig.placer.AddClass(limited);
  rig.placer.AddWorker(1, Spec({"propose"}, 3));
  for (uint32_t i = 1; i <= 3; ++i) rig.Ready(propose, i);
  rig.Placed();
  rig.placer.Taken(Id(1), 10);
  rig.placer.Progressed(Id(2), 20);  // says that it has begun as well
  rig.placer.Progressed(Id(1), 60);
  CHECK(rig.placer.NextWake() == 120);
  CHECK(rig.Expired(120) == "2 no progress");
  CHECK(rig.placer.NextWake() == 160);
  rig.placer.Progressed(Id(2), 130);  // too late
  CHECK(rig.Expired(500) == "1 no progress");
  CHECK(rig.Expired(900) == "");
}

TEST_CASE("limits of one attempt are told in turn, others go on unharmed") {
  Rig rig;
  JobClass limited = Does("compile");
  limited.queued_limit_ms = 50;
  limited.running_limit_ms = 100;
  limited.progress_limit_ms = 30;
  const uint32_t compile = rig.placer.AddClass(limited);
  rig.placer.AddWorker(1, Spec({"compile"}, 2));
  for (uint32_t i = 1; i <= 3; ++i) rig.Ready(compile, i);
  rig.Placed();
  rig.placer.Taken(Id(1), 0);
  rig.placer.Taken(Id(2), 0);
  rig.placer.Progressed(Id(2), 29);
  CHECK(rig.Expired(30) == "1 no progress");
  CHECK(rig.Expired(50) == "3 queued");
  rig.placer.Progressed(Id(2), 58);
  rig.placer.Progressed(Id(2), 87);
  CHECK(rig.Expired(100) == "2 running");
}

// A worker with jobs sent ahead, and then another one.
struct Ahead : Rig {
  uint32_t tune = placer.AddClass(Does("tune"));
  Ahead() {
    placer.AddWorker(1, Spec({"tune"}, 1));
    placer.SetCredit(1, 1000);
    Ready(tune, 100);
    Placed();
    placer.Finished(Id(100), 0.1);  // 5 ahead
    for (uint32_t i = 1; i <= 4; ++i) Ready(tune, i);
    CHECK(Placed() == "1>w1 2>w1 3>w1 4>w1");
    placer.Taken(Id(1), 0);
  }
};

TEST_CASE("what was sent ahead is asked back for a worker that idles, the last first, and once") {
  Ahead rig;
  rig.placer.AddWorker(2, Spec({"tune"}, 2));
  CHECK(rig.Placed(5) == "");
  CHECK(rig.Retracted(5) == "");  // it may be on its way through the queue still
  CHECK(rig.placer.NextWake() == Placer::kRetractAfterMs);
  CHECK(rig.Retracted(10) == "4>w1 3>w1");
  CHECK(rig.Retracted(11) == "");
  rig.Ready(rig.placer.AddClass(Does("compile")), 50, 11);  // Place looks again, and finds w2 idle
  CHECK(rig.Placed(11) == "");
  CHECK(rig.Retracted(11) == "");
  rig.placer.Returned(Id(4), 12);
  CHECK(rig.Placed(12) == "4>w2");
  rig.placer.Taken(Id(3), 12);  // it had begun: the worker ignores the question
  CHECK(rig.Placed(40) == "");
  CHECK(rig.Retracted(40) == "2>w1");
}

TEST_CASE("nothing is asked back for a worker that could not do it") {
  Ahead rig;
  rig.placer.AddWorker(2, Spec({"compile"}, 2));
  WorkerSpec ending = Spec({"tune"}, 2);
  ending.expires_at_ms = 5;
  rig.placer.AddWorker(3, ending);
  rig.Placed(20);
  CHECK(rig.Retracted(20) == "");
  CHECK_FALSE(rig.placer.NextWake());
}

TEST_CASE("nothing is asked back while the engine holds back all work, or the run is paused") {
  Ahead rig;
  rig.placer.AddWorker(2, Spec({"tune"}, 2));
  rig.placer.Place(20, /*holding=*/true);
  CHECK(rig.Retracted(20) == "");
  rig.placer.HoldRun(0, true, 20);
  rig.Placed(20);
  CHECK(rig.Retracted(20) == "");
  rig.placer.HoldRun(0, false, 30);
  rig.Placed(30);
  CHECK(rig.Retracted(30) == "4>w1 3>w1");
}

TEST_CASE("a draining worker is asked for all that it has not begun") {
  Ahead rig;
  rig.placer.DrainWorker(1);
  CHECK(rig.Retracted(0) == "2>w1 3>w1 4>w1");
  CHECK(rig.Retracted(50) == "");
  for (const uint32_t i : {4u, 2u, 3u}) rig.placer.Returned(Id(i), 50);
  CHECK(rig.Placed(50) == "");
  rig.placer.AddWorker(2, Spec({"tune"}, 3));
  CHECK(rig.Placed(50) == "2>w2 3>w2 4>w2");
}

}  // namespace
}  // namespace kev
