#include "stages/select/select.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <set>

#include "stages/select/ranking.h"
#include "tests/stages/support/fake_stage_context.h"
#include "tests/stages/support/small_search.h"

namespace kev {
namespace {

// A search with one measured candidate per speed-up (0: refused as wrong), all made from a
// template.
struct Searched {
  explicit Searched(const std::vector<double>& speedups) {
    search.plan().in_flight = 64;
    search.plan().steps[SmallSearch::kPick].settings.Set("policy", "greedy");
    search.Begin();
    context.SetHistory(&search.core());
    Job pick = search.Next();
    search.Answer(pick, Wish("tune", 64));
    Job tune = search.Next();
    JobResult proposals;
    for (size_t i = 0; i < speedups.size(); ++i) {
      Proposal proposal;
      proposal.variant = "vector";
      proposal.source = context.Put(std::to_string(i));
      proposals.proposals.push_back(proposal);
    }
    search.Answer(tune, proposals);
    while (search.HasWork()) {
      Job next = search.Next();
      if (next.stage == "select") {
        job = next;
        continue;
      }
      double speedup = speedups[next.candidate->id.number - 1];
      if (next.stage == "compile")
        search.Answer(next, JobResult());
      else if (speedup > 0)
        search.Answer(next, Measured(speedup));
      else
        search.Answer(next, RefusedWith(Verdict::kWrong, "y[0]"));
    }
  }
  JobResult Select(std::map<std::string, int> places, const std::string& policy = "greedy") {
    job.places = Value();
    for (const auto& [step, count] : places) job.places.Set(step, count);
    job.settings.Set("policy", policy);
    return HandleSelect(job, context);
  }
  FakeStageContext context;
  SmallSearch search;
  Job job;
};

std::map<std::string, uint32_t> CountsOf(const JobResult& result) {
  std::map<std::string, uint32_t> counts;
  for (const Request& request : result.requests) counts[request.step] += request.count;
  return counts;
}

std::vector<double> Rising(int n) {
  std::vector<double> speedups;
  for (int i = 1; i <= n; ++i) speedups.push_back(1.0 + 0.01 * i);
  return speedups;
}

}  // namespace

TEST_CASE("every free place is wished for, and none more") {
  Searched run(Rising(3));
  CHECK(CountsOf(run.Select({{"tune", 12}, {"write", 3}})) ==
        std::map<std::string, uint32_t>{{"tune", 12}, {"write", 3}});
  CHECK(CountsOf(run.Select({{"tune", 0}, {"write", 1}})) ==
        std::map<std::string, uint32_t>{{"write", 1}});
  CHECK(run.Select({}).requests.empty());
}

TEST_CASE("before anything is measured there are no parents") {
  Searched run({0, 0});
  for (const Request& request : run.Select({{"write", 3}}).requests) CHECK(request.parents.empty());
}

TEST_CASE("a model's parents alternate between the best and one of the top five") {
  Searched run({1.1, 1.9, 1.2, 1.8, 1.3, 1.7, 1.4, 0});
  JobResult result = run.Select({{"write", 40}});
  REQUIRE(result.requests.size() == 40);
  std::set<uint32_t> others;
  for (size_t i = 0; i < 40; ++i) {
    REQUIRE(result.requests[i].parents.size() == 1);
    uint32_t parent = result.requests[i].parents[0].number;
    if (i % 2 == 0)
      CHECK(parent == 2);
    else
      others.insert(parent);
  }
  CHECK(others == std::set<uint32_t>{2, 4, 6, 7, 5});
}

TEST_CASE("the same history and seed give the same answer") {
  Searched a(Rising(20)), b(Rising(20));
  for (const char* policy : {"greedy", "elites"}) {
    JobResult first = a.Select({{"tune", 16}, {"write", 9}}, policy);
    JobResult second = b.Select({{"tune", 16}, {"write", 9}}, policy);
    CHECK(ToValue(first) == ToValue(second));
    a.job.seed = 8;
    CHECK(ToValue(a.Select({{"write", 9}}, policy)) != ToValue(b.Select({{"write", 9}}, policy)));
    a.job.seed = 7;
  }
}

TEST_CASE("elites are drawn by rank: the fastest most often, none beyond the limit") {
  Searched run(Rising(20));
  run.job.settings.Set("elites", 4);
  std::map<uint32_t, int> drawn;
  for (const Request& request : run.Select({{"write", 400}}, "elites").requests)
    ++drawn[request.parents.at(0).number];
  CHECK(drawn.size() == 4);
  CHECK(drawn[20] > drawn[19]);
  CHECK(drawn[19] > drawn[17]);
  CHECK(drawn[17] > 0);
}

TEST_CASE("a tuner with local moves is told where a part of its proposals may begin") {
  Searched early(Rising(3));
  CHECK_FALSE(early.Select({{"tune", 12}}).requests.at(0).hints.Has("near"));
  Searched late(Rising(20));
  JobResult result = late.Select({{"tune", 12}});
  REQUIRE(result.requests.size() == 1);
  CHECK(result.requests[0].hints["near"].AsString() == "c20");
  CHECK(result.requests[0].hints["near_count"].AsInt() == 3);
}

TEST_CASE("refused and unmeasured candidates have no rank; equals rank by age") {
  Searched run({1.5, 0, 1.5, 2.0});
  std::vector<uint32_t> order;
  for (const Ranked& ranked : RankCandidates(run.search.core())) order.push_back(ranked.number);
  CHECK(order == std::vector<uint32_t>{4, 1, 3});
}

// c1 and c3 were screened; c2 has c1's code, c4 c3's.
TEST_CASE("what duplicates were measured to have counts for the first of their code") {
  SmallSearch search(1);
  search.plan().one_binary_once = true;
  search.Begin();
  const double speedups[] = {1.2, 1.8, 1.4, 1.5};
  for (int i = 0; i < 4; ++i) {
    Job job = search.Next();
    while (job.stage != "compile") {
      JobResult answer = Wish("tune", 1);
      if (job.stage != "select") {
        answer = JobResult();
        answer.proposals.emplace_back().source = RefOf(std::to_string(i));
      }
      search.Answer(job, answer);
      job = search.Next();
    }
    JobResult built;
    Artefact& artefact = built.artefacts.emplace_back();
    artefact.blob = RefOf("file " + std::to_string(i));
    artefact.launch.Set("code", RefOf("code " + std::to_string(i / 2)).sha256);
    search.Answer(job, built);
    search.Answer(search.Next(), Measured(speedups[i]));
  }
  const std::vector<Ranked> ranked = RankCandidates(search.core());
  REQUIRE(ranked.size() == 2);
  CHECK(ranked[0].number == 1);  // first by both of its samples, last by its own
  CHECK(ranked[0].speedup == doctest::Approx(std::sqrt(1.2 * 1.8)));
  CHECK(ranked[1].number == 3);
  CHECK(ranked[1].speedup == doctest::Approx(std::sqrt(1.4 * 1.5)));
}

}  // namespace kev
