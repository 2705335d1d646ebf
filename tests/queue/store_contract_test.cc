// What the engine relies on of any store: the same cases over the fake, with which the engine's own
// tests are made, and over Redis.
#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/host/fake/fake_store.h"
#include "queue/blob_id.h"
#include "queue/redis_admin.h"
#include "queue/redis_server.h"
#include "queue/redis_store.h"
#include "tests/queue/await_store.h"
#include "tests/queue/scratch_folder.h"

using namespace kev;

namespace {

using Fields = std::map<std::string, std::string>;

class Fake {
 public:
  Store& store() { return store_; }
  // Who takes a run over is the only one that may write.
  uint64_t TakeEpoch() {
    store_.SetEpoch(++epoch_);
    return epoch_;
  }
  Fields projection(const std::string& key) { return store_.projection("R", key); }
  Fields snapshot() { return store_.projection("R", "snap"); }

 private:
  FakeStore store_;
  uint64_t epoch_ = 0;
};

class Redis {
 public:
  Redis() {
    auto server = EmbeddedRedis::Start({folder_ / "redis", Durability::kFast});
    REQUIRE_MESSAGE(server.ok(), (server ? "" : server.error().message));
    server_ = std::move(*server);
    auto store = RedisStore::Connect(server_->Address());
    REQUIRE(store.ok());
    store_ = std::move(*store);
  }
  Store& store() { return *store_; }
  uint64_t TakeEpoch() { return *store_->TakeEpoch("R"); }
  Fields projection(const std::string& key) {
    auto admin = RedisAdmin::Connect(server_->Address());
    REQUIRE(admin.ok());
    auto all = (*admin)->Projections("R");
    REQUIRE(all.ok());
    return (*all)[key];
  }
  Fields snapshot() {
    const auto stored = store_->Snapshot("R");
    REQUIRE(stored.ok());
    return stored->fields;
  }

 private:
  ScratchFolder folder_;
  std::unique_ptr<EmbeddedRedis> server_;
  std::unique_ptr<RedisStore> store_;
};

Commit Group(uint64_t epoch, uint64_t expected, uint64_t last, const std::string& body) {
  Commit c;
  c.run = "R";
  c.epoch = epoch;
  c.expected_seq = expected;
  c.last_seq = last;
  c.body = body;
  c.digest = "digest of " + body;
  c.what = "w";
  return c;
}

Status Put(Store& store, Commit commit) {
  store.Submit(std::make_shared<const Commit>(std::move(commit)));
  return Await(store, 1)[0].status;
}

std::vector<std::string> Log(Store& store, uint64_t from, uint64_t to) {
  store.ReadLog("R", from, to);
  return Await(store, 1)[0].data;
}

std::vector<std::string> End(Store& store, const std::string& run = "R") {
  store.ReadEnd(run);
  return Await(store, 1)[0].data;
}

}  // namespace

TYPE_TO_STRING(Fake);
TYPE_TO_STRING(Redis);

TEST_CASE_TEMPLATE("answers come in the order of what was asked, each with its ticket", Rig, Fake,
                   Redis) {
  Rig rig;
  Store& store = rig.store();
  const uint64_t epoch = rig.TakeEpoch();
  Commit first = Group(epoch, 0, 3, "one");
  first.blobs.push_back({RefOf("blob bytes"), "blob bytes"});
  std::vector<uint64_t> tickets{store.Submit(std::make_shared<const Commit>(first))};
  tickets.push_back(store.Submit(std::make_shared<const Commit>(Group(epoch, 3, 4, "two"))));
  tickets.push_back(store.ReadBlob(RefOf("blob bytes").sha256));
  tickets.push_back(store.ReadLog("R", 1, 4));
  tickets.push_back(store.ReadBlob(std::string(64, '0')));
  tickets.push_back(store.ReadEnd("R"));
  tickets.push_back(store.Submit(std::make_shared<const Commit>(Group(epoch, 4, 5, "three"))));
  const std::vector<Completion> done = Await(store, tickets.size());
  for (size_t i = 0; i < tickets.size(); ++i) CHECK(done[i].ticket == tickets[i]);
  for (const size_t i : {0, 1, 2, 3, 5, 6}) CHECK(done[i].status.ok());
  CHECK(done[2].data == std::vector<std::string>{"blob bytes"});
  CHECK(done[3].data == std::vector<std::string>{"one", "two"});
  CHECK(done[4].status.error().code == Code::kNotFound);
  CHECK(done[5].data ==
        std::vector<std::string>{"4", "digest of two", "two", std::to_string(epoch)});
  CHECK(Log(store, 5, 5) == std::vector<std::string>{"three"});
}

TEST_CASE_TEMPLATE("a commit of another sequence or epoch is a conflict and changes nothing", Rig,
                   Fake, Redis) {
  Rig rig;
  Store& store = rig.store();
  const uint64_t old = rig.TakeEpoch();
  REQUIRE(Put(store, Group(old, 0, 2, "one")).ok());
  const auto refused = [&](Commit commit) {
    commit.projections = {{"cand:1", {{"state", "stale"}}}};
    const Status status = Put(store, std::move(commit));
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().code == Code::kConflict);
    CHECK(End(store)[0] == "2");
    CHECK(rig.projection("cand:1").empty());
  };
  refused(Group(old, 0, 2, "again"));
  refused(Group(old, 3, 4, "ahead"));
  refused(Group(old, 1, 3, "across"));
  refused(Group(old + 1, 2, 3, "of an engine that is not there yet"));
  const uint64_t epoch = rig.TakeEpoch();
  CHECK(epoch == old + 1);
  refused(Group(old, 2, 3, "of the old engine"));
  REQUIRE(Put(store, Group(epoch, 2, 3, "of the new engine")).ok());
  CHECK(Log(store, 1, 9) == std::vector<std::string>{"one", "of the new engine"});
}

TEST_CASE_TEMPLATE("projections: fields are added, written anew, and taken away", Rig, Fake,
                   Redis) {
  Rig rig;
  Store& store = rig.store();
  const uint64_t epoch = rig.TakeEpoch();
  Commit commit = Group(epoch, 0, 1, "one");
  commit.projections = {{"cand:1", {{"state", "active"}, {"record", "{}"}}, /*anew=*/true},
                        {"cand:2", {{"state", "active"}}, true},
                        {"run", {{"record", "1"}}}};
  REQUIRE(Put(store, commit).ok());
  CHECK(rig.projection("cand:1") == Fields{{"state", "active"}, {"record", "{}"}});

  commit = Group(epoch, 1, 2, "two");
  commit.projections = {{"cand:1", {{"step:a", "1"}}}, {"cand:1", {{"state", "ended"}}}};
  REQUIRE(Put(store, commit).ok());
  CHECK(rig.projection("cand:1") == Fields{{"state", "ended"}, {"record", "{}"}, {"step:a", "1"}});

  commit = Group(epoch, 2, 3, "three");
  commit.projections = {{"cand:1", {{"state", "active"}}, true}};
  commit.forget = {"cand:2"};
  REQUIRE(Put(store, commit).ok());
  CHECK(rig.projection("cand:1") == Fields{{"state", "active"}});
  CHECK(rig.projection("cand:2").empty());
  CHECK(rig.projection("run") == Fields{{"record", "1"}});
}

TEST_CASE_TEMPLATE("a snapshot adds to the one before, or takes its place", Rig, Fake, Redis) {
  Rig rig;
  Store& store = rig.store();
  const uint64_t epoch = rig.TakeEpoch();
  const auto put = [&](uint64_t seq, const Fields& fields, bool anew) {
    Commit commit = Group(epoch, seq - 1, seq, "x");
    commit.projections = {{"cand:1", {{"state", "active"}}}};
    commit.forget = {"cand:2"};
    commit.snapshot = {"snap", {fields.begin(), fields.end()}, anew};
    REQUIRE(Put(store, commit).ok());
  };
  put(1, {{"state", "a"}, {"sources:0", "1"}, {"seq", "1"}}, true);
  put(2, {{"state", "b"}, {"sources:7", "2"}, {"seq", "2"}}, false);
  CHECK(rig.snapshot() ==
        Fields{{"state", "b"}, {"sources:0", "1"}, {"sources:7", "2"}, {"seq", "2"}});
  REQUIRE(Put(store, Group(epoch, 2, 3, "none is due")).ok());
  CHECK(rig.snapshot()["state"] == "b");
  put(4, {{"state", "c"}, {"seq", "4"}}, true);
  CHECK(rig.snapshot() == Fields{{"state", "c"}, {"seq", "4"}});
  CHECK(rig.projection("cand:1") == Fields{{"state", "active"}});
}

TEST_CASE_TEMPLATE("a record may have thousands of fields, or none", Rig, Fake, Redis) {
  Rig rig;
  Store& store = rig.store();
  const uint64_t epoch = rig.TakeEpoch();
  Commit commit = Group(epoch, 0, 1, "one");
  Fields expected;
  for (int i = 0; i < 10001; ++i)
    expected["step:" + std::to_string(i)] = std::string("x").append(std::to_string(i));
  commit.projections = {{"cand:1", {expected.begin(), expected.end()}, true},
                        {"cand:2", {{"state", "active"}}}};
  REQUIRE(Put(store, commit).ok());
  CHECK(rig.projection("cand:1") == expected);
  CHECK(rig.projection("cand:2") == Fields{{"state", "active"}});
  commit = Group(epoch, 1, 2, "two");
  commit.projections = {{"cand:2", {}, true}};
  REQUIRE(Put(store, commit).ok());
  CHECK(rig.projection("cand:2").empty());
}

TEST_CASE_TEMPLATE("what a refused commit would take away stays", Rig, Fake, Redis) {
  Rig rig;
  Store& store = rig.store();
  const uint64_t old = rig.TakeEpoch();
  Commit commit = Group(old, 0, 1, "one");
  commit.projections = {{"cand:1", {{"state", "active"}}}};
  REQUIRE(Put(store, commit).ok());
  rig.TakeEpoch();
  commit = Group(old, 1, 2, "of the old engine");
  commit.forget = {"cand:1"};
  CHECK_FALSE(Put(store, commit).ok());
  CHECK(rig.projection("cand:1") == Fields{{"state", "active"}});
}

TEST_CASE_TEMPLATE("reading gives the groups that hold events of the range", Rig, Fake, Redis) {
  Rig rig;
  Store& store = rig.store();
  const uint64_t epoch = rig.TakeEpoch();
  REQUIRE(Put(store, Group(epoch, 0, 3, "1..3")).ok());
  REQUIRE(Put(store, Group(epoch, 3, 4, "4")).ok());
  REQUIRE(Put(store, Group(epoch, 4, 9, "5..9")).ok());
  using Bodies = std::vector<std::string>;
  CHECK(Log(store, 1, 9) == Bodies{"1..3", "4", "5..9"});
  CHECK(Log(store, 2, 4) == Bodies{"1..3", "4"});
  CHECK(Log(store, 4, 4) == Bodies{"4"});
  CHECK(Log(store, 4, 5) == Bodies{"4", "5..9"});
  CHECK(Log(store, 10, 20).empty());
  Bodies nothing = End(store, "another");
  nothing.pop_back();  // who may write there is not told of a run that is not there
  CHECK(nothing == Bodies{"0", "", ""});
}

TEST_CASE_TEMPLATE("what is trimmed is gone, and the log goes on behind it", Rig, Fake, Redis) {
  Rig rig;
  Store& store = rig.store();
  const uint64_t epoch = rig.TakeEpoch();
  Commit first = Group(epoch, 0, 3, "one");
  first.blobs = {{RefOf("a"), "a"}, {RefOf("b"), "b"}};
  REQUIRE(Put(store, first).ok());
  REQUIRE(Put(store, Group(epoch, 3, 4, "two")).ok());
  store.Trim("R", 3, {RefOf("a").sha256});
  CHECK(Await(store, 1)[0].status.ok());
  CHECK(Log(store, 1, 4) == std::vector<std::string>{"two"});
  store.ReadBlob(RefOf("a").sha256);
  store.ReadBlob(RefOf("b").sha256);
  const std::vector<Completion> blobs = Await(store, 2);
  CHECK(blobs[0].status.error().code == Code::kNotFound);
  CHECK(blobs[1].data == std::vector<std::string>{"b"});
  CHECK(Put(store, Group(epoch, 0, 5, "from the beginning")).error().code == Code::kConflict);
  CHECK(Put(store, Group(epoch, 4, 5, "three")).ok());
  CHECK(End(store)[0] == "5");
}
