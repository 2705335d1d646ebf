// Snapshots: a core that goes on from one cannot be told from the core that it was taken of.
#include <doctest/doctest.h>

#include <memory>

#include "tests/engine/support/driven_run.h"
#include "tests/engine/support/random_run.h"

namespace kev::testing {
namespace {

struct Twin {
  std::unique_ptr<RunCore> core;
  uint64_t since = 0;
};

Twin TwinOf(const RunCore& core, RunCore::Options options) {
  const std::string bytes = core.Snapshot();
  auto restored = RunCore::FromSnapshot(bytes, options);
  REQUIRE_MESSAGE(restored.ok(), restored.error().message);
  CHECK((*restored)->Snapshot() == bytes);
  return {std::move(*restored), core.last_seq()};
}

std::string Open(const RunCore& core) {
  std::string text;
  for (const StartAttempt& open : core.OpenAttempts())
    text += core.Label(open.key, open.attempt) + (open.solitary ? " alone " : " ");
  return text + std::to_string(core.open_attempts());
}

TEST_CASE("from a snapshot at any point of a random run the rest goes as if there had been none") {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    RandomRun run(seed);
    CounterRandom random(seed, "snapshots");
    const RunCore::Options options{.payloads = true, .keep_ended = seed % 2 == 0};
    RunCore plain("test", options);
    plain.Apply(run.group());
    std::vector<Twin> twins;
    for (int turn = 0; turn < 120; ++turn) {
      if (twins.size() < 4 && random.Below(20) == 0) twins.push_back(TwinOf(plain, options));
      run.Turn();
      CAPTURE(run.group().first_seq);
      const std::vector<Command> commands = plain.Apply(run.group());
      REQUIRE(RunCore::DigestCommands(commands) == run.group().digest);
      const auto changed = plain.TakeChanged();
      for (const Twin& twin : twins) {
        CAPTURE(twin.since);
        REQUIRE(RunCore::DigestCommands(twin.core->Apply(run.group())) == run.group().digest);
        REQUIRE(Open(*twin.core) == Open(plain));
        REQUIRE(twin.core->NextDeadline() == plain.NextDeadline());
        // What was not taken before the snapshot is in it.
        const auto its = twin.core->TakeChanged();
        REQUIRE(std::includes(its.begin(), its.end(), changed.begin(), changed.end()));
      }
    }
    CHECK(run.bad_payloads() == 0);
    for (const Twin& twin : twins) {
      CHECK(Picture(*twin.core) == Picture(plain));
      CHECK(twin.core->Snapshot() == plain.Snapshot());
    }
  }
}

}  // namespace
}  // namespace kev::testing
