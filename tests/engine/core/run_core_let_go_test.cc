// Ended candidates that were let go: nothing that is decided later shows it, and they cost little.
#include <doctest/doctest.h>

#include "tests/engine/support/driven_run.h"
#include "tests/engine/support/random_run.h"

namespace kev::testing {
namespace {

struct Started {
  JobKey key;
  uint32_t attempt;
  int64_t not_before_ms;
  bool solitary;
  bool operator==(const Started&) const = default;
};

// All of the commands but payloads.
std::vector<Started> Bare(const std::vector<Command>& commands) {
  std::vector<Started> bare;
  for (const Command& command : commands) {
    if (const auto* start = std::get_if<StartAttempt>(&command))
      bare.push_back({start->key, start->attempt, start->not_before_ms, start->solitary});
    else if (const auto* cancel = std::get_if<CancelAttempt>(&command))
      bare.push_back({cancel->key, cancel->attempt, -1, false});
    else
      bare.push_back({{}, 0, -2, false});
  }
  return bare;
}

std::string Costs(const Usage& u) {
  return std::to_string(u.tokens_in) + " " + std::to_string(u.tokens_out) + " " +
         FormatDouble(u.usd) + " " + FormatDouble(u.device_ms) + " " + FormatDouble(u.wall_ms);
}

TEST_CASE("a fold that lets go and one without payloads decide what one that keeps all decides") {
  size_t gone = 0;
  size_t ends = 0;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    RandomRun run(seed);
    RunCore slim("test", {.payloads = true, .keep_ended = false});
    RunCore bare("test", {.payloads = false, .keep_ended = true});
    RunCore both("test", {.payloads = false, .keep_ended = false});
    const auto fold = [&] {
      CAPTURE(run.group().first_seq);
      REQUIRE(RunCore::DigestCommands(slim.Apply(run.group())) == run.group().digest);
      REQUIRE(Bare(bare.Apply(run.group())) == Bare(run.commands()));
      REQUIRE(Bare(both.Apply(run.group())) == Bare(run.commands()));
      REQUIRE(slim.TakeChanged() == run.changed());
    };
    fold();
    for (int turn = 0; turn < 150; ++turn) {
      run.Turn();
      fold();
    }
    for (const RunCore* core : {&slim, &bare, &both}) {
      CHECK(ToJson(core->RunRecord()) == ToJson(run.core().RunRecord()));
      CHECK(Costs(core->usage()) == Costs(run.core().usage()));
      CHECK(core->stale() == run.core().stale());
      CHECK(core->open_attempts() == run.core().open_attempts());
      CHECK(core->refused() == run.core().refused());
      CHECK(core->reserved_tokens() == run.core().reserved_tokens());
    }
    CHECK(run.bad_payloads() == 0);
    for (uint32_t n = 1; n <= slim.candidates().size(); ++n) {
      const Candidate* c = slim.candidates().Find(n);
      gone += c == nullptr ? 1 : 0;
      if (c == nullptr) CHECK(run.core().candidates()[n - 1].ended);
    }
    ends += run.core().ended() ? 1 : 0;
  }
  CHECK(gone > 1000);
  CHECK(ends > 100);
}

TEST_CASE("every random run comes to its end once nothing goes wrong any more") {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    RandomRun run(seed);
    for (int turn = 0; turn < 60 && !run.core().ended(); ++turn) run.Turn();
    CHECK_MESSAGE(run.Calm(), run.core().ExplainRun());
    CHECK(run.core().open_attempts() == 0);
    CHECK(run.core().active() == 0);
    CHECK(run.core().reserved_tokens() == 0);
    CHECK(run.core().reserved_usd() == 0);
    CHECK(run.core().searches().size() == 1);
  }
}

}  // namespace
}  // namespace kev::testing
