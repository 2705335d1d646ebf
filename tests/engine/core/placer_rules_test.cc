// Caps, rates, resources, labels, priorities, and what Explain says of them.
#include <doctest/doctest.h>

#include "tests/engine/core/placer_rig.h"

namespace kev {
namespace {

TEST_CASE("a step's cap holds over all workers, and counts until the worker has answered") {
  Rig rig;
  JobClass capped = Does("propose");
  capped.max_running = 2;
  const uint32_t propose = rig.placer.AddClass(capped);
  rig.placer.AddWorker(1, Spec({"propose"}, 2));
  rig.placer.AddWorker(2, Spec({"propose"}, 2));
  for (uint32_t i = 1; i <= 4; ++i) rig.Ready(propose, i);
  CHECK(rig.Placed() == "1>w1 2>w2");
  CHECK(rig.placer.Explain(Id(3), 0) == "its step's cap of 2 is reached");
  rig.placer.Withdraw(Id(1));
  CHECK(rig.Placed() == "");
  rig.placer.Finished(Id(1), -1);
  CHECK(rig.Placed() == "3>w1");
}

TEST_CASE("a rate limit lets a burst pass and then one at a time, and says when to look again") {
  Rig rig;
  JobClass limited = Does("propose");
  limited.rate_per_s = 5;
  limited.burst = 2;
  const uint32_t propose = rig.placer.AddClass(limited);
  rig.placer.AddWorker(1, Spec({"propose"}, 9));
  for (uint32_t i = 1; i <= 6; ++i) rig.Ready(propose, i, 1000);
  CHECK(rig.Placed(1000) == "1>w1 2>w1");
  CHECK(rig.placer.NextWake() == 1200);
  CHECK(rig.placer.Explain(Id(3), 1000) == "rate limit 5/s: next in 0.2 s");
  CHECK(rig.Placed(1199) == "");
  CHECK(rig.Placed(1200) == "3>w1");
  CHECK(rig.Placed(1300) == "");
  CHECK(rig.Placed(5000) == "4>w1 5>w1");  // the bucket holds two, however long nobody drew
  rig.placer.Returned(Id(5), 5000);        // no token is put back, so the rate holds
  CHECK(rig.Placed(5199) == "");
  CHECK(rig.Placed(5200) == "5>w1");
}

TEST_CASE("a rate limit that does not matter, since no worker has room, wakes nobody") {
  Rig rig;
  JobClass limited = Does("propose");
  limited.rate_per_s = 5;
  const uint32_t propose = rig.placer.AddClass(limited);
  rig.placer.AddWorker(1, Spec({"propose"}, 1));
  rig.Ready(propose, 1);
  rig.Ready(propose, 2);
  CHECK(rig.Placed() == "1>w1");
  rig.Placed(50);
  CHECK_FALSE(rig.placer.NextWake());
}

TEST_CASE("resources of a worker are never given twice") {
  Rig rig;
  JobClass one = Does("profile");
  one.resources = {{"device", 1}};
  JobClass two = Does("profile");
  two.resources = {{"device", 2}, {"memory_gb", 10}};
  const uint32_t small = rig.placer.AddClass(one);
  const uint32_t large = rig.placer.AddClass(two);
  const uint32_t plain = rig.placer.AddClass(Does("profile"));
  WorkerSpec spec = Spec({"profile"}, 8);
  spec.resources = {{"device", 3}, {"memory_gb", 16}};
  rig.placer.AddWorker(1, spec);
  rig.Ready(large, 1);
  rig.Ready(large, 2);  // a device would be free, but not two
  rig.Ready(small, 3);
  rig.Ready(small, 4);
  rig.Ready(plain, 5);
  CHECK(rig.Placed() == "1>w1 3>w1 5>w1");
  CHECK(rig.placer.Explain(Id(4), 0) ==
        "the one worker that could do it (worker 1) has 3 of 3 device in use");
  rig.placer.Finished(Id(1), 1);
  CHECK(rig.Placed() == "2>w1");
  rig.placer.Finished(Id(3), 1);
  CHECK(rig.Placed() == "4>w1");
}

TEST_CASE("labels are matched exactly, or with a star for any characters") {
  const auto placed = [](const std::string& pattern, const std::string& model) {
    Rig rig;
    JobClass job_class = Does("profile");
    job_class.labels = {{"gpu.model", pattern}};
    const uint32_t profile = rig.placer.AddClass(job_class);
    WorkerSpec spec = Spec({"profile"}, 1);
    spec.labels = {{"gpu.model", model}, {"zone", "x"}};
    rig.placer.AddWorker(1, spec);
    rig.Ready(profile, 1);
    return rig.Placed() == "1>w1";
  };
  CHECK(placed("H100", "H100"));
  CHECK_FALSE(placed("H100", "H100-80"));
  CHECK_FALSE(placed("H100", "A100"));
  CHECK(placed("H100*", "H100-80"));
  CHECK(placed("H100*", "H100"));
  CHECK(placed("*00-*GB", "A100-40GB-80GB"));
  CHECK_FALSE(placed("*00-*GB", "A100-80GBx"));
  CHECK(placed("*", ""));
  CHECK_FALSE(placed("", "A"));
}

TEST_CASE("nothing is begun on a worker whose allocation would end before it") {
  Rig rig;
  JobClass slow = Does("verify");
  slow.expected_ms = 60'000;
  const uint32_t verify = rig.placer.AddClass(slow);
  const uint32_t compile = rig.placer.AddClass(Does("compile"));
  WorkerSpec spec = Spec({"verify", "compile"}, 4);
  spec.expires_at_ms = 100'000;
  rig.placer.AddWorker(1, spec);
  rig.Ready(verify, 1, 30'000);
  CHECK(rig.Placed(30'000) == "1>w1");
  rig.Ready(verify, 2, 50'000);
  rig.Ready(compile, 3, 50'000);
  CHECK(rig.Placed(50'000) == "3>w1");
  CHECK(rig.placer.Explain(Id(2), 50'000) ==
        "it is expected to take 60 s, and the last worker that could do it ends in 50 s");
  rig.Ready(compile, 4, 100'000);
  CHECK(rig.Placed(100'000) == "");
  CHECK(rig.placer.Explain(Id(4), 100'000) ==
        "the allocations of all workers that could do it have ended");
}

TEST_CASE("a higher priority goes first, until another has waited long enough") {
  const auto first = [](int64_t waited_ms) {
    Rig rig;
    JobClass urgent = Does("compile");
    urgent.priority = 2;
    const uint32_t high = rig.placer.AddClass(urgent);
    const uint32_t low = rig.placer.AddClass(Does("compile"));
    rig.Ready(low, 1, 1000);
    rig.Ready(high, 2, 1000 + waited_ms);
    rig.placer.AddWorker(1, Spec({"compile"}, 1));
    return rig.Placed(1000 + waited_ms);
  };
  CHECK(first(0) == "2>w1");
  CHECK(first(2 * Placer::kAgeingMs - 1) == "2>w1");
  CHECK(first(2 * Placer::kAgeingMs) == "1>w1");
}

TEST_CASE("classes of equal priority are served in order of arrival") {
  Rig rig;
  const uint32_t a = rig.placer.AddClass(Does("compile"));
  const uint32_t b = rig.placer.AddClass(Does("compile"));
  for (uint32_t i = 1; i <= 6; ++i) rig.Ready(i % 2 == 0 ? a : b, i);
  rig.placer.AddWorker(1, Spec({"compile"}, 6));
  CHECK(rig.Placed() == "1>w1 2>w1 3>w1 4>w1 5>w1 6>w1");
}

TEST_CASE("a class that cannot be placed keeps nobody back, whatever its priority") {
  Rig rig;
  JobClass nowhere = Does("profile");
  nowhere.priority = 100;
  JobClass unlabelled = Does("compile");
  unlabelled.priority = 100;
  unlabelled.labels = {{"gpu.model", "H100"}};
  const uint32_t a = rig.placer.AddClass(nowhere);
  const uint32_t b = rig.placer.AddClass(unlabelled);
  const uint32_t c = rig.placer.AddClass(Does("compile"));
  rig.placer.AddWorker(1, Spec({"compile"}, 2));
  rig.Ready(a, 1);
  rig.Ready(b, 2);
  rig.Alone(b, 3);
  rig.Ready(c, 4);
  CHECK(rig.Placed() == "4>w1");
}

TEST_CASE("explain names the first rule that keeps an attempt") {
  Rig rig;
  JobClass labelled = Does("profile");
  labelled.step = "screen";
  labelled.labels = {{"gpu.model", "H100"}};
  labelled.resources = {{"device", 2}};
  const uint32_t screen = rig.placer.AddClass(labelled);
  const auto why = [&](uint32_t number) { return rig.placer.Explain(Id(number), 0); };
  const auto worker = [&](WorkerId id, const char* stage, const char* model, uint32_t devices) {
    WorkerSpec spec = Spec({stage}, 1);
    spec.labels = {{"gpu.model", model}};
    spec.resources = {{"device", devices}};
    rig.placer.AddWorker(id, spec);
  };
  CHECK(why(1) == "is not known here: it has ended, was withdrawn, or was never ready");
  rig.Ready(screen, 1);
  CHECK(why(1) == "no worker is connected");
  worker(1, "compile", "H100", 2);
  CHECK(why(1) == "no worker does stage profile (there are: compile)");
  worker(2, "profile", "A100", 2);
  CHECK(why(1) == "no connected worker has label gpu.model=H100 (there are: A100)");
  worker(3, "profile", "H100", 1);
  CHECK(why(1) == "no connected worker has device: 2 (the most is 1)");
  worker(4, "profile", "H100", 2);
  CHECK(why(1) == "is placed next");
  rig.placer.Place(0, /*holding=*/true);
  CHECK(why(1) == "nothing is given out at the moment: the engine holds back all work");
  CHECK(rig.Placed() == "1>w4");
  CHECK(rig.placer.Explain(Id(1), 2500) ==
        "was sent to worker 4 2.5 s ago, which has not begun it");
  rig.placer.Taken(Id(1), 3000);
  CHECK(rig.placer.Explain(Id(1), 20'000) == "worker 4 works on it since 17 s");
  for (uint32_t i = 2; i <= 4; ++i) rig.Ready(screen, i);
  CHECK(rig.placer.ExplainClass(screen, 0) ==
        "worker 4, the one worker that could do it, is busy with 1");
  CHECK(why(4) ==
        "2 attempts of its step are before it; worker 4, the one worker that could do it, "
        "is busy with 1");
  rig.placer.Withdraw(Id(1));
  CHECK(why(1) == "is not wanted any more; worker 4 has not answered yet");
  rig.placer.DrainWorker(4);
  CHECK(why(2) == "all workers that could do it are draining");
  rig.placer.HoldRun(0, true, 3000);
  CHECK(why(2) == "its run is paused");
  rig.Later(screen, 9, 5000);
  CHECK(why(9) == "waits for its back-off until 5000 ms, 2.0 s from now");
}

TEST_CASE("explain names who keeps a host quiet, and for whom a host or a worker is kept") {
  Rig rig;
  rig.placer.AddRun(0, 1, "r1");
  JobClass confirm_class = Quietly("profile");
  confirm_class.step = "confirm";
  const uint32_t confirm = rig.placer.AddClass(confirm_class);
  JobClass build_class = Does("compile");
  build_class.step = "build";
  const uint32_t build = rig.placer.AddClass(build_class);
  rig.placer.AddWorker(1, Spec({"compile"}, 2, "h"));
  rig.placer.AddWorker(2, Spec({"profile"}, 1, "h"));
  rig.Ready(build, 1);
  rig.Placed();
  rig.Ready(confirm, 12);
  rig.Ready(build, 2);
  rig.Placed();
  CHECK(rig.placer.Explain(Id(12), 0) == "waits until host h is silent");
  CHECK(rig.placer.Explain(Id(2), 0) == "host h is to fall silent for r1/c12/confirm#1");
  rig.placer.Finished(Id(1), 1);
  rig.Placed();
  CHECK(rig.placer.Explain(Id(2), 0) == "host h is kept quiet by r1/c12/confirm#1");
  rig.placer.Finished(Id(12), 1);
  rig.Placed();
  rig.Alone(build, 3);
  rig.Ready(build, 4);
  rig.Placed();
  CHECK(rig.placer.Explain(Id(3), 0) == "must run alone, and waits until worker 1 is idle");
  CHECK(
      rig.placer.Explain(Id(4), 0) ==
      "the one worker that could do it (worker 1) is kept for r1/c3/build#1, which must run alone");
  rig.placer.Finished(Id(2), 1);
  rig.Placed();
  CHECK(rig.placer.Explain(Id(4), 0) ==
        "the one worker that could do it (worker 1) does r1/c3/build#1 alone");
}

TEST_CASE("explain says that a worker has not granted more") {
  Rig rig;
  const uint32_t tune = rig.placer.AddClass(Does("tune"));
  rig.placer.AddWorker(1, Spec({"tune"}, 2));
  rig.placer.SetCredit(1, 1);
  rig.Ready(tune, 1);
  rig.Ready(tune, 2);
  rig.Placed();
  CHECK(rig.placer.Explain(Id(2), 0) ==
        "the one worker that could do it (worker 1) has granted 1 attempts in all, and got them");
}

TEST_CASE("counts of a class and of a worker follow an attempt through its states") {
  Rig rig;
  const uint32_t tune = rig.placer.AddClass(Does("tune"));
  rig.placer.AddWorker(1, Spec({"tune"}, 4));
  for (uint32_t i = 1; i <= 6; ++i) rig.Ready(tune, i);
  rig.Later(tune, 7, 50);
  rig.Placed();
  rig.placer.Taken(Id(1), 0);
  rig.placer.Taken(Id(2), 0);
  rig.placer.Withdraw(Id(2));
  rig.placer.Finished(Id(3), 8);
  const auto c = rig.placer.CountsOfClass(tune);
  CHECK(std::vector<size_t>{c.later, c.ready, c.sent, c.taken, c.ending, c.finished} ==
        std::vector<size_t>{1, 2, 1, 1, 1, 1});
  const auto w = rig.placer.CountsOfWorker(1);
  CHECK(std::vector<size_t>{w.out, w.taken, w.credit, w.sent, w.finished} ==
        std::vector<size_t>{3, 2, 1, 4, 1});
  CHECK(w.mean_busy_ms == 8);
}

}  // namespace
}  // namespace kev
