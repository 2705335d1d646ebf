// Quiet hosts, and attempts that run alone.
#include <doctest/doctest.h>

#include "tests/engine/core/placer_rig.h"

namespace kev {
namespace {

TEST_CASE("a quiet attempt waits until its host is silent and holds others back meanwhile") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  const uint32_t profile = rig.placer.AddClass(Quietly("profile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 2));
  rig.placer.AddWorker(2, Spec({"profile"}, 1));
  rig.Ready(compile, 1);
  CHECK(rig.Placed() == "1>w1");
  rig.Ready(profile, 2);
  rig.Ready(compile, 3);
  CHECK(rig.Placed() == "");  // 2 waits for 1; 3 would keep it waiting
  rig.placer.Finished(Id(1), 10);
  CHECK(rig.Placed() == "2>w2");
  CHECK(rig.Placed() == "");  // 3 would disturb it
  rig.placer.Finished(Id(2), 10);
  CHECK(rig.Placed() == "3>w1");
}

TEST_CASE("a stream of work does not starve a quiet attempt") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  const uint32_t profile = rig.placer.AddClass(Quietly("profile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 2));
  rig.placer.AddWorker(2, Spec({"profile"}, 1));
  rig.Ready(compile, 100);
  rig.Ready(compile, 101);
  rig.Placed();
  rig.Ready(profile, 1);
  bool placed = false;
  for (uint32_t i = 0; i < 10 && !placed; ++i) {
    rig.Ready(compile, 102 + i);
    rig.placer.Finished(Id(100 + i), 10);
    placed = rig.Placed().find("1>w2") != std::string::npos;
  }
  CHECK(placed);
}

TEST_CASE("a stream of quiet attempts lets others have a turn") {
  // Quiet ones used to come first for ever.
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  const uint32_t profile = rig.placer.AddClass(Quietly("profile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 1));
  rig.placer.AddWorker(2, Spec({"profile"}, 1));
  for (uint32_t i = 1; i <= 6; ++i) rig.Ready(profile, i);
  rig.Ready(compile, 100);
  std::string order;
  for (const uint32_t next : {1u, 2u, 3u, 4u, 100u, 5u, 6u}) {
    order += rig.Placed() + " ";
    rig.placer.Finished(Id(next), 10);
  }
  CHECK(order == "1>w2 2>w2 3>w2 4>w2 100>w1 5>w2 6>w2 ");
}

TEST_CASE("quiet attempts go on when nobody wants the turn") {
  Rig rig;
  const uint32_t profile = rig.placer.AddClass(Quietly("profile"));
  rig.placer.AddWorker(2, Spec({"profile"}, 1));
  for (uint32_t i = 1; i <= 6; ++i) rig.Ready(profile, i);
  for (uint32_t i = 1; i <= 6; ++i) {
    CHECK(rig.Placed() == std::to_string(i) + ">w2");
    rig.placer.Finished(Id(i), 10);
  }
}

TEST_CASE("a quiet attempt holds back its own host only") {
  // The worker with most room used to be looked at alone: on a hushed host it kept work from all
  // others.
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  const uint32_t profile = rig.placer.AddClass(Quietly("profile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 8));
  rig.placer.AddWorker(2, Spec({"profile"}, 1));
  rig.placer.AddWorker(3, Spec({"compile"}, 2, "b"));
  rig.Ready(compile, 1);
  CHECK(rig.Placed() == "1>w1");
  rig.Ready(profile, 2);
  rig.Ready(compile, 3);
  CHECK(rig.Placed() == "3>w3");
}

TEST_CASE("a quiet attempt that cannot be placed for another reason hushes nobody") {
  for (const char* why : {"label", "cap", "rate", "held", "draining", "credit", "expiring"}) {
    CAPTURE(why);
    const std::string reason = why;
    Rig rig;
    const uint32_t compile = rig.placer.AddClass(Does("compile"));
    JobClass job_class = Quietly("profile");
    job_class.run = 1;
    if (reason == "label") job_class.labels = {{"gpu.model", "H100"}};
    if (reason == "cap") job_class.max_running = 1;
    if (reason == "rate") job_class.rate_per_s = 0.001;
    const uint32_t profile = rig.placer.AddClass(job_class);
    WorkerSpec spec = Spec({"profile"}, 2);
    if (reason == "expiring") spec.expires_at_ms = 10;
    rig.placer.AddWorker(1, Spec({"compile"}, 9));
    if (reason == "cap" || reason == "rate") {  // one that runs elsewhere uses it up
      rig.placer.AddWorker(3, Spec({"profile"}, 1, "elsewhere"));
      rig.Ready(profile, 1, 0, 1);
      CHECK(rig.Placed() == "1>w3");
    }
    rig.placer.AddWorker(2, spec);
    if (reason == "held") rig.placer.HoldRun(1, true, 0);
    if (reason == "draining") rig.placer.DrainWorker(2);
    if (reason == "credit") rig.placer.SetCredit(2, 0);
    rig.Ready(compile, 2);
    CHECK(rig.Placed() == "2>w1");
    rig.Ready(profile, 3, 20, 1);
    rig.Ready(compile, 4, 20);
    CHECK(rig.Placed(20) == "4>w1");
  }
}

TEST_CASE(
    "quiet attempts do not wait for light work, and one quiet attempt is on a host at a time") {
  Rig rig;
  JobClass light = Does("propose");
  light.light = true;
  const uint32_t propose = rig.placer.AddClass(light);
  const uint32_t profile = rig.placer.AddClass(Quietly("profile"));
  rig.placer.AddWorker(1, Spec({"propose"}, 1));
  rig.placer.AddWorker(2, Spec({"profile"}, 4));
  rig.Ready(propose, 1);
  CHECK(rig.Placed() == "1>w1");
  rig.Ready(profile, 2);
  rig.Ready(profile, 3);
  CHECK(rig.Placed() == "2>w2");
  rig.placer.Finished(Id(1), 1);
  CHECK(rig.Placed() == "");
  CHECK(rig.placer.out() == 1);
  rig.placer.Finished(Id(2), 1);
  CHECK(rig.Placed() == "3>w2");
}

TEST_CASE("a host is not hushed for a quiet attempt that has just gone to another") {
  // Host b was hushed first, then the attempt took the turn on a that nobody wanted, and b stayed
  // hushed until something else happened.
  Rig rig;
  const uint32_t profile = rig.placer.AddClass(Quietly("profile"));
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  rig.placer.AddWorker(1, Spec({"profile"}, 1, "a"));
  for (uint32_t i = 1; i <= Placer::kQuietRow; ++i) {
    rig.Ready(profile, i);
    rig.Placed();
    rig.placer.Finished(Id(i), 1);
  }
  rig.placer.AddWorker(2, Spec({"profile"}, 1, "b"));
  rig.placer.AddWorker(3, Spec({"compile"}, 2, "b"));
  rig.Ready(compile, 20);
  CHECK(rig.Placed() == "20>w3");
  rig.Ready(profile, 21);
  rig.Ready(compile, 22);
  CHECK(rig.Placed() == "21>w1 22>w3");
}

TEST_CASE("a quiet host is free again when the worker on it is lost") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  const uint32_t profile = rig.placer.AddClass(Quietly("profile"));
  rig.placer.AddWorker(1, Spec({"profile"}, 1));
  rig.placer.AddWorker(2, Spec({"compile"}, 1));
  rig.Ready(profile, 1);
  rig.Placed();
  rig.Ready(compile, 2);
  CHECK(rig.Placed() == "");
  CHECK(rig.placer.RemoveWorker(1).size() == 1);
  CHECK(rig.Placed() == "2>w2");
}

TEST_CASE("a solitary attempt is alone on its worker") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 4));
  rig.Ready(compile, 1);
  rig.Placed();
  rig.Alone(compile, 2);
  rig.Ready(compile, 3);
  CHECK(rig.Placed() == "");
  rig.placer.Finished(Id(1), 1);
  CHECK(rig.Placed() == "2>w1");
  CHECK(rig.Placed() == "");
  rig.placer.Finished(Id(2), 1);
  CHECK(rig.Placed() == "3>w1");
}

TEST_CASE("a solitary attempt keeps one worker for itself, the one nearest to being idle") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  const uint32_t verify = rig.placer.AddClass(Does("verify"));
  rig.placer.AddWorker(1, Spec({"compile", "verify"}, 3));
  rig.placer.AddWorker(2, Spec({"compile", "verify"}, 2));
  for (uint32_t i = 1; i <= 3; ++i) rig.Ready(compile, i);
  CHECK(rig.Placed() == "1>w1 2>w1 3>w2");
  rig.Alone(compile, 9);
  for (uint32_t i = 4; i <= 6; ++i) rig.Ready(verify, i);
  CHECK(rig.Placed() == "4>w1");
  rig.placer.Finished(Id(3), 1);
  CHECK(rig.Placed() == "9>w2");
}

TEST_CASE("a worker that was kept is free again when the solitary attempt is withdrawn") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 2));
  rig.Ready(compile, 1);
  rig.Placed();
  rig.Alone(compile, 2);
  rig.Ready(compile, 3);
  CHECK(rig.Placed() == "");
  rig.placer.Withdraw(Id(2));
  CHECK(rig.Placed() == "3>w1");
}

TEST_CASE("a solitary quiet attempt gets its worker and its silence") {
  Rig rig;
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  const uint32_t profile = rig.placer.AddClass(Quietly("profile"));
  rig.placer.AddWorker(1, Spec({"compile", "profile"}, 2));
  rig.Ready(compile, 1);
  rig.Placed();
  rig.Alone(profile, 2);
  rig.Ready(compile, 3);
  CHECK(rig.Placed() == "");
  rig.placer.Finished(Id(1), 1);
  CHECK(rig.Placed() == "2>w1");
}

}  // namespace
}  // namespace kev
