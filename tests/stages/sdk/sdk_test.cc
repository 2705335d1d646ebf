#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "queue/blob_id.h"
#include "queue/zmq_transport.h"
#include "runners/fleet/fleet.h"
#include "stages/null/null_stage.h"
#include "stages/sdk/arguments.h"
#include "stages/sdk/blob_cache.h"
#include "stages/sdk/history_cache.h"
#include "tests/queue/scratch_folder.h"

using namespace kev;
using std::chrono::milliseconds;

TEST_CASE("a stage's arguments are parsed, and refused with what is wrong") {
  const Result<StageArguments> a = ParseStageArguments(
      {"--connect", "tcp://h:1", "--slots=3", "--cores", "0,2-3", "--engine-lost-grace", "500ms"});
  REQUIRE(a.ok());
  CHECK(a->connect == "tcp://h:1");
  CHECK(a->slots == 3);
  CHECK(a->cores == std::vector<int>{0, 2, 3});
  CHECK(a->engine_lost_grace == milliseconds(500));
  const Result<StageArguments> b =
      ParseStageArguments({"--access", "F", "--prefetch", "0", "--label", "gpu.model=H100",
                           "--label=zone=a", "--resource", "device=2", "--expires-in", "90"});
  REQUIRE(b.ok());
  CHECK(b->access == "F");
  CHECK(b->prefetch == 0u);
  CHECK(b->labels == std::map<std::string, std::string>{{"gpu.model", "H100"}, {"zone", "a"}});
  CHECK(b->resources == std::map<std::string, uint32_t>{{"device", 2}});
  CHECK(b->expires_in == std::chrono::seconds(90));
  CHECK_FALSE(a->prefetch.has_value());
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"--prefetch", "257"},
                                                        {"--label", "gpu.model"},
                                                        {"--label", "=x"},
                                                        {"--resource", "device=many"},
                                                        {"--resource", "device"},
                                                        {"--expires-in", "soon"}}) {
    const Result<StageArguments> wrong = ParseStageArguments({"--connect", "c", name, value});
    REQUIRE_FALSE(wrong.ok());
    CHECK(wrong.error().message.starts_with(name + " " + value + ": "));
  }
  CHECK(ParseStageArguments({}).error().message.find("--connect") != std::string::npos);
  CHECK(ParseStageArguments({"--slots", "none"}).error().message.find("1 to 1024") !=
        std::string::npos);
  CHECK(ParseStageArguments({"--wrong", "x"}).error().message.find("--wrong") != std::string::npos);
  CHECK_FALSE(ParseCores("3-1").ok());
  CHECK_FALSE(ParseCores("").ok());
}

TEST_CASE("a blob whose file was damaged counts as absent") {
  ScratchFolder folder;
  const BlobCache cache(folder.path());
  const BlobRef ref = RefOf("some bytes");
  CHECK_FALSE(cache.Get(ref.sha256).has_value());
  cache.Put(ref, "some bytes");
  CHECK(cache.Get(ref.sha256) == "some bytes");
  std::ofstream(folder / ref.sha256) << "other bytes";
  CHECK_FALSE(cache.Get(ref.sha256).has_value());
  CHECK_FALSE(std::filesystem::exists(folder / ref.sha256));
}

TEST_CASE("the history cache folds only what is new, and anew for an older job") {
  std::vector<std::pair<uint64_t, uint64_t>> asked;
  HistoryCache cache(
      [&](const std::string&, uint64_t from, uint64_t to) -> Result<std::vector<EventGroup>> {
        asked.emplace_back(from, to);
        std::vector<EventGroup> groups;
        for (uint64_t seq = from; seq <= to; ++seq) {
          EventGroup group;
          group.first_seq = seq;
          group.events.push_back(TimePassed{});
          groups.push_back(group);
        }
        return groups;
      });
  CHECK((*cache.At("R", 3))->core()->last_seq() == 3);
  CHECK((*cache.At("R", 5))->core()->last_seq() == 5);
  CHECK((*cache.At("R", 5))->core()->last_seq() == 5);
  CHECK((*cache.At("R", 2))->core()->last_seq() == 2);  // a retry of an older job
  CHECK(asked == std::vector<std::pair<uint64_t, uint64_t>>{{1, 3}, {4, 5}, {1, 2}});
}

TEST_CASE("a history with a gap is an error, not a wrong fold") {
  HistoryCache cache(
      [](const std::string&, uint64_t from, uint64_t) -> Result<std::vector<EventGroup>> {
        EventGroup group;
        group.first_seq = from + 1;
        group.events.push_back(TimePassed{});
        return std::vector<EventGroup>{group};
      });
  CHECK(cache.At("R", 3).error().code == Code::kCorrupt);
}

TEST_CASE("a stage process does jobs of its stages and leaves when told to") {
  ScratchFolder folder;
  auto transport = ZmqTransport::Bind({{"ipc://" + (folder / "q")}});
  REQUIRE(transport.ok());
  Fleet fleet;
  ChildOptions options;
  options.program = "kevolve-null";
  options.arguments = {"--connect",    (*transport)->Endpoints().front(), "--slots", "2", "--home",
                       folder / "home"};
  const Result<int> pid = fleet.Start(options);
  REQUIRE_MESSAGE(pid.ok(), (pid ? "" : pid.error().message));
  size_t results = 0;
  bool orderly = false;
  while (fleet.Running() > 0) {
    pollfd item{(*transport)->Descriptor(), POLLIN, 0};
    poll(&item, 1, 5);
    for (Inbound& m : (*transport)->Receive(100)) {
      if (auto* hello = std::get_if<Hello>(&m.message)) {
        CHECK(hello->program == "null");
        CHECK(std::find(hello->stages.begin(), hello->stages.end(), "compile/null") !=
              hello->stages.end());
        (*transport)->Send(m.session, Welcome{1, {}});
        for (uint32_t i = 1; i <= 100; ++i) {
          Job job;
          job.run = "R";
          job.key.subject.number = i;
          job.stage = i == 100 ? "compile" : "verify/null";  // the last one is not its business
          (*transport)->Send(m.session, Assign{"R", job.key, 1, EncodeCanonical(ToValue(job))});
        }
      } else if (auto* result = std::get_if<ResultMessage>(&m.message)) {
        CHECK(result->result.failure.has_value() == (result->key.subject.number == 100));
        (*transport)->Send(m.session, Acknowledge{"R", result->key, 1, false});
        if (++results == 100) CHECK(fleet.Signal(*pid, SIGTERM).ok());
      } else if (auto* lost = std::get_if<SessionLost>(&m.message)) {
        orderly = lost->orderly;
      }
    }
    (*transport)->Flush();
    for (const ChildExit& e : fleet.Reap()) {
      CHECK(e.status == 0);
      CHECK(e.signal == 0);
    }
  }
  for (Inbound& m : (*transport)->Receive(100)) {
    if (auto* lost = std::get_if<SessionLost>(&m.message)) orderly = lost->orderly;
  }
  CHECK(results == 100);
  CHECK(orderly);
}

TEST_CASE("a stage process that is killed is lost at once, by its closed connection") {
  ScratchFolder folder;
  for (const std::string& endpoint :
       {"ipc://" + (folder / "q"), std::string("tcp://127.0.0.1:*")}) {
    CAPTURE(endpoint);
    ZmqTransportOptions silent;
    silent.endpoints = {endpoint};
    silent.heartbeat = milliseconds(600000);  // its silence would not be noticed in this test
    auto transport = ZmqTransport::Bind(silent);
    REQUIRE(transport.ok());
    Fleet fleet;
    ChildOptions options;
    options.program = "kevolve-null";
    options.arguments = {"--connect", (*transport)->Endpoints().front(), "--home", folder / "home"};
    const Result<int> pid = fleet.Start(options);
    REQUIRE_MESSAGE(pid.ok(), (pid ? "" : pid.error().message));
    std::optional<SessionLost> lost;
    for (int i = 0; i < 2000 && !lost; ++i) {
      pollfd item{(*transport)->Descriptor(), POLLIN, 0};
      poll(&item, 1, 5);
      for (Inbound& m : (*transport)->Receive(100)) {
        if (std::holds_alternative<Hello>(m.message)) {
          CHECK(fleet.Signal(*pid, SIGKILL).ok());
        } else if (auto* l = std::get_if<SessionLost>(&m.message)) {
          lost = *l;
        }
      }
    }
    REQUIRE(lost.has_value());
    CHECK_FALSE(lost->orderly);
    CHECK_MESSAGE(lost->reason.find("closed") != std::string::npos, lost->reason);
    fleet.Stop(milliseconds(1000));
  }
}
