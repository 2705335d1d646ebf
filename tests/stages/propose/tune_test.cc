#include "stages/propose/tune.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <set>

#include "tests/stages/support/fake_stage_context.h"
#include "tests/stages/support/small_search.h"
#include "tests/stages/support/small_task.h"

namespace kev {
namespace {

using Score = std::function<double(const Value& parameters)>;

// Runs a search over `variants`, whole or until a score of `enough`; gives the candidates in order,
// as "variant{parameters}".
std::vector<std::string> TuneSearch(std::vector<Variant> variants, const std::string& strategy,
                                    const Score& score, uint64_t seed = 7, uint64_t candidates = 0,
                                    uint32_t in_flight = 8, double enough = 0) {
  FakeStageContext context;
  LoadedRun run = SmallRun();
  run.task.variants = std::move(variants);
  context.SetRun(std::move(run));
  SmallSearch search(in_flight, seed);
  search.plan().steps[SmallSearch::kTune].settings.Set("strategy", strategy);
  search.plan().budget.candidates = candidates;
  search.Begin();
  context.SetHistory(&search.core());
  while (search.HasWork()) {
    Job job = search.Next();
    if (job.stage == "select") {
      search.Answer(job, Wish("tune", static_cast<uint32_t>(job.places["tune"].AsInt())));
    } else if (job.stage == "propose/tune") {
      search.Answer(job, HandleTune(job, context));
    } else if (job.stage == "profile") {
      double reached = score(job.candidate->parameters);
      search.Answer(job, Measured(reached));
      if (enough > 0 && reached >= enough) break;
    } else {
      search.Answer(job, JobResult());
    }
  }
  if (enough == 0) {
    REQUIRE(search.core().ended());
    CHECK(search.core().ended()->stopped_by ==
          (candidates == 0 ? "space_exhausted" : "candidates"));
  }
  std::vector<std::string> seen;
  for (const Candidate& candidate : search.core().candidates())
    seen.push_back(candidate.view.variant + ToJson(candidate.view.parameters));
  return seen;
}

double Flat(const Value&) { return 1.0; }

Job TuneJob(SmallSearch& search, uint32_t count) {
  Job job = search.Next();
  REQUIRE(job.stage == "select");
  search.Answer(job, Wish("tune", count));
  return search.Next();
}

// Four parameters of six values each; the best point is (4, 1, 3, 2), and nearer is faster.
std::vector<Variant> Hill() {
  Variant variant;
  variant.name = "hill";
  variant.path = "hill.c";
  variant.parameters = {Numbers("A", 6), Numbers("B", 6), Numbers("C", 6), Numbers("D", 6)};
  return {variant};
}
double Height(const Value& p) {
  int64_t distance = std::abs(p["A"].AsInt() - 4) + std::abs(p["B"].AsInt() - 1) +
                     std::abs(p["C"].AsInt() - 3) + std::abs(p["D"].AsInt() - 2);
  return 10.0 / (1.0 + static_cast<double>(distance));
}
// At most 400: a search that has not found the top by then counts as one that did with its last.
size_t CandidatesToTop(const std::string& strategy, uint64_t seed) {
  return TuneSearch(Hill(), strategy, Height, seed, 400, 4, /*enough=*/10).size();
}

}  // namespace

TEST_CASE("a small space is covered exactly once, by every strategy") {
  for (const char* strategy : {"random", "local", "auto"}) {
    for (uint32_t in_flight : {1u, 8u, 64u}) {
      CAPTURE(strategy);
      CAPTURE(in_flight);
      std::vector<std::string> seen = TuneSearch(SmallVariants(), strategy, Flat, 7, 0, in_flight);
      CHECK(seen.size() == 10);
      CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == 10);
    }
  }
}

TEST_CASE("what a constraint forbids is never proposed") {
  for (const std::string& one : TuneSearch(SmallVariants(), "random", Flat))
    CHECK(one != R"(vector{"UNROLL":4,"WIDTH":16})");
}

TEST_CASE("the same seed gives the same candidates, another seed another order") {
  for (const char* strategy : {"random", "local", "auto"}) {
    CAPTURE(strategy);
    CHECK(TuneSearch(Hill(), strategy, Height, 3, 40) ==
          TuneSearch(Hill(), strategy, Height, 3, 40));
    CHECK(TuneSearch(Hill(), strategy, Height, 3, 40) !=
          TuneSearch(Hill(), strategy, Height, 4, 40));
  }
}

TEST_CASE("requests in flight at the same time do not propose the same") {
  FakeStageContext context;
  LoadedRun run = SmallRun();
  run.task.variants = Hill();
  context.SetRun(std::move(run));
  SmallSearch search(200);
  search.Begin();
  context.SetHistory(&search.core());
  Job first = TuneJob(search, 200);  // split by the core into jobs of 64
  std::set<std::string> sources;
  size_t proposals = 0;
  for (Job job = first;; job = search.Next()) {
    JobResult result = HandleTune(job, context);  // none of them has been answered
    for (const Proposal& proposal : result.proposals) sources.insert(ToJson(proposal.parameters));
    proposals += result.proposals.size();
    if (!search.HasWork()) break;
  }
  CHECK(proposals == 200);
  CHECK(sources.size() == 200);
}

TEST_CASE("a proposal carries its source with the parameters written in") {
  FakeStageContext context;
  context.SetRun(SmallRun());
  SmallSearch search;
  search.Begin();
  context.SetHistory(&search.core());
  JobResult result = HandleTune(TuneJob(search, 4), context);
  REQUIRE(result.proposals.size() == 4);
  std::map<std::string, int> by_variant;
  for (const Proposal& proposal : result.proposals) {
    ++by_variant[proposal.variant];
    CHECK(proposal.source_name == proposal.variant + ".c");
    const std::string& source = context.attached().at(proposal.source.sha256);
    for (const auto& [name, value] : proposal.parameters.AsMap())
      CHECK(source.find("#define " + name + " " + ToJson(value)) != std::string::npos);
  }
  // Strategy auto begins with an even spread over the variants.
  CHECK(by_variant == std::map<std::string, int>{{"scalar", 2}, {"vector", 2}});
}

TEST_CASE("a hint asks for neighbours of one candidate") {
  FakeStageContext context;
  LoadedRun run = SmallRun();
  run.task.variants = Hill();
  context.SetRun(std::move(run));
  SmallSearch search;
  search.Begin();
  context.SetHistory(&search.core());
  Job job = TuneJob(search, 1);
  JobResult first;
  Proposal planted;
  planted.variant = "hill";
  for (const char* name : {"A", "B", "C", "D"}) planted.parameters.Set(name, 2);
  planted.source = context.Put("planted");
  first.proposals.push_back(planted);
  search.Answer(job, first);
  Job next;
  for (next = search.Next(); next.stage != "select"; next = search.Next()) {
  }
  JobResult wish = Wish("tune", 6);
  wish.requests[0].hints.Set("near", "c1");
  wish.requests[0].hints.Set("near_count", 5);
  search.Answer(next, wish);
  for (next = search.Next(); next.stage != "propose/tune"; next = search.Next()) {
  }
  JobResult result = HandleTune(next, context);
  REQUIRE(result.proposals.size() == 6);
  for (size_t i = 0; i < 5; ++i) {
    const Proposal& proposal = result.proposals[i];
    int64_t distance = 0;
    for (const char* name : {"A", "B", "C", "D"})
      distance += std::abs(proposal.parameters[name].AsInt() - 2);
    CHECK(distance == 1);
    CHECK(proposal.parents == std::vector<Subject>{{SubjectKind::kCandidate, 1}});
    CHECK(proposal.note.substr(0, 8) == "c1 with ");
  }
  CHECK(result.proposals[5].parents.empty());
}

TEST_CASE("local moves find a planted optimum sooner than random draws") {
  size_t random = 0, local = 0, mixed = 0;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    random += CandidatesToTop("random", seed);
    local += CandidatesToTop("local", seed);
    mixed += CandidatesToTop("auto", seed);
  }
  MESSAGE("candidates to the optimum, mean of 8 seeds: random "
          << random / 8 << ", local " << local / 8 << ", auto " << mixed / 8);
  CHECK(local * 3 < random);
  CHECK(mixed < random);
}

TEST_CASE("a task without variants is exhausted at once") {
  FakeStageContext context;
  LoadedRun run = SmallRun();
  run.task.variants.clear();
  context.SetRun(std::move(run));
  SmallSearch search;
  search.Begin();
  context.SetHistory(&search.core());
  JobResult result = HandleTune(TuneJob(search, 4), context);
  CHECK(result.exhausted);
  CHECK(result.proposals.empty());
  CHECK(result.message.find("no variants") != std::string::npos);
}

}  // namespace kev
