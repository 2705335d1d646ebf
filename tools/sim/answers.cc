#include "tools/sim/answers.h"

#include <algorithm>

#include "engine/core/digest.h"
#include "queue/blob_id.h"

namespace kev::sim {
namespace {

constexpr Verdict kBadVerdicts[] = {Verdict::kNoCompile, Verdict::kWrong,    Verdict::kCrashed,
                                    Verdict::kTimeout,   Verdict::kUnusable, Verdict::kResources};

BlobRef Attach(std::string text, Answer* answer) {
  const BlobRef ref = RefOf(text);
  const bool known = std::any_of(answer->blobs.begin(), answer->blobs.end(),
                                 [&](const auto& blob) { return blob.first == ref; });
  if (!known) answer->blobs.emplace_back(ref, std::move(text));
  return ref;
}

void Propose(const Job& job, CounterRandom& random, Answer* answer) {
  JobResult* r = &answer->result;
  const uint32_t wanted = job.request ? job.request->count : 0;
  // Now and then less or more than was asked for, something known, or the end of the space.
  uint32_t count = wanted;
  if (random.Below(12) == 0) count = static_cast<uint32_t>(random.Below(wanted + 2));
  for (uint32_t i = 0; i < count; ++i) {
    Proposal p;
    const bool twin = random.Below(10) == 0;
    p.source = Attach(twin ? job.run + " twin " + std::to_string(random.Below(4))
                           : job.run + job.label + std::to_string(i),
                      answer);
    p.source_name = "kernel.c";
    p.parameters.Set("tile", static_cast<int64_t>(random.Below(8)));
    if (job.request) p.parents = job.request->parents;
    r->proposals.push_back(std::move(p));
  }
  if (random.Below(60) == 0) r->exhausted = true;
}

void Select(const Job& job, CounterRandom& random, JobResult* r) {
  for (const auto& [step, places] : job.places.AsMap()) {
    const auto most = static_cast<uint64_t>(places.AsInt());
    const uint64_t count = random.Below(8) == 0 ? random.Below(most + 3) : most;
    if (count > 0) r->requests.push_back({step, static_cast<uint32_t>(count), {}, Value()});
  }
}

void Measure(const Job& job, CounterRandom& random, JobResult* r) {
  const double speedup = 0.5 + random.Unit();
  r->facts.Set("speedup", speedup);
  r->facts.Set("speedup_low", speedup * 0.99);
  r->facts.Set("speedup_high", speedup * 1.01);
  if (!job.candidate && !job.artefacts.empty()) r->facts.Set("baseline", job.artefacts[0].name);
  if (job.settings["claim"].AsBool() && random.Below(3) == 0) {
    std::vector<std::string> names = {"nobody"};
    for (const Artefact& artefact : job.artefacts) {
      if (artefact.role == "rival") names.push_back(artefact.name);
    }
    r->facts.Set("overtaken_by", names[random.Below(names.size())]);
  }
}

}  // namespace

Fate FateOf(const Job& job, const Fates& fates, CounterRandom& random) {
  const bool prepared = job.key.subject.kind == SubjectKind::kPrepared;
  if (job.candidate && !prepared && !job.candidate->source.empty()) {
    // Drawn by the source: it is the same on every worker.
    const uint64_t drawn = DigestOf(job.candidate->source.sha256 + job.step, 5).lo;
    if (drawn % 1000 < fates.poison * 10) return Fate::kCrashes;
  }
  uint32_t drawn = static_cast<uint32_t>(random.Below(100));
  const auto within = [&](uint32_t percent) {
    if (drawn < percent) return true;
    drawn -= percent;
    return false;
  };
  if (within(fates.fails)) return Fate::kFails;
  if (within(fates.hangs)) return Fate::kHangs;
  if (within(fates.crashes)) return Fate::kCrashes;
  // What goes before the search must be good, or there is none; so must what directs it.
  const bool directs = job.stage.starts_with("select") || job.stage.starts_with("propose");
  if (within(fates.bad) && !prepared && !directs) return Fate::kBad;
  return Fate::kGood;
}

Answer AnswerTo(const Job& job, Fate fate, CounterRandom& random) {
  Answer answer;
  JobResult& r = answer.result;
  r.usage.tokens_in = static_cast<int64_t>(1 + random.Below(9));
  r.usage.wall_ms = static_cast<double>(random.Below(50));
  r.usage.usd = static_cast<double>(random.Below(16)) / 16;
  r.usage.device_ms = static_cast<double>(random.Below(64)) / 8;
  if (random.Below(6) == 0) {
    std::string text = "output of " + job.run + " " + job.label;
    r.blobs["stdout"] = Attach(std::move(text), &answer);
  }
  if (fate == Fate::kFails) {
    static constexpr FailureClass kUsual[] = {FailureClass::kInfrastructure,
                                              FailureClass::kRateLimited, FailureClass::kDiskFull};
    r.failure = Failure{kUsual[random.Below(3)], "simulated trouble"};
    if (job.stage == "propose/llm" && random.Below(12) == 0)
      r.failure->failure = FailureClass::kProviderMissing;
    if (random.Below(400) == 0) r.failure->failure = FailureClass::kTaskBroken;
    return answer;
  }
  if (fate == Fate::kBad) {
    r.verdict = kBadVerdicts[random.Below(std::size(kBadVerdicts))];
    r.message = "simulated verdict";
    return answer;
  }
  if (job.stage.starts_with("select")) {
    Select(job, random, &r);
  } else if (job.stage.starts_with("propose")) {
    Propose(job, random, &answer);
  } else if (job.stage.starts_with("compile")) {
    const uint64_t count = 1 + random.Below(3);
    for (uint64_t i = 0; i < count && job.candidate; ++i) {
      const std::string code = random.Below(20) == 0
                                   ? std::string("the same code")
                                   : "code " + job.candidate->source.sha256 + std::to_string(i);
      r.artefacts.push_back(
          {"candidate", job.candidate->name, "shared_library", Attach(code, &answer), Value()});
    }
    r.facts.Set("size", static_cast<int64_t>(random.Below(100)));
  } else if (job.stage.starts_with("profile")) {
    Measure(job, random, &r);
  } else {
    r.facts.Set("score", random.Unit());
    r.facts.Set("size", static_cast<int64_t>(random.Below(100)));
    Value::List items;
    for (uint64_t i = random.Below(4); i > 0; --i) items.emplace_back(static_cast<int64_t>(i));
    r.facts.Set("items", std::move(items));
  }
  return answer;
}

}  // namespace kev::sim
