#include "engine/core/job.h"

#include <doctest/doctest.h>

#include <functional>

#include "tests/engine/support/canonical_reader.h"
#include "tests/engine/support/plans.h"

namespace kev {
namespace {

using testing::RefOf;

Value MapOf(const std::string& key, Value value) {
  Value v;
  v.Set(key, std::move(value));
  return v;
}

Job FullJob() {
  Job j;
  j.run = "r";
  j.key = {{SubjectKind::kCandidate, 12}, 3, 2};
  j.attempt = 4;
  j.label = "c12/check[2]#4";
  j.step = "check";
  j.stage = "verify";
  j.settings = MapOf("rigor", "full");
  j.context = RefOf("bundle");
  j.target = "cpu";
  j.seed = 0xffffffffffffffff;
  j.history_seq = 99;
  j.running_limit_ms = 60000;
  j.candidate = CandidateView{{SubjectKind::kCandidate, 12},
                              "c12",
                              "tune",
                              {{SubjectKind::kCandidate, 3}, {SubjectKind::kPrepared, 1}},
                              "tiled",
                              MapOf("tile", 8),
                              RefOf("source"),
                              "k.c",
                              MapOf("check", MapOf("error", 0.5))};
  j.artefacts = {{"candidate", "c12", "cubin", RefOf("cubin"), MapOf("symbol", "k")},
                 {"baseline", "plain", "shared_library", RefOf("so"), Value()}};
  j.request = Request{"tune", 5, {{SubjectKind::kCandidate, 3}}, MapOf("why", "fast")};
  j.places = MapOf("tune", 3);
  j.secret = MapOf("seed", 1);
  return j;
}

JobResult FullResult() {
  JobResult r;
  r.verdict = Verdict::kWrong;
  r.message = "differs at 3";
  r.facts = MapOf("speedup", 1.5);
  r.usage = {11, 12, 0.25, 3.5, 4.5};
  r.cached = true;
  r.artefacts = {{"candidate", "c1", "cubin", RefOf("cubin"), MapOf("grid", Value::List{1, 2})}};
  r.blobs = {{"stderr", RefOf("text")}, {"stdout", RefOf("other")}};
  Proposal p = testing::ProposalOf("code");
  p.variant = "tiled";
  p.parameters = MapOf("tile", 4);
  p.parents = {{SubjectKind::kCandidate, 2}};
  p.note = "wider";
  r.proposals = {p};
  r.requests = {{"tune", 2, {{SubjectKind::kCandidate, 1}}, MapOf("island", 1)}};
  r.exhausted = true;
  return r;
}

TEST_CASE("every field of a job survives its form on the wire") {
  const Job job = FullJob();
  const Result<Job> back = JobFrom(testing::Packed(ToValue(job)));
  REQUIRE(back.ok());
  CHECK(ToJson(ToValue(*back)) == ToJson(ToValue(job)));
  // The form has every field: equal forms alone would also come of fields that both directions
  // forget.
  CHECK(back->run == job.run);
  CHECK(back->key == job.key);
  CHECK(back->attempt == job.attempt);
  CHECK(back->label == job.label);
  CHECK(back->step == job.step);
  CHECK(back->stage == job.stage);
  CHECK(back->settings == job.settings);
  CHECK(back->context == job.context);
  CHECK(back->target == job.target);
  CHECK(back->seed == job.seed);
  CHECK(back->history_seq == job.history_seq);
  CHECK(back->running_limit_ms == job.running_limit_ms);
  CHECK(back->artefacts == job.artefacts);
  CHECK(back->places == job.places);
  CHECK(back->secret == job.secret);
  CHECK(back->candidate->id == job.candidate->id);
  CHECK(back->candidate->name == job.candidate->name);
  CHECK(back->candidate->origin == job.candidate->origin);
  CHECK(back->candidate->parents == job.candidate->parents);
  CHECK(back->candidate->variant == job.candidate->variant);
  CHECK(back->candidate->parameters == job.candidate->parameters);
  CHECK(back->candidate->source == job.candidate->source);
  CHECK(back->candidate->source_name == job.candidate->source_name);
  CHECK(back->candidate->facts == job.candidate->facts);
  CHECK(back->request->step == job.request->step);
  CHECK(back->request->count == job.request->count);
  CHECK(back->request->parents == job.request->parents);
  CHECK(back->request->hints == job.request->hints);
}

TEST_CASE("every field of a result survives its form in the log") {
  const JobResult result = FullResult();
  const Result<JobResult> back = JobResultFrom(testing::Packed(ToValue(result)));
  REQUIRE(back.ok());
  CHECK(ToJson(ToValue(*back)) == ToJson(ToValue(result)));
  CHECK(back->verdict == result.verdict);
  CHECK(back->message == result.message);
  CHECK(back->facts == result.facts);
  CHECK(back->usage.tokens_in == 11);
  CHECK(back->usage.tokens_out == 12);
  CHECK(back->usage.usd == 0.25);
  CHECK(back->usage.device_ms == 3.5);
  CHECK(back->usage.wall_ms == 4.5);
  CHECK(back->cached);
  CHECK(back->artefacts == result.artefacts);
  CHECK(back->blobs == result.blobs);
  CHECK(back->exhausted);
  REQUIRE(back->proposals.size() == 1);
  CHECK(back->proposals[0].variant == "tiled");
  CHECK(back->proposals[0].parameters == MapOf("tile", 4));
  CHECK(back->proposals[0].source == RefOf("code"));
  CHECK(back->proposals[0].source_name == "kernel.c");
  CHECK(back->proposals[0].parents == result.proposals[0].parents);
  CHECK(back->proposals[0].note == "wider");
  REQUIRE(back->requests.size() == 1);
  CHECK(back->requests[0].hints == MapOf("island", 1));
}

TEST_CASE("a failure and an empty result survive as well") {
  const auto failed =
      JobResultFrom(testing::Packed(ToValue(testing::Failed(FailureClass::kDiskFull, "no space"))));
  REQUIRE(failed.ok());
  CHECK(failed->failure->failure == FailureClass::kDiskFull);
  CHECK(failed->failure->message == "no space");
  const auto empty = JobResultFrom(testing::Packed(ToValue(JobResult())));
  REQUIRE(empty.ok());
  CHECK_FALSE(empty->failure);
  CHECK(empty->verdict == Verdict::kOk);
}

TEST_CASE("every verdict and failure class has a name that leads back to it") {
  for (int i = 0; i <= static_cast<int>(Verdict::kCancelled); ++i) {
    const auto verdict = static_cast<Verdict>(i);
    CHECK(VerdictFrom(Name(verdict)) == verdict);
  }
  for (int i = 0; i <= static_cast<int>(FailureClass::kTaskBroken); ++i) {
    const auto failure = static_cast<FailureClass>(i);
    CHECK(FailureClassFrom(Name(failure)) == failure);
  }
  CHECK_FALSE(VerdictFrom("slow"));
  CHECK_FALSE(FailureClassFrom(""));
}

TEST_CASE("a subject's name is read back, and only a whole one") {
  CHECK(SubjectFrom("c12") == Subject{SubjectKind::kCandidate, 12});
  CHECK(SubjectFrom("r1") == Subject{SubjectKind::kRequest, 1});
  CHECK(SubjectFrom("p4294967295") == Subject{SubjectKind::kPrepared, 4294967295});
  for (const char* bad : {"", "c", "c0", "c-1", "c1x", "x1", "c4294967296", " c1", "12"}) {
    CAPTURE(bad);
    CHECK_FALSE(SubjectFrom(bad));
  }
}

// Replaces every node of the value in turn by things that do not belong there.
void EachDamage(const Value& whole, const std::function<void(const Value&)>& visit) {
  const Value wrong[] = {Value(), Value(-1), Value("zz"), Value(Value::List{1}), Value(1e300)};
  const std::function<void(const Value&, const std::function<void(Value)>&)> walk =
      [&](const Value& node, const std::function<void(Value)>& put) {
        for (const Value& w : wrong) put(w);
        for (const auto& [key, item] : node.AsMap()) {
          walk(item, [&, k = key](Value v) {
            Value copy = node;
            copy.Set(k, std::move(v));
            put(copy);
          });
        }
        for (size_t i = 0; i < node.AsList().size(); ++i) {
          walk(node.AsList()[i], [&, i](Value v) {
            Value::List copy = node.AsList();
            copy[i] = std::move(v);
            put(copy);
          });
        }
      };
  walk(whole, visit);
}

TEST_CASE("damaged jobs and results are errors or other values, never crashes") {
  size_t errors = 0;
  EachDamage(ToValue(FullJob()),
             [&](const Value& v) { errors += !JobFrom(testing::Packed(v)).ok(); });
  EachDamage(ToValue(FullResult()),
             [&](const Value& v) { errors += !JobResultFrom(testing::Packed(v)).ok(); });
  CHECK(errors > 50);
}

TEST_CASE("references to blobs must be a digest and a size") {
  const std::string sha(64, 'a');
  CHECK(BlobRefFrom(testing::Packed(Value::List{sha, 3})).ok());
  CHECK(BlobRefFrom(testing::Packed(Value::List{sha, "3"})).ok() == false);
  CHECK(BlobRefFrom(testing::Packed(Value::List{sha})).ok() == false);
  CHECK(BlobRefFrom(testing::Packed(Value::List{std::string(63, 'a'), 3})).ok() == false);
  CHECK(BlobRefFrom(testing::Packed(Value::List{std::string(64, 'A'), 3})).ok() == false);
  CHECK(BlobRefFrom(testing::Packed(Value::List{"../../" + std::string(58, 'a'), 3})).ok() ==
        false);
  CHECK(BlobRefFrom(testing::Packed(Value(sha))).ok() == false);
}

}  // namespace
}  // namespace kev
