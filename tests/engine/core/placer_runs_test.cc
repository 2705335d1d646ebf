// Many runs: shares, pauses and ends.
#include <doctest/doctest.h>

#include <map>

#include "tests/engine/core/placer_rig.h"

namespace kev {
namespace {

// Runs that always want more, on one worker whose jobs take `job_ms`. Gives the slot-milliseconds
// of each run.
std::map<uint32_t, double> Shares(const std::vector<std::pair<double, int64_t>>& weight_and_job_ms,
                                  uint32_t slots, int64_t until_ms) {
  Placer placer;
  std::vector<uint32_t> classes;
  for (uint32_t run = 0; run < weight_and_job_ms.size(); ++run) {
    placer.AddRun(run, weight_and_job_ms[run].first);
    classes.push_back(placer.AddClass(Does("compile", run)));
  }
  placer.AddWorker(1, Spec({"compile"}, slots));
  std::map<uint32_t, double> used;
  std::multimap<int64_t, AttemptId> ends;
  uint32_t number = 0;
  for (uint32_t run = 0; run < classes.size(); ++run) {
    for (int i = 0; i < 20; ++i) placer.Ready({Id(++number, run), classes[run], 0, false}, 0);
  }
  for (int64_t now = 0; now < until_ms; ++now) {
    while (!ends.empty() && ends.begin()->first <= now) {
      placer.Finished(ends.begin()->second, 1);
      ends.erase(ends.begin());
    }
    for (const auto& p : placer.Place(now)) {
      const uint32_t run = p.id.run;
      placer.Taken(p.id, now);
      ends.emplace(now + weight_and_job_ms[run].second, p.id);
      used[run] += static_cast<double>(weight_and_job_ms[run].second);
      placer.Ready({Id(++number, run), classes[run], 0, false}, now);
    }
  }
  CHECK(placer.Audit() == "");
  return used;
}

TEST_CASE("busy slots are shared by weight") {
  for (const uint32_t slots : {1u, 3u, 16u}) {
    CAPTURE(slots);
    const auto used = Shares({{1, 10}, {3, 10}}, slots, 20'000);
    CHECK(used.at(1) / used.at(0) == doctest::Approx(3).epsilon(0.05));
  }
}

TEST_CASE("it is time that is shared, not jobs: long jobs do not win") {
  for (const uint32_t slots : {1u, 4u}) {
    CAPTURE(slots);
    const auto used = Shares({{1, 100}, {1, 5}}, slots, 40'000);
    CHECK(used.at(0) / used.at(1) == doctest::Approx(1).epsilon(0.1));
  }
}

TEST_CASE("a run with 10,000 ready attempts does not starve one with three") {
  Rig rig;
  rig.placer.AddRun(0);
  rig.placer.AddRun(1);
  const uint32_t many = rig.placer.AddClass(Does("compile", 0));
  const uint32_t few = rig.placer.AddClass(Does("compile", 1));
  rig.placer.AddWorker(1, Spec({"compile"}, 2));
  for (uint32_t i = 1; i <= 10'000; ++i) rig.Ready(many, i);
  int64_t now = 0;
  std::vector<AttemptId> out;
  uint32_t finished = 0;
  const auto turn = [&] {
    for (const auto& p : rig.placer.Place(now)) out.push_back(p.id);
    now += 10;
    rig.placer.Finished(out.front(), 10);
    out.erase(out.begin());
    ++finished;
  };
  for (int i = 0; i < 100; ++i) turn();  // it is the only one, and pays for it, but owes nothing
  for (uint32_t i = 1; i <= 3; ++i) rig.Ready(few, i, now, 1);
  const uint32_t before = finished;
  while (rig.placer.CountsOfClass(few).finished < 3) turn();
  CHECK(finished - before <= 3 * 2 + 2);
}

TEST_CASE("a run that used little for long does not then take everything") {
  Rig rig;
  const uint32_t a = rig.placer.AddClass(Does("compile", 0));
  const uint32_t b = rig.placer.AddClass(Does("compile", 1));
  rig.placer.AddWorker(1, Spec({"compile"}, 1));
  uint32_t number = 0;
  int64_t now = 0;
  rig.Ready(b, ++number, now, 1);
  rig.Placed();
  rig.placer.Finished(Id(number, 1), 1);
  for (int i = 0; i < 1000; ++i) {  // run 0 alone
    rig.Ready(a, ++number, now, 0);
    rig.Placed(now);
    now += 10;
    rig.placer.Finished(Id(number, 0), 10);
  }
  for (int i = 0; i < 20; ++i) {
    rig.Ready(a, ++number, now, 0);
    rig.Ready(b, ++number, now, 1);
  }
  std::map<uint32_t, int> served;
  for (int i = 0; i < 20; ++i) {
    const auto placed = rig.placer.Place(now);
    REQUIRE(placed.size() == 1);
    ++served[placed[0].id.run];
    now += 10;
    rig.placer.Finished(placed[0].id, 10);
  }
  CHECK(std::abs(served[0] - served[1]) <= 1);
}

TEST_CASE("a run that comes later is not owed the time in which another was alone") {
  Rig rig;
  const uint32_t a = rig.placer.AddClass(Does("compile", 0));
  const uint32_t b = rig.placer.AddClass(Does("compile", 1));
  rig.placer.AddWorker(1, Spec({"compile"}, 1));
  rig.Ready(a, 1000, 0, 0);
  CHECK(rig.Placed(0) == "1000>w1");
  int64_t now = 1'000'000;
  for (uint32_t i = 1; i <= 20; ++i) {
    rig.Ready(b, i, now - 10, 1);
    rig.Ready(a, i, now - 10, 0);
  }
  AttemptId out = Id(1000, 0);
  std::map<uint32_t, int> served;
  for (int i = 0; i < 20; ++i) {
    rig.placer.Finished(out, 10);
    const auto placed = rig.placer.Place(now);
    REQUIRE(placed.size() == 1);
    out = placed[0].id;
    ++served[out.run];
    now += 10;
  }
  CHECK(std::abs(served[0] - served[1]) <= 2);
}

TEST_CASE("a run that could not be placed for long does not then take everything") {
  Rig rig;
  const uint32_t a = rig.placer.AddClass(Does("compile", 0));
  JobClass labelled = Does("compile", 1);
  labelled.labels = {{"fast", "yes"}};
  const uint32_t b = rig.placer.AddClass(labelled);
  rig.placer.AddWorker(1, Spec({"compile"}, 1));
  for (uint32_t i = 1; i <= 40; ++i) rig.Ready(b, i, 0, 1);
  for (uint32_t i = 1; i <= 140; ++i) rig.Ready(a, i);
  int64_t now = 0;
  std::map<uint32_t, int> served;
  const auto turn = [&] {
    const auto placed = rig.placer.Place(now);
    REQUIRE(placed.size() == 1);
    ++served[placed[0].id.run];
    now += 10;
    rig.placer.Finished(placed[0].id, 10);
  };
  for (int i = 0; i < 100; ++i) turn();
  CHECK(served[0] == 100);
  rig.placer.RemoveWorker(1);
  WorkerSpec fast = Spec({"compile"}, 1);
  fast.labels = {{"fast", "yes"}};
  rig.placer.AddWorker(2, fast);
  served.clear();
  for (int i = 0; i < 20; ++i) turn();
  CHECK(std::abs(served[0] - served[1]) <= 2);
}

TEST_CASE("a held run is not placed, others are") {
  Rig rig;
  const uint32_t a = rig.placer.AddClass(Does("compile", 0));
  const uint32_t b = rig.placer.AddClass(Does("compile", 1));
  rig.placer.AddWorker(1, Spec({"compile"}, 9));
  rig.placer.HoldRun(0, true, 0);
  rig.Ready(a, 1, 0, 0);
  rig.Ready(b, 2, 0, 1);
  CHECK(rig.Placed() == "2>w1");
  rig.placer.HoldRun(0, false, 5);
  CHECK(rig.Placed(5) == "1>w1");
}

TEST_CASE(
    "a removed run is forgotten; what it has out is given, and keeps its slot until answered") {
  Rig rig;
  JobClass limited = Does("compile", 4);
  limited.queued_limit_ms = limited.running_limit_ms = limited.progress_limit_ms = 10;
  const uint32_t gone = rig.placer.AddClass(limited);
  const uint32_t stays = rig.placer.AddClass(Does("compile", 5));
  rig.placer.AddWorker(1, Spec({"compile"}, 2));
  for (uint32_t i = 1; i <= 4; ++i) rig.Ready(gone, i, 0, 4);
  CHECK(rig.placer.Ready({Id(5, 4), gone, 900, false}, 0));
  rig.Placed();
  rig.placer.Taken(Id(1, 4), 0);
  rig.Ready(stays, 7, 0, 5);
  const auto out = rig.placer.RemoveRun(4, 1);
  REQUIRE(out.size() == 2);
  CHECK((out[0].id == Id(1, 4) && out[0].taken && out[0].worker == 1));
  CHECK((out[1].id == Id(2, 4) && !out[1].taken));
  CHECK(rig.placer.ready() == 1);
  CHECK(rig.Expired(500) == "");
  CHECK(rig.Placed(500) == "");
  CHECK_FALSE(rig.placer.Ready({Id(9, 4), gone, 0, false}, 500));
  rig.placer.Finished(Id(1, 4), 3);
  CHECK(rig.Placed(500) == "7>w1");
  CHECK(rig.placer.RemoveRun(4, 500).empty());
}

TEST_CASE("what a removed run has out and nobody answers for is given up after a while") {
  Rig rig;
  const uint32_t gone = rig.placer.AddClass(Does("compile", 4));
  const uint32_t stays = rig.placer.AddClass(Does("compile", 5));
  rig.placer.AddWorker(1, Spec({"compile"}, 1));
  rig.Ready(gone, 1, 0, 4);
  rig.Placed();
  rig.placer.RemoveRun(4, 100);
  rig.Ready(stays, 2, 100, 5);
  CHECK(rig.placer.NextWake() == 100 + Placer::kOrphanMs);
  CHECK(rig.Placed(99 + Placer::kOrphanMs) == "");
  CHECK(rig.Placed(100 + Placer::kOrphanMs) == "2>w1");
}

TEST_CASE("a lost worker does not give back what belongs to a removed run") {
  Rig rig;
  const uint32_t gone = rig.placer.AddClass(Does("compile", 4));
  rig.placer.AddWorker(1, Spec({"compile"}, 1));
  rig.Ready(gone, 1, 0, 4);
  rig.Placed();
  rig.placer.RemoveRun(4, 0);
  CHECK(rig.placer.RemoveWorker(1).empty());
  CHECK(rig.placer.out() == 0);
}

TEST_CASE("runs that come and go leave nothing behind that changes another") {
  Rig rig;
  rig.placer.AddWorker(1, Spec({"compile"}, 1));
  for (uint32_t run = 0; run < 50; ++run) {
    rig.placer.AddRun(run, 1 + run % 4);
    const uint32_t compile = rig.placer.AddClass(Does("compile", run));
    CHECK(compile <= 1);  // numbers of classes that are over are used again
    rig.Ready(compile, 1, run, run);
    CHECK(rig.Placed(run) == "1>w1");
    CHECK(rig.placer.RemoveRun(run, run).size() == 1);
    rig.placer.Finished(Id(1, run), 1);
  }
}

}  // namespace
}  // namespace kev
