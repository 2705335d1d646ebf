#include "queue/redis_store.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>

#include "queue/blob_id.h"
#include "queue/redis_connection.h"
#include "queue/redis_log.h"
#include "queue/redis_server.h"
#include "tests/queue/await_store.h"
#include "tests/queue/scratch_folder.h"

using namespace kev;

namespace {

struct Server {
  ScratchFolder folder;
  std::unique_ptr<EmbeddedRedis> redis;
  std::unique_ptr<RedisStore> store;
  explicit Server(Durability durability = Durability::kFast) {
    Result<std::unique_ptr<EmbeddedRedis>> started =
        EmbeddedRedis::Start({folder / "redis", durability});
    REQUIRE_MESSAGE(started.ok(), (started ? "" : started.error().message));
    redis = std::move(*started);
    Connect();
  }
  void Connect() {
    Result<std::unique_ptr<RedisStore>> connected = RedisStore::Connect(redis->Address());
    REQUIRE(connected.ok());
    store = std::move(*connected);
  }
};

Commit Group(uint64_t epoch, uint64_t expected, uint64_t last, const std::string& body) {
  Commit c;
  c.run = std::string("R");
  c.epoch = epoch;
  c.expected_seq = expected;
  c.last_seq = last;
  c.body = body;
  c.digest = std::string("d");
  c.what = std::string("w");
  return c;
}

}  // namespace

TEST_CASE("commits append in order, write blobs and projections, and are read back") {
  Server s;
  const uint64_t epoch = *s.store->TakeEpoch("R");
  CHECK(epoch == 1);
  Commit first = Group(epoch, 0, 3, "one");
  first.blobs.push_back({RefOf("blob bytes"), "blob bytes"});
  first.projections.push_back({"cand:1", {{"verdict", "ok"}, {"step", "build"}}});
  const uint64_t t1 = s.store->Submit(std::make_shared<const Commit>(first));
  const uint64_t t2 = s.store->Submit(
      std::make_shared<const Commit>(Group(epoch, 3, 4, "two")));  // pipelined behind the first
  const uint64_t t3 = s.store->ReadBlob(RefOf("blob bytes").sha256);
  const uint64_t t4 = s.store->ReadLog("R", 1, 4);
  const uint64_t t5 = s.store->ReadLog("R", 4, 4);
  const uint64_t t6 = s.store->ReadBlob(std::string(64, '0'));
  const uint64_t t7 = s.store->ReadEnd("R");
  const uint64_t t8 = s.store->ReadEnd("nothing");
  const std::vector<Completion> done = Await(*s.store, 8);
  REQUIRE(done.size() == 8);
  CHECK(done[0].ticket == t1);
  CHECK(done[0].status.ok());
  CHECK(done[1].ticket == t2);
  CHECK(done[1].status.ok());
  CHECK(done[2].ticket == t3);
  CHECK(done[2].data == std::vector<std::string>{"blob bytes"});
  CHECK(done[3].ticket == t4);
  CHECK(done[3].data == std::vector<std::string>{"one", "two"});
  CHECK(done[4].ticket == t5);
  CHECK(done[4].data == std::vector<std::string>{"two"});
  CHECK(done[5].ticket == t6);
  CHECK(done[5].status.error().code == Code::kNotFound);
  CHECK(done[6].ticket == t7);
  CHECK(done[6].data == std::vector<std::string>{"4", "d", "two", "1"});
  CHECK(done[7].ticket == t8);
  CHECK(done[7].data == std::vector<std::string>{"0", "", "", "0"});

  const std::vector<LogEntry> log = *s.store->WholeLog("R");
  REQUIRE(log.size() == 2);
  CHECK(log[0].last_seq == 3);
  CHECK(log[1].body == "two");
  Result<RedisConnection> raw = RedisConnection::Open(s.redis->Address(), std::chrono::seconds(5));
  REQUIRE(raw.ok());
  CHECK(raw->Call({"HGET", "kev:{R}:cand:1", "verdict"})->text == "ok");
  CHECK(raw->Call({"SISMEMBER", "kev:runs", "R"})->integer == 1);
  CHECK(*s.store->TakeEpoch("S") == 1);  // another run has its own epoch
}

// More than the socket takes at once, with small commands before, between and behind.
TEST_CASE("large blobs and small commands go out whole and in order, a piece at a time") {
  Server s;
  const uint64_t epoch = *s.store->TakeEpoch("R");
  std::vector<std::string> blobs;
  for (size_t i = 0; i < 12; ++i) {
    std::string bytes(i % 3 == 0 ? size_t{9} << 20 : 100 + i, '\0');
    for (size_t at = 0; at < bytes.size(); ++at) bytes[at] = static_cast<char>(at * (i + 3) >> 7);
    blobs.push_back(std::move(bytes));
  }
  size_t outstanding = 0;
  bool waited = false;
  for (size_t i = 0; i < blobs.size(); ++i) {
    Commit commit = Group(epoch, i, i + 1, "body " + std::to_string(i));
    commit.blobs = {{RefOf(blobs[i]), blobs[i]}};
    s.store->Submit(std::make_shared<const Commit>(commit));
    ++outstanding;
    waited = waited || s.store->WantsWrite();
    // Some of it has gone, and more is added to what is left.
    if (i % 2 == 1) outstanding -= s.store->Poll().size();
  }
  CHECK(waited);
  for (const Completion& done : Await(*s.store, outstanding)) CHECK(done.status.ok());
  CHECK_FALSE(s.store->WantsWrite());
  for (const std::string& bytes : blobs) {
    const auto stored = s.store->Blob(RefOf(bytes).sha256);
    REQUIRE(stored.ok());
    const bool same = *stored == bytes;
    CHECK(same);
  }
  s.store->ReadLog("R", 1, blobs.size());
  CHECK(Await(*s.store, 1)[0].data.size() == blobs.size());
}

TEST_CASE("a server that forgot the script is taught it again, in order") {
  Server s;
  const uint64_t epoch = *s.store->TakeEpoch("R");
  Result<RedisConnection> raw = RedisConnection::Open(s.redis->Address(), std::chrono::seconds(5));
  REQUIRE(raw.ok());
  REQUIRE(raw->Call({"SCRIPT", "FLUSH"}).ok());
  for (uint64_t i = 0; i < 5; ++i)
    s.store->Submit(std::make_shared<const Commit>(
        Group(epoch, i, i + 1, std::string("g").append(std::to_string(i)))));
  const std::vector<Completion> done = Await(*s.store, 5);
  REQUIRE(done.size() == 5);
  for (const Completion& c : done) CHECK(c.status.ok());
  CHECK(s.store->WholeLog("R")->back().last_seq == 5);
}

TEST_CASE("an entry or a blob that was changed in the store is not taken for what was written") {
  // A figure that changes no command is not in the digest of the commands.
  Server s;
  Result<RedisConnection> raw = RedisConnection::Open(s.redis->Address(), std::chrono::seconds(5));
  REQUIRE(raw.ok());
  const std::string key = "kev:{R}:log", good = LogSum(1, "body", "digest", "what");
  REQUIRE(raw->Call({"XADD", key, "1-0", "body", "body", "digest", "digest", "what", "what", "sum",
                     good})
              .ok());
  REQUIRE(s.store->WholeLog("R").ok());
  for (const auto& [body, digest, what] :
       {std::array{"bodx", "digest", "what"}, std::array{"body", "digesu", "what"},
        std::array{"body", "digest", "whau"}}) {
    REQUIRE(raw->Call({"DEL", key}).ok());
    REQUIRE(
        raw->Call({"XADD", key, "1-0", "body", body, "digest", digest, "what", what, "sum", good})
            .ok());
    const auto log = s.store->WholeLog("R");
    REQUIRE_FALSE(log.ok());
    CHECK(log.error().code == Code::kCorrupt);
    CHECK(log.error().message.find("entry 1 of the event log") != std::string::npos);
  }
  CHECK(LogSum(2, "body", "digest", "what") != good);

  REQUIRE(s.store->PutBlob(RefOf("blob"), "blob").ok());
  REQUIRE(s.store->Blob(RefOf("blob").sha256).ok());
  REQUIRE(raw->Call({"SET", "kev:blob:" + RefOf("blob").sha256, "blog"}).ok());
  CHECK(s.store->Blob(RefOf("blob").sha256).error().code == Code::kCorrupt);
}

TEST_CASE("a log longer than a page comes whole") {
  Server s;
  const uint64_t epoch = *s.store->TakeEpoch("R");
  for (uint64_t i = 0; i < 2500; ++i)
    s.store->Submit(std::make_shared<const Commit>(Group(epoch, i, i + 1, "x")));
  CHECK(Await(*s.store, 2500).size() == 2500);
  s.store->ReadLog("R", 1, 2500);
  const std::vector<Completion> read = Await(*s.store, 1);
  REQUIRE(read.size() == 1);
  CHECK(read[0].data.size() == 2500);
  CHECK(s.store->WholeLog("R")->size() == 2500);
}

TEST_CASE(
    "when the server is killed, what is outstanding is unavailable and what was answered is there "
    "after a restart") {
  Server s(Durability::kStrict);
  const uint64_t epoch = *s.store->TakeEpoch("R");
  s.store->Submit(std::make_shared<const Commit>(Group(epoch, 0, 1, "kept")));
  REQUIRE(Await(*s.store, 1)[0].status.ok());
  REQUIRE(s.store->PutBlob(RefOf("b"), "b").ok());
  kill(s.redis->pid(), SIGSTOP);  // it cannot answer any more
  s.store->Submit(std::make_shared<const Commit>(Group(epoch, 1, 2, "in doubt")));
  s.store->ReadBlob(RefOf("b").sha256);
  kill(s.redis->pid(), SIGKILL);
  const std::vector<Completion> lost = Await(*s.store, 2);
  REQUIRE(lost.size() == 2);
  CHECK(lost[0].status.error().code == Code::kUnavailable);
  CHECK(lost[1].status.error().code == Code::kUnavailable);
  CHECK(s.store->Ping().error().code == Code::kUnavailable);
  s.store->Submit(std::make_shared<const Commit>(Group(epoch, 1, 2, "later")));
  CHECK(Await(*s.store, 1)[0].status.error().code == Code::kUnavailable);
  while (s.redis->Alive()) usleep(1000);

  Result<std::unique_ptr<EmbeddedRedis>> again =
      EmbeddedRedis::Start({s.folder / "redis", Durability::kStrict});
  REQUIRE(again.ok());
  s.redis = std::move(*again);
  s.Connect();
  CHECK(s.store->WholeLog("R")->front().body == "kept");
  CHECK(*s.store->Blob(RefOf("b").sha256) == "b");
  CHECK(*s.store->TakeEpoch("R") == epoch + 1);
}

TEST_CASE("a store that was emptied, or that others write in, is told from another engine's") {
  Server s;
  const uint64_t epoch = *s.store->TakeEpoch("R");
  s.store->Submit(std::make_shared<Commit>(Group(epoch, 0, 1, "body")));
  REQUIRE(Await(*s.store, 1).at(0).status.ok());
  Result<RedisConnection> other =
      RedisConnection::Open(s.redis->Address(), std::chrono::seconds(5));
  REQUIRE(other.ok());
  REQUIRE(other->Call({"FLUSHALL"}).ok());
  s.store->Submit(std::make_shared<Commit>(Group(epoch, 1, 2, "next")));
  const Status emptied = Await(*s.store, 1).at(0).status;
  REQUIRE_FALSE(emptied.ok());
  CHECK(emptied.error().code == Code::kConflict);
  CHECK(emptied.error().message.find("it was emptied") != std::string::npos);
  REQUIRE(other->Call({"SET", "kev:{R}:log", "x"}).ok());
  const Result<std::vector<LogEntry>> log = s.store->WholeLog("R");
  REQUIRE_FALSE(log.ok());
  CHECK(log.error().message.find("Redis of its own") != std::string::npos);
}

TEST_CASE("a server left over by a killed engine is ended before a new one starts") {
  ScratchFolder folder;
  // The child is the engine that dies without a word; the signal of its death is taken from the
  // server first.
  int pids[2];
  REQUIRE(pipe(pids) == 0);
  const pid_t engine = fork();
  if (engine == 0) {
    const std::string command = "redis-server --port 0 --daemonize yes --appendonly yes --dir " +
                                folder.path() + " --pidfile " + (folder / "redis.pid") +
                                " --unixsocket " + (folder / "redis.sock") + " --logfile " +
                                (folder / "redis.log") + " >/dev/null";
    _exit(system(command.c_str()) == 0 ? 0 : 1);
  }
  int status = 0;
  waitpid(engine, &status, 0);
  REQUIRE(status == 0);
  int old = 0;
  while (old == 0) std::ifstream(folder / "redis.pid") >> old;
  Result<std::unique_ptr<EmbeddedRedis>> started =
      EmbeddedRedis::Start({folder.path(), Durability::kFast});
  REQUIRE(started.ok());
  CHECK((*started)->pid() != old);
  std::error_code gone;  // ended, though perhaps not yet waited for by its new parent
  const std::string proc = std::string("/proc/").append(std::to_string(old)).append("/cwd");
  CHECK(std::filesystem::read_symlink(proc, gone).empty());
  CHECK((*started)->Stop().ok());
  CHECK_FALSE((*started)->Alive());
}

TEST_CASE("a server that cannot start says why and what to do") {
  ScratchFolder folder;
  const auto why = [](const EmbeddedRedisOptions& options) {
    Result<std::unique_ptr<EmbeddedRedis>> r = EmbeddedRedis::Start(options);
    return r ? std::string("started") : r.error().message;
  };
  EmbeddedRedisOptions missing{folder / "a"};
  missing.program = "redis-server-that-is-not-there";
  CHECK(why(missing).find("apt-get install redis-server") != std::string::npos);
  const std::string deep = why({folder / std::string(120, 'x')});
  CHECK(deep.find("KEVOLVE_HOME") != std::string::npos);
  CHECK(deep.find("107") != std::string::npos);
  std::ofstream(folder / "file") << "x";
  CHECK(why({folder / "file/redis"}).find("KEVOLVE_HOME") != std::string::npos);
  // An append-only file that is not one: the server ends early, its last words are shown.
  std::filesystem::create_directories(folder / "bad/appendonlydir");
  std::ofstream(folder / "bad/appendonlydir/appendonly.aof.manifest") << "nonsense\n";
  CHECK(why({folder / "bad"}).find("last words") != std::string::npos);
}
