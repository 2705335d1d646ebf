// Ended candidates that were let go: nothing that is decided later shows it, and they cost little.
#include <doctest/doctest.h>
#include <malloc.h>

#include <memory>

#include "engine/core/record_fields.h"
#include "tests/engine/support/driven_run.h"
#include "tests/engine/support/random_run.h"
#include "tests/engine/support/record_parts.h"
#include "tests/support/seeds.h"

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

// An only attempt in a branch behind the first, which was reported: `slim` does not keep it.
bool Forgotten(const RunCore& all, const RunCore& slim, const JobKey& key) {
  if (key.index == 0 || key.subject.kind != SubjectKind::kCandidate ||
      key.subject.number > all.candidates().size() ||
      slim.candidates().Find(key.subject.number) != nullptr)
    return false;
  const auto& branches = all.candidates()[key.subject.number - 1].branches;
  const auto branch = branches.find({key.step, key.index});
  return branch != branches.end() && branch->second.attempt == 1 && branch->second.reported == 1;
}

// Whether both say the same of each attempt that there could have been, branches and steps that
// never began included. Of `some`, those of which they say that there was one.
bool SameAttempts(const RunCore& a, const RunCore& slim, size_t* some) {
  bool same = true;
  const auto compare = [&](SubjectKind kind, size_t subjects) {
    const auto steps = static_cast<uint16_t>(a.plan().steps.size());
    for (uint32_t n = 1; n <= subjects + 1; ++n) {
      for (uint16_t step = 0; step < steps; ++step) {
        for (uint16_t index = 0; index < 4; ++index) {
          for (uint32_t attempt = 1; attempt <= 3; ++attempt) {
            const JobKey key{{kind, n}, step, index};
            const bool issued = a.WasIssued(key, attempt);
            *some += issued ? 1 : 0;
            if (Forgotten(a, slim, key)) {
              same = same && !slim.WasIssued(key, attempt);
              continue;
            }
            same = same && issued == slim.WasIssued(key, attempt) &&
                   a.HasReported(key, attempt) == slim.HasReported(key, attempt);
          }
        }
      }
    }
  };
  compare(SubjectKind::kCandidate, a.candidates().size());
  compare(SubjectKind::kRequest, a.requests().size());
  return same;
}

TEST_CASE("a fold that lets go and one without payloads decide what one that keeps all decides") {
  size_t gone = 0;
  size_t ends = 0;
  size_t attempts = 0;
  for (uint64_t seed = 1; seed <= Seeds(400); ++seed) {
    CAPTURE(seed);
    RandomRun run(seed);
    RunCore slim("test", {.payloads = true, .keep_ended = false});
    RunCore bare("test", {.payloads = false, .keep_ended = true});
    RunCore both("test", {.payloads = false, .keep_ended = false});
    WrittenRecords written;
    const auto fold = [&] {
      CAPTURE(run.group().first_seq);
      REQUIRE(RunCore::DigestCommands(slim.Apply(run.group())) == run.group().digest);
      REQUIRE(Bare(bare.Apply(run.group())) == Bare(run.commands()));
      REQUIRE(Bare(both.Apply(run.group())) == Bare(run.commands()));
      const std::vector<RecordPart> changed = slim.TakeChanged();
      REQUIRE(changed == run.changed());
      written.Write(ChangedProjections(slim, changed));
      // What is written of them is what a core that keeps all would write, at once or part by part.
      for (const Subject subject : SubjectsOf(changed)) {
        const Fields fields = FieldsByRecord(run.core(), subject);
        REQUIRE(FieldsByRecord(slim, subject) == fields);
        REQUIRE(FieldsOf(SubjectProjection(slim, subject)) == fields);
        REQUIRE(written.at(subject) == fields);
      }
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
    CHECK(SameAttempts(run.core(), slim, &attempts));
    CHECK(run.bad_payloads() == 0);
    for (uint32_t n = 1; n <= slim.candidates().size(); ++n) {
      const Candidate* c = slim.candidates().Find(n);
      gone += c == nullptr ? 1 : 0;
      if (c == nullptr) CHECK(run.core().candidates()[n - 1].ended);
    }
    ends += run.core().ended() ? 1 : 0;
  }
  CHECK(gone > Seeds(1000));
  CHECK(ends > Seeds(100));
  CHECK(attempts > Seeds(1000));
}

TEST_CASE("every random run comes to its end once nothing goes wrong any more") {
  for (uint64_t seed = 1; seed <= Seeds(400); ++seed) {
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

size_t HeapInUse() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// A core that lets go, through which `count` usual candidates went, 64 at a time and 16 a request.
std::unique_ptr<RunCore> Slim(uint32_t count, size_t* heap_before = nullptr) {
  auto b = LinearPlan();
  b.plan().in_flight = 64;
  b.plan().budget.candidates = count;
  b.at("tune").batch = 16;
  auto core =
      std::make_unique<RunCore>("test", RunCore::Options{.payloads = false, .keep_ended = false});
  std::vector<StartAttempt> open;
  const auto apply = [&](Event event) {
    EventGroup group{core->last_seq() + 1, 0, {}, {}};
    group.events.push_back(std::move(event));
    for (const Command& command : core->Apply(group)) {
      if (const auto* start = std::get_if<StartAttempt>(&command)) open.push_back(*start);
    }
  };
  apply(RunSubmitted{b.plan(), Value()});
  uint32_t sources = 0;
  while (core->phase() == Phase::kSearching && !open.empty()) {
    const StartAttempt start = open.back();
    open.pop_back();
    Job job;
    job.key = start.key;
    job.step = b.plan().steps[start.key.step].id;
    job.stage = b.plan().steps[start.key.step].stage;
    JobResult r;
    if (start.key.subject.kind == SubjectKind::kRequest) {
      const ProposeRequest& request = core->requests()[start.key.subject.number - 1];
      if (request.select)
        r.requests.push_back(
            {"tune", static_cast<uint32_t>(request.request.hints["tune"].AsInt()), {}, {}});
      for (uint32_t i = 0; !request.select && i < request.request.count; ++i)
        r.proposals.push_back(ProposalOf("source " + std::to_string(++sources)));
    } else if (job.stage == "profile") {
      r = Measured(1.0 / (1 + start.key.subject.number));
    }
    if (heap_before != nullptr && core->candidates().size() >= 1000 && *heap_before == 0)
      *heap_before = HeapInUse();
    apply(JobReported{start.key, start.attempt, std::move(r), "w"});
  }
  return core;
}

// A sanitizer's heap is another one.
TEST_CASE("a usual candidate that was let go costs at most 64 bytes, its index included" *
          doctest::skip(kSanitized)) {
  size_t before = 0;
  const auto core = Slim(101000, &before);
  const size_t used = HeapInUse() - before;
  REQUIRE(core->candidates().size() == 101000);
  CAPTURE(used);
  CHECK(used <= 64 * 100000);
}

TEST_CASE("what was let go is still known: duplicates, and results that come again") {
  const auto slim = Slim(1000);
  const RunCore& core = *slim;
  REQUIRE(core.candidates().Find(900) == nullptr);
  const JobKey build{{SubjectKind::kCandidate, 900}, 1, 0};
  CHECK(core.HasReported(build, 1));
  CHECK_FALSE(core.HasReported(build, 2));
  CHECK(core.WasIssued(build, 1));
  CHECK_FALSE(core.WasIssued(build, 2));
  // The propose step that it came from was no job of its own.
  const JobKey origin{{SubjectKind::kCandidate, 900}, 0, 0};
  CHECK_FALSE(core.HasReported(origin, 1));
  CHECK_FALSE(core.WasIssued(origin, 1));
  CHECK(core.CandidateRecord(build.subject).IsNull());
  CHECK(AllFields(core, build.subject).empty());
  CHECK(core.Explain(build) == "c900 has ended");
  const JobKey request{{SubjectKind::kRequest, 2}, 0, 0};
  REQUIRE(core.requests().Find(2) == nullptr);
  CHECK(core.HasReported(request, 1));
  CHECK_FALSE(core.HasReported({request.subject, 0, 5}, 1));
  CHECK_FALSE(core.WasIssued({request.subject, 0, 5}, 1));
  CHECK_FALSE(core.HasReported({request.subject, 1, 0}, 1));
  CHECK(core.CandidateRecord(request.subject).IsNull());
}

}  // namespace
}  // namespace kev::testing
