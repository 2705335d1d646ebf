// What a worker is told of a job: the bytes of Job (job.h), derived from the state at the moment of
// the start.
//
// Most of a payload is the same for every job of a step, so it is packed once and copied; a test
// holds the result equal to Encode(Job).
#include <algorithm>

#include "engine/core/run_core.h"

namespace kev {

struct RunCore::Fragments {
  std::string context;                // packed, empty when there is none
  std::vector<std::string> settings;  // by step, packed
  std::string baselines, references;  // packed artefacts, one after the other
  size_t baseline_count = 0, reference_count = 0;
  std::string measured;         // of which strongest baseline `settings` knows
  std::optional<Subject> best;  // and of which incumbent
  bool prepared = false;
};

namespace {

void AppendArtefact(const Artefact& a, std::string_view role, std::string* out) {
  PackedMap map(out);
  Encode(a.blob, map.Key("blob").out());
  map.Text("kind", a.kind);
  map.Some("launch", a.launch);
  map.Text("name", a.name);
  map.Text("role", role);
}

void AppendName(Subject subject, PackedWriter out) { out.Text(Name(subject)); }

// What a measurement beside the incumbent needs to know of it.
Value SpeedupsOf(const Best& best) {
  Value told;
  for (const char* name : {"speedup", "speedup_low", "speedup_high"})
    told.Set(name, best.facts[name]);
  if (!best.facts["workloads"].IsMap()) return told;
  Value& workloads = told.Set("workloads");
  for (const auto& [name, facts] : best.facts["workloads"].AsMap()) {
    if (facts["held_out"].AsBool()) continue;
    Value& one = workloads.Set(name);
    for (const char* figure : {"latency_ns", "speedup"}) one.Set(figure, facts[figure]);
  }
  return told;
}

}  // namespace

// What is known of a candidate, by step. A job in a branch sees what its own branch found; one
// outside of it sees the whole list, by branch.
void RunCore::WriteFacts(const Candidate& c, uint16_t step, uint16_t branch, PackedMap* out) const {
  const auto known = [](const StepOutcome* o) {
    return o != nullptr && o->state == StepOutcome::State::kPassed && !o->facts.IsNull();
  };
  // Of a step that runs in other branches; width 0: there is but one outcome to see.
  const auto width_of = [&](uint16_t s) {
    const uint16_t region = RegionOf(c, s);
    return region == kNone || region == RegionOf(c, step) ? uint16_t{0} : WidthOf(c, s);
  };
  const auto seen = [&](uint16_t s) {
    return Find(c, s, RegionOf(c, s) == kNone ? uint16_t{0} : branch);
  };
  std::map<std::string_view, uint16_t> steps;  // sorted by id, as a map is
  for (uint16_t s = 0; s < c.steps.size(); ++s) {
    const uint16_t width = width_of(s);
    bool any = width == 0 && known(seen(s));
    for (uint16_t i = 0; i < width && !any; ++i) any = known(Find(c, s, i));
    if (any) steps[plan_.steps[s].id] = s;
  }
  if (steps.empty()) return;
  PackedWriter writer = out->Key("facts");
  writer.Map(steps.size());
  for (const auto& [id, s] : steps) {
    writer.Text(id);
    const uint16_t width = width_of(s);
    if (width == 0) {
      writer.Write(seen(s)->facts);
      continue;
    }
    writer.List(width);
    for (uint16_t i = 0; i < width; ++i) {
      const StepOutcome* o = Find(c, s, i);
      if (known(o))
        writer.Write(o->facts);
      else
        writer.Null();
    }
  }
}

std::string RunCore::PayloadOf(const JobKey& key, const StepOutcome& outcome) const {
  const Step& step = plan_.steps[key.step];
  if (!fragments_) fragments_ = std::make_shared<Fragments>();
  Fragments& f = *fragments_;
  const bool searching = phase_ != Phase::kPreparing && phase_ != Phase::kNew;
  const std::optional<Subject> best =
      best_ ? std::optional<Subject>(best_->candidate) : std::nullopt;
  if (f.settings.empty() || f.measured != strongest_ || f.best != best) {
    f.context.clear();
    if (!plan_.context.empty()) Encode(plan_.context, &f.context);
    f.settings.clear();
    f.measured = strongest_;
    f.best = best;
    for (const Step& s : plan_.steps) {
      Value settings = s.settings;
      if (s.kind == StageKind::kProfile && !strongest_.empty()) {
        settings.Set("baseline", strongest_);
        settings.Set("ranking", ranking_);
        if (best_) settings.Set("incumbent", SpeedupsOf(*best_));
      }
      f.settings.push_back(settings.IsNull() ? std::string() : EncodeCanonical(settings));
    }
  }
  // Once the search has begun, reference and baselines do not change any more.
  if (!f.prepared) {
    f.baselines.clear();
    f.references.clear();
    f.baseline_count = f.reference_count = 0;
    for (size_t i = 0; i < prepared_.size() && !prepared_[i].calibration; ++i) {
      for (const Artefact& a : prepared_[i].artefacts) {
        if (plan_.prepared[i].reference) {
          AppendArtefact(a, "reference", &f.references);
          ++f.reference_count;
        } else {
          AppendArtefact(a, "baseline", &f.baselines);
          ++f.baseline_count;
        }
      }
    }
    f.prepared = searching;
  }

  const bool request = key.subject.kind == SubjectKind::kRequest;
  const bool prepared = key.subject.kind == SubjectKind::kPrepared;
  const Candidate* c = request    ? nullptr
                       : prepared ? &prepared_[key.subject.number - 1].record
                                  : &candidates_[key.subject.number - 1];
  const bool calibration = prepared && prepared_[key.subject.number - 1].calibration;

  std::string out;
  out.reserve(512);
  PackedMap map(&out);
  const bool verify = step.kind == StageKind::kVerify;
  const bool profile = step.kind == StageKind::kProfile;
  if (c != nullptr) {
    const uint16_t branch = key.claim() ? 0 : key.index;
    const bool takes = verify || profile || step.kind == StageKind::kExec;
    const std::vector<Artefact>* own = !takes || calibration ? nullptr
                                       : prepared ? &prepared_[key.subject.number - 1].artefacts
                                                  : &ArtefactsOf(*c, key.step, branch);
    const Candidate* incumbent = profile && best_ && best_->candidate != key.subject
                                     ? candidates_.Find(best_->candidate.number)
                                     : nullptr;
    const std::vector<const Candidate*> rivals =
        key.claim() ? Rivals(key.subject) : std::vector<const Candidate*>();
    const size_t count = (own == nullptr ? 0 : own->size()) +
                         (incumbent != nullptr ? incumbent->artefacts.size() : 0) + rivals.size() +
                         (verify || profile ? f.baseline_count + f.reference_count : 0);
    if (count > 0) {
      map.Key("artefacts").List(count);
      if (own != nullptr) {
        for (const Artefact& a : *own) AppendArtefact(a, "candidate", &out);
      }
      if (incumbent != nullptr) {
        for (const Artefact& a : incumbent->artefacts) AppendArtefact(a, "incumbent", &out);
      }
      for (const Candidate* rival : rivals) AppendArtefact(rival->artefacts.front(), "rival", &out);
      if (verify || profile) {
        out += f.baselines;
        out += f.references;
      }
    }
    map.Int("attempt", outcome.attempt);
    if (!calibration) {
      PackedMap view(map.Key("candidate").out());
      if (!prepared && (profile || step.kind == StageKind::kExec)) {
        WriteFacts(*c, key.step, branch, &view);
      }
      AppendName(c->view.id, view.Key("id"));
      view.Text("name", c->view.name);
      view.Text("origin", c->view.origin);
      view.Some("parameters", c->view.parameters);
      if (!c->view.parents.empty()) {
        PackedWriter writer = view.Key("parents");
        writer.List(c->view.parents.size());
        for (const Subject s : c->view.parents) AppendName(s, writer);
      }
      if (!c->view.source.empty()) Encode(c->view.source, view.Key("source").out());
      view.SomeText("source_name", c->view.source_name);
      view.SomeText("variant", c->view.variant);
    }
    if (!f.context.empty()) map.Key("context").Raw(f.context);
    if (step.stateful) map.Int("history_seq", static_cast<int64_t>(group_last_seq_));
    map.Int("index", key.index);
    if (!prepared) map.Some("item", ItemOf(*c, key.step, branch));
  } else {
    map.Int("attempt", outcome.attempt);
    if (!f.context.empty()) map.Key("context").Raw(f.context);
    if (step.stateful) map.Int("history_seq", static_cast<int64_t>(group_last_seq_));
    map.Int("index", key.index);
  }
  map.Text("label", Label(key, outcome.attempt));
  if (request) {
    const ProposeRequest& r = requests_[key.subject.number - 1];
    if (r.select)
      map.Some("places", r.request.hints);
    else
      Encode(r.request, map.Key("request").out());
  }
  map.Text("run", run_);
  map.SomeInt("running_limit_ms", step.timeout_running_ms);
  map.Int("seed", static_cast<int64_t>(plan_.seed));
  if (key.claim() || (prepared && (step.kind == StageKind::kCompile || verify))) {
    Value settings =
        f.settings[key.step].empty() ? Value() : PackedView(f.settings[key.step]).ToValue();
    if (prepared && step.kind == StageKind::kCompile)
      settings.Set("build", plan_.prepared[key.subject.number - 1].build);
    if (prepared && verify) settings.Set("rigor", "full");
    if (key.claim()) settings.Set("claim", true);
    map.Some("settings", settings);
  } else if (!f.settings[key.step].empty()) {
    map.Key("settings").Raw(f.settings[key.step]);
  }
  map.Text("stage", step.stage);
  map.Text("step", step.id);
  map.Int("step_index", key.step);
  AppendName(key.subject, map.Key("subject"));
  map.SomeText("target", plan_.target);
  map.Close();
  return out;
}

}  // namespace kev
