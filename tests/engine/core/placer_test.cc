#include "engine/core/placer.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace kev {
namespace {

AttemptId Id(uint32_t number) { return {{{SubjectKind::kCandidate, number}, 0, 0}, 1}; }

ReadyAttempt On(const std::string& stage, uint32_t number) {
  ReadyAttempt r;
  r.id = Id(number);
  r.stage = stage;
  return r;
}

ReadyAttempt Quiet(const std::string& stage, uint32_t number) {
  ReadyAttempt r = On(stage, number);
  r.quiet_host = true;
  return r;
}

// "2>w1 3>w2": which attempt went to which worker.
std::string Placed(Placer& placer, int64_t now_ms = 0) {
  std::string text;
  for (const auto& p : placer.Place(now_ms)) {
    if (!text.empty()) text += " ";
    text += std::to_string(p.id.key.subject.number) + ">w" + std::to_string(p.worker);
  }
  return text;
}

TEST_CASE("a worker gets as many attempts as it has slots, in order of arrival") {
  Placer placer;
  placer.AddWorker(1, {{"compile"}, 2, "a"});
  for (uint32_t i = 1; i <= 3; ++i) placer.Ready(On("compile", i), 0);
  CHECK(Placed(placer) == "1>w1 2>w1");
  CHECK(placer.ready() == 1);
  CHECK(placer.out() == 2);
  placer.Finished(Id(1), 100);
  CHECK(Placed(placer) == "3>w1");
}

TEST_CASE("attempts go to workers that do their stage, to the one with most room first") {
  Placer placer;
  placer.AddWorker(1, {{"compile", "verify"}, 1, "a"});
  placer.AddWorker(2, {{"compile"}, 3, "a"});
  CHECK_FALSE(placer.HasWorkerFor("profile"));
  placer.Ready(On("profile", 9), 0);
  for (uint32_t i = 1; i <= 3; ++i) placer.Ready(On("compile", i), 0);
  CHECK(Placed(placer) == "1>w2 2>w2 3>w1");
  CHECK(placer.ready("profile") == 1);
}

TEST_CASE("short jobs are sent ahead so that the worker does not wait for the queue") {
  const auto ahead = [](double busy_ms) {
    Placer placer;
    placer.AddWorker(1, {{"tune"}, 1, "a"});
    placer.Ready(On("tune", 1000), 0);
    Placed(placer);
    placer.Finished(Id(1000), busy_ms);
    for (uint32_t i = 1; i <= 500; ++i) placer.Ready(On("tune", i), 0);
    return placer.Place(0).size();
  };
  CHECK(ahead(1000) == 1);
  CHECK(ahead(0.05) == 11);
  CHECK(ahead(0.005) == 101);
  CHECK(ahead(0) == 257);  // bounded
}

TEST_CASE("a quiet attempt waits until its host is silent and holds others back meanwhile") {
  Placer placer;
  placer.AddWorker(1, {{"compile"}, 2, "a"});
  placer.AddWorker(2, {{"profile"}, 1, "a"});
  placer.Ready(On("compile", 1), 0);
  CHECK(Placed(placer) == "1>w1");
  placer.Ready(Quiet("profile", 2), 0);
  placer.Ready(On("compile", 3), 0);
  CHECK(Placed(placer) == "");  // 2 waits for 1; 3 would keep it waiting
  placer.Finished(Id(1), 10);
  CHECK(Placed(placer) == "2>w2");
  CHECK(Placed(placer) == "");  // 3 would disturb it
  placer.Finished(Id(2), 10);
  CHECK(Placed(placer) == "3>w1");
}

TEST_CASE("a stream of work does not starve a quiet attempt") {
  Placer placer;
  placer.AddWorker(1, {{"compile"}, 2, "a"});
  placer.AddWorker(2, {{"profile"}, 1, "a"});
  placer.Ready(On("compile", 100), 0);
  placer.Ready(On("compile", 101), 0);
  Placed(placer);
  placer.Ready(Quiet("profile", 1), 0);
  bool placed = false;
  for (uint32_t i = 0; i < 10 && !placed; ++i) {
    placer.Ready(On("compile", 102 + i), 0);
    placer.Finished(Id(100 + i), 10);
    placed = Placed(placer).find("1>w2") != std::string::npos;
  }
  CHECK(placed);
}

TEST_CASE("a quiet attempt holds back its own host only") {
  // The worker with most room used to be looked at alone: on a hushed host it kept work from all
  // others.
  Placer placer;
  placer.AddWorker(1, {{"compile"}, 8, "a"});
  placer.AddWorker(2, {{"profile"}, 1, "a"});
  placer.AddWorker(3, {{"compile"}, 2, "b"});
  placer.Ready(On("compile", 1), 0);
  CHECK(Placed(placer) == "1>w1");
  placer.Ready(Quiet("profile", 2), 0);
  placer.Ready(On("compile", 3), 0);
  CHECK(Placed(placer) == "3>w3");
}

TEST_CASE(
    "quiet attempts do not wait for light work, and one quiet attempt is on a host at a time") {
  Placer placer;
  placer.AddWorker(1, {{"propose"}, 1, "a"});
  placer.AddWorker(2, {{"profile"}, 4, "a"});
  ReadyAttempt light = On("propose", 1);
  light.light = true;
  placer.Ready(light, 0);
  placer.Ready(Quiet("profile", 2), 0);
  placer.Ready(Quiet("profile", 3), 0);
  Placed(placer);
  placer.Finished(Id(1), 1);
  CHECK(Placed(placer) == "");
  CHECK(placer.out() == 1);
  placer.Finished(Id(2), 1);
  CHECK(Placed(placer) == "3>w2");
}

TEST_CASE("a quiet host is free again when the worker on it is lost") {
  Placer placer;
  placer.AddWorker(1, {{"profile"}, 1, "a"});
  placer.AddWorker(2, {{"compile"}, 1, "a"});
  placer.Ready(Quiet("profile", 1), 0);
  Placed(placer);
  placer.Ready(On("compile", 2), 0);
  CHECK(Placed(placer) == "");
  CHECK(placer.RemoveWorker(1).size() == 1);
  CHECK(Placed(placer) == "2>w2");
}

TEST_CASE("a solitary attempt is alone on its worker") {
  Placer placer;
  placer.AddWorker(1, {{"compile"}, 4, "a"});
  placer.Ready(On("compile", 1), 0);
  Placed(placer);
  ReadyAttempt alone = On("compile", 2);
  alone.solitary = true;
  placer.Ready(alone, 0);
  placer.Ready(On("compile", 3), 0);
  CHECK(Placed(placer) == "");
  placer.Finished(Id(1), 1);
  CHECK(Placed(placer) == "2>w1");
  CHECK(Placed(placer) == "");
  placer.Finished(Id(2), 1);
  CHECK(Placed(placer) == "3>w1");
}

TEST_CASE("a lost worker gives back what it had, and says what was taken and what was alone") {
  Placer placer;
  placer.AddWorker(1, {{"compile"}, 2, "a"});
  placer.Ready(On("compile", 1), 0);
  placer.Ready(On("compile", 2), 0);
  Placed(placer);
  placer.Taken(Id(1), 0);
  auto had = placer.RemoveWorker(1);
  REQUIRE(had.size() == 2);
  CHECK(had[0].taken);
  CHECK_FALSE(had[1].taken);
  CHECK_FALSE(had[0].alone);
  CHECK(placer.workers() == 0);
  placer.AddWorker(2, {{"compile"}, 2, "a"});
  placer.Ready(On("compile", 3), 0);
  Placed(placer);
  had = placer.RemoveWorker(2);
  REQUIRE(had.size() == 1);
  CHECK(had[0].alone);
  CHECK(placer.out() == 0);
}

TEST_CASE("a drained worker gets nothing new") {
  Placer placer;
  placer.AddWorker(1, {{"compile"}, 1, "a"});
  placer.DrainWorker(1);
  placer.Ready(On("compile", 1), 0);
  CHECK(Placed(placer) == "");
  placer.AddWorker(2, {{"compile"}, 1, "a"});
  CHECK(Placed(placer) == "1>w2");
}

TEST_CASE("while holding nothing is placed") {
  Placer placer;
  placer.AddWorker(1, {{"compile"}, 1, "a"});
  placer.Ready(On("compile", 1), 0);
  CHECK(placer.Place(0, /*holding=*/true).empty());
  CHECK(Placed(placer) == "1>w1");
}

TEST_CASE(
    "a withdrawn attempt that waits is forgotten, one that is out keeps its slot until answered") {
  Placer placer;
  placer.AddWorker(1, {{"compile"}, 1, "a"});
  ReadyAttempt later = On("compile", 3);
  later.not_before_ms = 50;
  placer.Ready(On("compile", 1), 0);
  placer.Ready(On("compile", 2), 0);
  placer.Ready(later, 0);
  Placed(placer);
  CHECK_FALSE(placer.Withdraw(Id(2)));
  CHECK_FALSE(placer.Withdraw(Id(3)));
  CHECK(placer.ready() == 0);
  CHECK(placer.Withdraw(Id(1)) == WorkerId{1});
  placer.Ready(On("compile", 4), 0);
  CHECK(Placed(placer, 100) == "");
  placer.Finished(Id(1), -1);
  CHECK(Placed(placer, 100) == "4>w1");
  CHECK_FALSE(placer.Withdraw(Id(77)));
}

TEST_CASE("a worker that comes back keeps the ready attempts that it already has") {
  Placer placer;
  placer.AddWorker(1, {{"compile"}, 1, "a"});
  placer.Ready(On("compile", 1), 0);
  CHECK(placer.Adopt(1, Id(1), 0));
  CHECK_FALSE(placer.Adopt(1, Id(1), 0));
  CHECK_FALSE(placer.Adopt(1, Id(2), 0));
  CHECK_FALSE(placer.Adopt(9, Id(1), 0));
  placer.Ready(On("compile", 2), 0);
  CHECK(Placed(placer) == "");  // its one slot is in use
  const auto had = placer.RemoveWorker(1);
  REQUIRE(had.size() == 1);
  CHECK(had[0].taken);
}

TEST_CASE("an attempt is not placed before its time, and the placer says when to look again") {
  Placer placer;
  placer.AddWorker(1, {{"compile"}, 2, "a"});
  ReadyAttempt later = On("compile", 1);
  later.not_before_ms = 50;
  placer.Ready(later, 0);
  CHECK(placer.NextWake() == 50);
  CHECK(Placed(placer, 49) == "");
  CHECK(Placed(placer, 50) == "1>w1");
  CHECK_FALSE(placer.NextWake());
}

TEST_CASE("the running limit counts from when the worker took the job, and is told once") {
  Placer placer;
  placer.AddWorker(1, {{"compile"}, 1, "a"});
  ReadyAttempt limited = On("compile", 1);
  limited.running_limit_ms = 100;
  placer.Ready(limited, 0);
  Placed(placer);
  CHECK(placer.TakeExpired(5000).empty());
  placer.Taken(Id(1), 5000);
  placer.Taken(Id(1), 5090);  // said twice: the first counts
  CHECK(placer.NextWake() == 5100);
  CHECK(placer.TakeExpired(5099).empty());
  const auto expired = placer.TakeExpired(5100);
  REQUIRE(expired.size() == 1);
  CHECK(expired[0].running);
  CHECK(placer.TakeExpired(9000).empty());
}

TEST_CASE("the queued limit counts from when the attempt could have been placed") {
  Placer placer;
  ReadyAttempt limited = On("compile", 1);
  limited.queued_limit_ms = 100;
  limited.not_before_ms = 1000;
  placer.Ready(limited, 0);
  Placed(placer, 1000);
  CHECK(placer.NextWake() == 1100);
  CHECK(placer.TakeExpired(1099).empty());
  const auto expired = placer.TakeExpired(1100);
  REQUIRE(expired.size() == 1);
  CHECK_FALSE(expired[0].running);
  placer.Withdraw(Id(1));
  CHECK(placer.TakeExpired(2000).empty());
}

}  // namespace
}  // namespace kev
