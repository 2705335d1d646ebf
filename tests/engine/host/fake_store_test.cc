#include "engine/host/fake/fake_store.h"

#include <doctest/doctest.h>

#include <memory>

#include "engine/host/fake/null_store.h"

namespace kev {
namespace {

Commit CommitOf(uint64_t expected, uint64_t last) {
  Commit c;
  c.run = "run";
  c.epoch = 1;
  c.expected_seq = expected;
  c.last_seq = last;
  c.body = "body " + std::to_string(last);
  c.blobs = {{{"sha" + std::to_string(last), 1}, "x"}};
  c.projections = {{"cand:1", {{"state", std::to_string(last)}}}};
  return c;
}

TEST_CASE("a commit appends to the log, keeps its blobs and writes its projections") {
  FakeStore store;
  const uint64_t ticket = store.Submit(std::make_shared<const Commit>(CommitOf(0, 3)));
  const auto done = store.Poll();
  REQUIRE(done.size() == 1);
  CHECK(done[0].ticket == ticket);
  CHECK(done[0].status.ok());
  CHECK(store.log("run").size() == 1);
  CHECK(store.blobs().at("sha3") == "x");
  CHECK(store.projection("run", "cand:1").at("state") == "3");
}

TEST_CASE("a commit on another sequence or epoch is a conflict and changes nothing") {
  FakeStore store;
  store.SetEpoch(1);
  store.Submit(std::make_shared<const Commit>(CommitOf(0, 3)));
  store.Submit(std::make_shared<const Commit>(CommitOf(2, 5)));
  store.SetEpoch(2);
  store.Submit(std::make_shared<const Commit>(CommitOf(3, 5)));
  const auto done = store.Poll();
  REQUIRE(done.size() == 3);
  CHECK(done[1].status.error().code == Code::kConflict);
  CHECK(done[2].status.error().code == Code::kConflict);
  CHECK(store.log("run").size() == 1);
  CHECK(store.blobs().size() == 1);
}

TEST_CASE("held answers come when they are released, in order") {
  FakeStore store;
  store.Hold();
  const uint64_t first = store.Submit(std::make_shared<const Commit>(CommitOf(0, 1)));
  store.Submit(std::make_shared<const Commit>(CommitOf(1, 2)));
  CHECK(store.Poll().empty());
  store.Release(1);
  const auto done = store.Poll();
  REQUIRE(done.size() == 1);
  CHECK(done[0].ticket == first);
  store.ReleaseAll();
  CHECK(store.Poll().size() == 1);
}

TEST_CASE("a failed commit is not stored, a lost answer hides one that is") {
  FakeStore store;
  store.FailNext(Code::kUnavailable);
  store.Submit(std::make_shared<const Commit>(CommitOf(0, 1)));
  CHECK(store.log("run").empty());
  store.LoseNextAnswer();
  store.Submit(std::make_shared<const Commit>(CommitOf(0, 1)));
  CHECK(store.log("run").size() == 1);
  for (const Completion& done : store.Poll()) CHECK(done.status.error().code == Code::kUnavailable);
}

TEST_CASE("reading the log gives the groups that touch the range") {
  FakeStore store;
  store.Submit(std::make_shared<const Commit>(CommitOf(0, 3)));
  store.Submit(std::make_shared<const Commit>(CommitOf(3, 4)));
  store.Submit(std::make_shared<const Commit>(CommitOf(4, 9)));
  store.Poll();
  store.ReadLog("run", 2, 4);
  CHECK(store.Poll()[0].data == std::vector<std::string>{"body 3", "body 4"});
  store.ReadEnd("run");
  CHECK(store.Poll()[0].data == std::vector<std::string>{"9", "", "body 9", "0"});
  store.ReadEnd("another");
  CHECK(store.Poll()[0].data == std::vector<std::string>{"0", "", "", "0"});
  store.ReadBlob("nothing");
  CHECK(store.Poll()[0].status.error().code == Code::kNotFound);
}

TEST_CASE("the null store confirms everything and keeps nothing") {
  NullStore store;
  const uint64_t ticket = store.Submit(std::make_shared<const Commit>(CommitOf(7, 9)));
  const auto done = store.Poll();
  REQUIRE(done.size() == 1);
  CHECK(done[0].ticket == ticket);
  CHECK(done[0].status.ok());
  store.ReadBlob("sha9");
  CHECK_FALSE(store.Poll()[0].status.ok());
}

}  // namespace
}  // namespace kev
