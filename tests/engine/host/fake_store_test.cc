// What only the fake does: the cases that all stores share are in store_contract_test.cc.
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
