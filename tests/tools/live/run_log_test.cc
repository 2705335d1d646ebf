// A run's log in two places, a store and a file: whatever befalls one of them, what only the other
// has is never lost, and what never was does not come back.
#include "tools/live/run_log.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "engine/host/fake/fake_clock.h"
#include "engine/host/fake/fake_store.h"
#include "engine/host/fake/fake_transport.h"
#include "engine/host/host.h"
#include "queue/redis_admin.h"
#include "queue/redis_server.h"
#include "tests/engine/support/driven_run.h"
#include "tests/queue/scratch_folder.h"
#include "tools/live/run_archive.h"

using namespace kev;
using kev::testing::DrivenRun;
using kev::testing::LinearPlan;
namespace fs = std::filesystem;

namespace {

LogEntry EntryOf(const EventGroup& group, const std::string& what) {
  LogEntry entry{group.last_seq(), "", group.digest.Hex(), what};
  Encode(group, &entry.body);
  return entry;
}

std::vector<LogEntry> Entries() {
  DrivenRun run(LinearPlan().plan());
  run.Play();
  std::vector<LogEntry> entries;
  for (const EventGroup& group : run.log()) entries.push_back(EntryOf(group, "w"));
  REQUIRE(entries.size() > 12);
  return entries;
}

struct TwoPlaces {
  ScratchFolder folder;
  std::unique_ptr<EmbeddedRedis> server;
  std::unique_ptr<RedisStore> store;
  std::unique_ptr<RedisAdmin> admin;
  const std::vector<LogEntry> all = Entries();
  std::string path = folder / "log.kevrun";

  TwoPlaces() {
    server = std::move(*EmbeddedRedis::Start({folder / "redis", Durability::kFast}));
    store = std::move(*RedisStore::Connect(server->Address()));
    admin = std::move(*RedisAdmin::Connect(server->Address()));
  }
  std::vector<LogEntry> Part(size_t from, size_t to) const {
    return {all.begin() + static_cast<ptrdiff_t>(from), all.begin() + static_cast<ptrdiff_t>(to)};
  }
  void Store(size_t from, size_t to) { REQUIRE(admin->PutLog("test", Part(from, to)).ok()); }
  // One record, unless `ends` are said to end one.
  void File(size_t to, const std::vector<size_t>& ends = {}) {
    auto file = LogFile::Open(path, Value(Value::Map{{"run", Value("test")}}));
    REQUIRE(file.ok());
    for (size_t i = 0; i < to; ++i) {
      if (std::find(ends.begin(), ends.end(), i) != ends.end()) REQUIRE((*file)->EndRecord().ok());
      REQUIRE((*file)->Append(all[i]).ok());
    }
    REQUIRE((*file)->Sync().ok());
  }
  // What is read, entry by entry; the error where it ends in one.
  Result<std::vector<std::string>> Read() {
    std::vector<std::string> bodies;
    const Status s = ForEachEntry("test", path, *store, [&](LogEntry entry) {
      bodies.push_back(entry.body);
      return Status();
    });
    if (!s.ok()) return s.error();
    return bodies;
  }
  std::vector<std::string> Bodies(size_t to) const {
    std::vector<std::string> bodies;
    for (size_t i = 0; i < to; ++i) bodies.push_back(all[i].body);
    return bodies;
  }
  // As an engine does when it takes the run up.
  Status Follow() {
    FakeClock clock;
    FakeTransport transport;
    FakeStore none;
    Host host(&transport, &none, &clock);
    RunLog log("test", path);
    auto core = log.Load(*store, {.payloads = true, .keep_ended = true});
    if (!core) return core.error();
    HostedRunOptions options;
    options.run = "test";
    HostedRun& hosted = host.Add(options, core->get());
    return log.Follow(*store, &hosted, nullptr, nullptr,
                      [](uint64_t, const std::vector<std::string>&) {});
  }
  std::string FileBytes() const {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
};

}  // namespace

TEST_CASE("a log that is partly in a file is read whole, and followed on") {
  TwoPlaces run;
  SUBCASE("the file ends where the store begins") { run.File(6); }
  SUBCASE("the file has what the store has, too") { run.File(10); }
  SUBCASE("in records of its own") { run.File(10, {6}); }
  run.Store(6, 12);
  CHECK(*run.Read() == run.Bodies(12));
  REQUIRE_MESSAGE(run.Follow().ok(), run.Follow().error().message);
  CHECK(*run.Read() == run.Bodies(12));
  auto file = LogFile::Read(run.path);
  REQUIRE(file.ok());
  CHECK((*file)->last_seq() == run.all[11].last_seq);
}

TEST_CASE("a file that is ahead of a store that lost its newest part does not bring it back") {
  TwoPlaces run;
  SUBCASE("in one record") { run.File(12); }
  SUBCASE("in records of their own") { run.File(12, {5, 8, 10}); }
  run.Store(5, 9);
  CHECK(*run.Read() == run.Bodies(9));
  REQUIRE(run.Follow().ok());
  auto file = LogFile::Read(run.path);
  REQUIRE(file.ok());
  CHECK((*file)->last_seq() == run.all[8].last_seq);
  // What happens now instead is what is read, also when it has left the store.
  REQUIRE(run.admin->DropRun("test").ok());
  auto going_on = LogFile::Open(run.path, Value());
  REQUIRE(going_on.ok());
  LogEntry other = run.all[9];
  other.what = "another";
  REQUIRE((*going_on)->Append(other).ok());
  REQUIRE((*going_on)->Sync().ok());
  going_on->reset();
  run.Store(10, 12);
  CHECK(*run.Read() == run.Bodies(12));
}

TEST_CASE(
    "a run is not taken up without the file that its log has gone to, and nothing is changed") {
  TwoPlaces run;
  run.Store(8, 12);
  const auto refused = [&](const std::string& says, Code code) {
    const bool there = fs::exists(run.path);
    const std::string before = run.FileBytes();
    const Status followed = run.Follow();
    REQUIRE_FALSE(followed.ok());
    CHECK(followed.error().code == code);
    CHECK_MESSAGE(followed.error().message.find(says) != std::string::npos,
                  followed.error().message);
    const auto read = run.Read();
    REQUIRE_FALSE(read.ok());
    CHECK(read.error().message.find(run.path) != std::string::npos);
    CHECK(fs::exists(run.path) == there);
    CHECK(run.FileBytes() == before);
  };
  SUBCASE("it is missing") { refused("log.kevrun", Code::kConflict); }
  SUBCASE("it ends before") {
    run.File(6, {3});
    refused("neither in its store nor in", Code::kConflict);
  }
  SUBCASE("it is damaged before") {
    run.File(8, {1, 2, 3, 4, 5, 6, 7});
    std::fstream file(run.path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(fs::file_size(run.path) / 2));
    file.write("\x55\x55\x55", 3);
    file.close();
    refused("log.kevrun", Code::kCorrupt);
  }
}

TEST_CASE("damage behind what only the file has is mended from the store") {
  TwoPlaces run;
  run.File(10, {6, 7, 8, 9});
  run.Store(6, 12);
  fs::resize_file(run.path, fs::file_size(run.path) - 20);
  std::fstream(run.path, std::ios::binary | std::ios::in | std::ios::out | std::ios::ate) << "junk";
  CHECK(*run.Read() == run.Bodies(12));
  REQUIRE(run.Follow().ok());
  CHECK((*LogFile::Read(run.path))->last_seq() == run.all[11].last_seq);
}

TEST_CASE("no archive is written of a log with a gap, and the one before stays") {
  ScratchFolder folder;
  const std::string path = folder / "run.kevrun";
  std::vector<LogEntry> log = Entries();
  const auto no_blobs = [](const std::string&) -> Result<std::string> {
    return Error{Code::kNotFound, "none"};
  };
  REQUIRE(WriteArchive(path, "test", Value(), EntriesOf(log), no_blobs).ok());
  const auto size = fs::file_size(path);
  SUBCASE("its beginning") { log.erase(log.begin()); }
  SUBCASE("in the middle") { log.erase(log.begin() + 5); }
  const Status s = WriteArchive(path, "test", Value(), EntriesOf(log), no_blobs);
  REQUIRE_FALSE(s.ok());
  CHECK(s.error().code == Code::kCorrupt);
  CHECK(fs::file_size(path) == size);
}
