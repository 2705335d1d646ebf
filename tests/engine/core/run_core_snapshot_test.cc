// Snapshots: a core that goes on from one cannot be told from the core that it was taken of.
#include <doctest/doctest.h>

#include <algorithm>
#include <memory>

#include "tests/engine/support/driven_run.h"
#include "tests/engine/support/random_run.h"
#include "tests/support/seeds.h"

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
  const bool same = (*restored)->Snapshot() == bytes;  // not printed: it is no text
  CHECK(same);
  return {std::move(*restored), core.last_seq()};
}

std::string Open(const RunCore& core) {
  std::string text;
  for (const StartAttempt& open : core.OpenAttempts())
    text += core.Label(open.key, open.attempt) + (open.solitary ? " alone " : " ");
  return text + std::to_string(core.open_attempts());
}

TEST_CASE("from a snapshot at any point of a random run the rest goes as if there had been none") {
  for (uint64_t seed = 1; seed <= Seeds(300); ++seed) {
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
      const bool same = twin.core->Snapshot() == plain.Snapshot();
      CHECK(same);
    }
  }
}

// A run in which much has happened.
RandomRun Busy(uint64_t seed) {
  RandomRun run(seed);
  for (int turn = 0; turn < 80; ++turn) run.Turn();
  return run;
}

constexpr RunCore::Options kSlim{.payloads = true, .keep_ended = false};

TEST_CASE("a core can be saved at any phase, also before anything was submitted") {
  RunCore fresh("test");
  const Twin twin = TwinOf(fresh, {});
  CHECK(twin.core->phase() == Phase::kNew);
  DrivenRun run(LinearPlan().plan());
  for (EventGroup group : run.log())
    CHECK(RunCore::DigestCommands(twin.core->Apply(group)) == group.digest);
  DrivenRun over(LinearPlan().plan());
  over.Play();
  const Twin ended = TwinOf(over.core(), {});
  CHECK(ended.core->ended()->stopped_by == "candidates");
  CHECK(ToJson(ended.core->claim()) == ToJson(over.core().claim()));
  CHECK(Picture(*ended.core) == Picture(over.core()));
}

TEST_CASE("a budget that was changed is still changed") {
  DrivenRun run(LinearPlan().plan());
  Value data;
  data.Set("candidates", 3);
  run.Apply({Signal{Signal::Kind::kBudget, data}});
  CHECK(TwinOf(run.core(), {}).core->plan().budget.candidates == 3);
}

TEST_CASE("what has changed and was not taken yet is in the snapshot") {
  RunCore core("test");
  core.Apply({1, 0, {RunSubmitted{LinearPlan().plan(), Value()}}, {}});
  const Twin twin = TwinOf(core, {});
  CHECK(twin.core->TakeChanged() == std::vector<RecordPart>{{{SubjectKind::kRequest, 1}}});
  auto folded = RunCore::FromSnapshot(core.Snapshot(), {.payloads = false, .keep_ended = true});
  REQUIRE(folded.ok());
  CHECK((*folded)->TakeChanged().empty());
}

TEST_CASE("a core that lets go can go on from one that kept all") {
  for (uint64_t seed = 1; seed <= Seeds(20); ++seed) {
    CAPTURE(seed);
    RandomRun run = Busy(seed);
    auto slim = RunCore::FromSnapshot(run.core().Snapshot(), kSlim);
    REQUIRE(slim.ok());
    for (int turn = 0; turn < 60; ++turn) {
      run.Turn();
      REQUIRE(RunCore::DigestCommands((*slim)->Apply(run.group())) == run.group().digest);
    }
    CHECK(ToJson((*slim)->RunRecord()) == ToJson(run.core().RunRecord()));
    size_t there = 0;
    for (const Candidate& c : (*slim)->candidates()) there += c.ended ? 1 : 0;
    CHECK(there <= 16 + 1 + run.core().dead_letters().size() + 60 * 4);
  }
}

constexpr char kForm = 7;  // of snapshots

Code CodeOf(std::string_view bytes) {
  const auto core = RunCore::FromSnapshot(bytes, {});
  REQUIRE_FALSE(core.ok());
  return core.error().code;
}

// Fields as a store has them after some snapshots of one run, the first of which knew of none.
void Keep(const RunCore& core, RunCore::TableRows* rows, RunCore::SnapshotFields* kept) {
  for (const auto& [field, bytes] : core.SnapshotSince(rows)) (*kept)[field] = bytes;
}

TEST_CASE("snapshots that give only the rows that have come since make the same core") {
  size_t with_rows = 0;
  for (uint64_t seed = 1; seed <= Seeds(40); ++seed) {
    CAPTURE(seed);
    RandomRun run(seed);
    CounterRandom random(seed, "since");
    RunCore::TableRows rows;
    RunCore::SnapshotFields kept;
    for (int turn = 0; turn < 120; ++turn) {
      run.Turn();
      if (random.Below(15) != 0) continue;
      Keep(run.core(), &rows, &kept);
      const std::string whole = run.core().Snapshot();
      auto restored = RunCore::FromSnapshot(kept, {});
      REQUIRE_MESSAGE(restored.ok(), restored.error().message);
      const bool same = (*restored)->Snapshot() == whole;
      REQUIRE(same);
      // An engine that takes the run up does not know what is kept, and gives all of it.
      RunCore::TableRows none;
      const auto all = RunCore::FromSnapshot((*restored)->SnapshotSince(&none), {});
      const bool again = all.ok() && (*all)->Snapshot() == whole;
      REQUIRE(again);
      CHECK(none.sources == rows.sources);
      CHECK(none.binaries == rows.binaries);
    }
    if (rows.sources == 0) continue;
    run.core().SnapshotSince(&rows);
    const RunCore::SnapshotFields nothing = run.core().SnapshotSince(&rows);
    CHECK(nothing.size() == 1);  // the state
    CHECK(run.core().Snapshot().size() > nothing.at("state").size());
    ++with_rows;
  }
  CHECK(with_rows > 0);
}

TEST_CASE("rows that are missing, doubled, of another place or damaged are no snapshot") {
  RandomRun run(7);
  RunCore::TableRows rows;
  RunCore::SnapshotFields kept;
  for (int i = 0; i < 4; ++i) {
    for (int turn = 0; turn < 25; ++turn) run.Turn();
    Keep(run.core(), &rows, &kept);
  }
  std::vector<std::string> parts;
  for (const auto& [field, bytes] : kept) {
    if (field != "state") parts.push_back(field);
  }
  REQUIRE(parts.size() >= 3);
  const auto code = [](const RunCore::SnapshotFields& fields) {
    const auto core = RunCore::FromSnapshot(fields, {});
    REQUIRE_FALSE(core.ok());
    return core.error().code;
  };
  CHECK(code({}) == Code::kCorrupt);
  for (size_t i = 0; i < parts.size(); ++i) {
    CAPTURE(parts[i]);
    auto without = kept;
    without.erase(parts[i]);
    CHECK(code(without) == Code::kCorrupt);
    auto another = kept;
    another[parts[i]] = kept[parts[(i + 1) % parts.size()]];
    CHECK(code(another) == Code::kCorrupt);
    auto longer = kept;
    longer[parts[i]] += std::string(20, 'x');
    CHECK(code(longer) == Code::kCorrupt);
    CounterRandom random(i, "rows");
    for (int n = 0; n < 50; ++n) {
      auto changed = kept;
      std::string& bytes = changed[parts[i]];
      bytes[random.Below(bytes.size())] ^= static_cast<char>(1 << random.Below(8));
      CHECK(code(changed) == Code::kCorrupt);
    }
  }
  CHECK(RunCore::FromSnapshot(kept, {}).ok());
}

TEST_CASE("a snapshot of another version is a conflict, and says so") {
  const std::string bytes = Busy(3).core().Snapshot();
  // List head, form number, decision version.
  REQUIRE(bytes[1] == kForm);
  REQUIRE(bytes[2] == static_cast<char>(kDecisionVersion));
  for (const size_t at : {1, 2}) {
    std::string other = bytes;
    other[at] = static_cast<char>(other[at] + 1);
    CHECK(CodeOf(other) == Code::kConflict);
  }
  std::string other = bytes;
  other[2] = 77;
  CHECK(RunCore::FromSnapshot(other, {}).error().message ==
        "the snapshot is of form " + std::to_string(kForm) +
            " and decision version 77, this program reads form " + std::to_string(kForm) +
            " and version " + std::to_string(kDecisionVersion) +
            ": fold the log from its beginning");
}

TEST_CASE("a snapshot that is cut short, longer or changed anywhere is corrupt") {
  const std::string bytes = Busy(5).core().Snapshot();
  CounterRandom random(5, "damage");
  CHECK(CodeOf("") == Code::kCorrupt);
  CHECK(CodeOf("snapshot") == Code::kCorrupt);
  CHECK(CodeOf(bytes + '\xc0') == Code::kCorrupt);
  for (int i = 0; i < 300; ++i) {
    const size_t length = i < 40 ? static_cast<size_t>(i) : random.Below(bytes.size());
    CAPTURE(length);
    CHECK(CodeOf(bytes.substr(0, length)) == Code::kCorrupt);
  }
  for (int i = 0; i < 300; ++i) {
    const size_t at = i < 40 ? static_cast<size_t>(i) : random.Below(bytes.size());
    CAPTURE(at);
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ (1 << random.Below(8)));
    const Code code = CodeOf(changed);
    CHECK((code == Code::kCorrupt || (code == Code::kConflict && (at == 1 || at == 2))));
  }
}

// The snapshot with another body, whose digest is right.
std::string Signed(std::string_view body) {
  std::string sum;
  const Digest128 digest = DigestOf(body);
  for (const uint64_t half : {digest.lo, digest.hi}) {
    for (int i = 0; i < 8; ++i) sum.push_back(static_cast<char>(half >> (8 * i)));
  }
  std::string bytes;
  PackedWriter out(&bytes);
  out.List(4);
  out.Int(kForm);
  out.Int(kDecisionVersion);
  out.Bytes(sum);
  out.Bytes(body);
  return bytes;
}

TEST_CASE("a snapshot whose digest is right and whose content is not brings nothing down") {
  int taken = 0;
  for (uint64_t seed = 1; seed <= Seeds(30); ++seed) {
    RandomRun run = Busy(seed);
    const RunCore::Options options{.payloads = true, .keep_ended = seed % 2 == 0};
    auto core = RunCore::FromSnapshot(run.core().Snapshot(), options);
    REQUIRE(core.ok());
    for (int turn = 0; turn < 3; ++turn) {
      run.Turn();
      (*core)->Apply(run.group());
    }
    const std::string bytes = (*core)->Snapshot();
    PackedItems items{PackedView(bytes)};
    for (int i = 0; i < 4; ++i) REQUIRE(items.Next());
    const std::string body(items.value().AsBytes());
    const bool same = Signed(body) == bytes;
    REQUIRE(same);
    run.Turn();
    CounterRandom random(seed, "forged");
    for (int i = 0; i < 60; ++i) {
      CAPTURE(seed);
      CAPTURE(i);
      std::string forged = body;
      if (i < 10) forged.resize(1 + random.Below(body.size()));
      for (uint64_t n = 1 + random.Below(3); n > 0; --n)
        forged[random.Below(forged.size())] = static_cast<char>(random.Below(256));
      const auto other = RunCore::FromSnapshot(Signed(forged), options);
      if (!other.ok()) {
        CHECK(other.error().code == Code::kCorrupt);
        continue;
      }
      ++taken;
      static_cast<void>(Picture(**other));
      static_cast<void>((*other)->Snapshot());
      EventGroup group = run.group();
      group.first_seq = (*other)->last_seq() + 1;
      (*other)->Apply(group);
    }
  }
  CHECK(taken > 50);  // most of a snapshot is text and numbers, of which one is as good as another
}

}  // namespace
}  // namespace kev::testing
