// The state of a run core as bytes, and back.
//
// Form: a msgpack list of form number, decision version, digest of the body, body. The body is
// values one after the other, in the order in which SnapshotForm names them: one definition for
// both directions, so that writer and reader cannot drift apart. What follows from the rest (the
// layout of the graph, which candidates are active, deadlines, open attempts) is not in it but made
// again.
#include <algorithm>

#include "engine/core/archive.h"
#include "engine/core/run_core.h"

namespace kev {
namespace {

constexpr int64_t kForm = 7;  // raise when the form changes and kDecisionVersion does not

Error Damaged(const std::string& what) {
  return Error{Code::kCorrupt,
               "the snapshot is damaged (" + what + "): fold the log from its beginning"};
}

}  // namespace

// The words of job.h and run_core.h.
template <class A>
void Transfer(A& a, SubjectKind& k) {
  TransferEnum(a, k, SubjectKind::kPrepared);
}
template <class A>
void Transfer(A& a, Verdict& v) {
  TransferEnum(a, v, Verdict::kCancelled);
}
template <class A>
void Transfer(A& a, StepOutcome::State& s) {
  TransferEnum(a, s, StepOutcome::State::kEnded);
}
template <class A>
void Transfer(A& a, Phase& p) {
  TransferEnum(a, p, Phase::kEnded);
}
template <class A>
void Transfer(A& a, Subject& s) {
  TransferAll(a, s.kind, s.number);
}
template <class A>
void Transfer(A& a, JobKey& k) {
  TransferAll(a, k.subject, k.step, k.index);
}
template <class A>
void Transfer(A& a, RecordPart& p) {
  Transfer(a, p.subject);
  TransferEnum(a, p.part, RecordPart::Part::kStep);
  TransferAll(a, p.step, p.index);
}
template <class A>
void Transfer(A& a, BlobRef& b) {
  TransferAll(a, b.sha256, b.size);
}
template <class A>
void Transfer(A& a, Artefact& x) {
  TransferAll(a, x.role, x.name, x.kind, x.blob, x.launch);
}
template <class A>
void Transfer(A& a, Usage& u) {
  TransferAll(a, u.tokens_in, u.tokens_out, u.usd, u.device_ms, u.wall_ms);
}
template <class A>
void Transfer(A& a, CandidateView& v) {
  TransferAll(a, v.id, v.name, v.origin, v.parents, v.variant, v.parameters, v.source,
              v.source_name, v.facts);
}
template <class A>
void Transfer(A& a, Request& r) {
  TransferAll(a, r.step, r.count, r.parents, r.hints);
}
template <class A>
void Transfer(A& a, StepOutcome& o) {
  TransferAll(a, o.state);
  // Most steps of most candidates have not begun.
  bool begun = o.state != StepOutcome::State::kWaiting || o.attempt != 0;
  Transfer(a, begun);
  if (!begun) return;
  TransferAll(a, o.solitary, o.cached, o.verdict, o.attempt, o.failures, o.deaths, o.reported,
              o.job_digest, o.seq, o.message, o.facts, o.usage, o.blobs, o.worker, o.evidence);
}
template <class A>
void Transfer(A& a, Candidate& c) {
  TransferAll(a, c.view, c.origin, c.search, c.artefacts, c.branch_artefacts, c.steps, c.branches,
              c.widths, c.broken, c.ended, c.evaluated, c.verdict, c.message, c.ended_by, c.note,
              c.born_seq, c.ended_seq, c.born_ms, c.due_ms, c.twin);
}
template <class A>
void Transfer(A& a, PreparedState& p) {
  TransferAll(a, p.artefacts, p.ready, p.calibration, p.record);
}
template <class A>
void Transfer(A& a, ProposeRequest& r) {
  TransferAll(a, r.request, r.step, r.search, r.select, r.reserved, r.outcome, r.born);
}
template <class A>
void Transfer(A& a, Best& b) {
  TransferAll(a, b.candidate, b.step, b.facts, b.seq);
}
template <class A>
void Transfer(A& a, SampledCode& s) {
  TransferAll(a, s.step, s.launches);
}
template <class A>
void Transfer(A& a, DeadLetter& d) {
  TransferAll(a, d.key, d.attempt, d.why, d.evidence, d.seq);
}
template <class A>
void Transfer(A& a, RunEnded& e) {
  TransferAll(a, e.status, e.stopped_by, e.message, e.claim);
}
template <class A>
void Transfer(A& a, SearchState& s) {
  TransferAll(a, s.spec, s.parent, s.exhausted, s.outstanding, s.proposed, s.alive, s.given_up,
              s.select_open, s.select_idle, s.wished, s.born, s.evaluated, s.active, s.since_best,
              s.best);
}
struct SnapshotForm {
  static constexpr const char* kSources = "sources";
  static constexpr const char* kBinaries = "binaries";
  static constexpr const char* kState = "state";

  // Large tables.
  static void Put(uint32_t number, char*& p) { PutFixed(number, p); }
  static void Take(const char*& p, uint32_t* number) { *number = TakeFixed<uint32_t>(p); }
  static void Put(const Twins::Entry& e, char*& p) {
    for (const uint32_t word : e.words) PutFixed(word, p);
    PutFixed(e.number, p);
  }
  template <class Rows>
  static void PutTable(ArchiveWriter& a, const Rows& rows, size_t row_bytes) {
    char* p = a.Room(rows.size() * row_bytes);
    for (const auto& row : rows) Put(row, p);
  }
  // Rows of a twins' table that are kept apart: digest of the rest, rows.
  static constexpr size_t kTwin = 20;
  static constexpr size_t kSum = sizeof(Digest128);
  static std::string RowsFrom(const Twins& twins, size_t first) {
    std::string bytes(kSum + (twins.entries().size() - first) * kTwin, '\0');
    char* p = bytes.data() + kSum;
    for (size_t i = first; i < twins.entries().size(); ++i) Put(twins.entries()[i], p);
    p = bytes.data();
    const Digest128 digest = DigestOf(std::string_view(bytes).substr(kSum));
    PutFixed(digest.lo, p);
    PutFixed(digest.hi, p);
    return bytes;
  }
  // False: they are none.
  static bool TakeRows(std::string_view bytes, Twins* twins) {
    if (bytes.size() % kTwin != 0) return false;
    const char* p = bytes.data();
    for (size_t i = 0; i < bytes.size() / kTwin; ++i) {
      Twins::Entry e;
      for (uint32_t& word : e.words) word = TakeFixed<uint32_t>(p);
      e.number = TakeFixed<uint32_t>(p);
      twins->First(e.digest(), e.number);
    }
    return true;
  }
  static bool TakeApart(const RunCore::SnapshotFields& fields, const std::string& name,
                        uint64_t rows, Twins* twins) {
    for (uint64_t at = 0; at < rows; at = twins->entries().size()) {
      const auto field = fields.find(RowsName(name, at));
      if (field == fields.end() || field->second.size() <= kSum) return false;
      const std::string_view bytes = std::string_view(field->second).substr(kSum);
      const char* p = field->second.data();
      const auto lo = TakeFixed<uint64_t>(p);
      const auto hi = TakeFixed<uint64_t>(p);
      if (DigestOf(bytes) != Digest128{lo, hi} || !TakeRows(bytes, twins) ||
          twins->entries().size() != at + bytes.size() / kTwin)
        return false;
    }
    return twins->entries().size() == rows;
  }
  static std::string RowsName(const std::string& name, uint64_t first) {
    return name + ":" + std::to_string(first);
  }
  template <class A, class T>
  static void Table(A& a, std::deque<T>& rows, size_t row_bytes) {
    if constexpr (A::kReads) {
      std::string_view bytes;
      a.Bytes(bytes);
      if (bytes.size() % row_bytes != 0) a.Fail();
      rows.resize(bytes.size() / row_bytes);
      const char* p = bytes.data();
      for (size_t i = 0; i < rows.size(); ++i) Take(p, &rows[i]);
    } else {
      PutTable(a, rows, row_bytes);
    }
  }
  // How many rows are apart, then the rows that are not. Apart: when writing, all of them; when
  // reading, where they are.
  static void Twin(ArchiveWriter& a, Twins& twins, const std::string&, bool apart) {
    uint64_t rows = apart ? twins.entries().size() : 0;
    Transfer(a, rows);
    static const std::deque<Twins::Entry> kNone;
    PutTable(a, apart ? kNone : twins.entries(), kTwin);
  }
  static void Twin(ArchiveReader& a, Twins& twins, const std::string& name,
                   const RunCore::SnapshotFields& apart) {
    uint64_t rows = 0;
    Transfer(a, rows);
    std::string_view bytes;
    a.Bytes(bytes);
    if (!a.ok()) return;
    if (!TakeApart(apart, name, rows, &twins) || !TakeRows(bytes, &twins)) a.Fail();
  }
  // How many were numbered, and those that are there with their numbers. `gone` says how many may
  // be missing, so that a damaged number asks for no memory.
  template <class A, class T>
  static void Numbered(A& a, Kept<T>& things, size_t gone) {
    uint64_t size = things.size();
    uint64_t there = 0;
    if constexpr (A::kReads) {
      TransferAll(a, size, there);
      if (there > size || size - there > gone || size > UINT32_MAX) a.Fail();
      for (uint64_t i = 0; i < there && a.ok(); ++i) {
        uint64_t number = 0;
        Transfer(a, number);
        if (number <= things.size() || number > size) return a.Fail();
        while (things.size() + 1 < number) things.AppendGone();
        Transfer(a, things.emplace_back());
      }
      while (a.ok() && things.size() < size) things.AppendGone();
    } else {
      for (uint64_t number = 1; number <= size; ++number)
        there += things.Find(number) != nullptr ? 1 : 0;
      TransferAll(a, size, there);
      for (uint64_t number = 1; number <= size; ++number) {
        if (T* thing = things.Find(number)) TransferAll(a, number, *thing);
      }
    }
  }
  // In the order of their numbers, so that equal states have equal bytes.
  template <class A>
  static void Pasts(A& a, RunCore& r) {
    const size_t n = a.Size(r.pasts_.size());
    if constexpr (A::kReads) r.pasts_.resize(n);
    for (RunCore::Past& past : r.pasts_) {
      Transfer(a, past.origin);
      const size_t jobs = a.Size(past.attempts.size());
      if constexpr (A::kReads) past.attempts.resize(jobs);
      for (RunCore::PastAttempts& job : past.attempts)
        TransferAll(a, job.step, job.index, job.attempt, job.reported);
      if constexpr (A::kReads)
        r.past_numbers_.emplace(past, static_cast<uint32_t>(r.past_numbers_.size() + 1));
    }
    if constexpr (A::kReads) {
      if (r.past_numbers_.size() != r.pasts_.size()) a.Fail();
    }
  }

  // The plan as it is now: budgets may have changed.
  template <class A>
  static void PlanNow(A& a, Plan& plan) {
    bool there = !plan.steps.empty();
    Transfer(a, there);
    if (!there) return;
    Value value;
    if constexpr (!A::kReads) value = ToValue(plan);
    Transfer(a, value);
    if constexpr (A::kReads) {
      auto read = a.ok() ? PlanFrom(value) : Result<Plan>(Damaged("plan"));
      if (read)
        plan = std::move(*read);
      else
        a.Fail();
    }
  }

  template <class A, class Apart>
  static void State(A& a, RunCore& r, const Apart& apart) {
    Transfer(a, r.run_);
    PlanNow(a, r.plan_);
    TransferAll(a, r.about_, r.phase_, r.last_seq_, r.now_ms_, r.paused_, r.still_since_ms_,
                r.still_ms_, r.in_flight_, r.all_given_);
    Table(a, r.gone_candidates_, 4);
    Table(a, r.gone_requests_, 4);
    Pasts(a, r);
    Numbered(a, r.candidates_, r.gone_candidates_.size());
    Numbered(a, r.requests_, r.gone_requests_.size());
    Twin(a, r.by_source_, kSources, apart);
    Twin(a, r.by_binary_, kBinaries, apart);
    TransferAll(a, r.prepared_, r.to_let_go_, r.requests_to_let_go_, r.spent_, r.claims_,
                r.confirmed_, r.best_, r.screened_, r.dead_, r.claim_, r.ended_, r.stopped_by_,
                r.disabled_, r.searches_, r.last_search_, r.changed_, r.strongest_, r.ranking_,
                r.evaluated_, r.held_out_looks_, r.ended_count_, r.verdicts_, r.stale_, r.epoch_,
                r.usage_, r.reservations_, r.reserved_tokens_, r.reserved_usd_, r.forfeited_tokens_,
                r.forfeited_usd_);
  }

  // What is wrong with the parts of a state that was read, or "". Nothing here can come from
  // Snapshot, but a snapshot that asks for what it does not have must not bring the engine down.
  static std::string Misfit(const RunCore& r) {
    const size_t n = r.plan_.steps.size();
    const auto sizes_fit = [&](const Candidate& c) {
      const auto step_fits = [&](const auto& entry) { return entry.first.first < n; };
      return c.steps.size() == n && std::all_of(c.branches.begin(), c.branches.end(), step_fits) &&
             std::all_of(c.broken.begin(), c.broken.end(), step_fits) &&
             std::all_of(c.branch_artefacts.begin(), c.branch_artefacts.end(), step_fits) &&
             std::all_of(c.widths.begin(), c.widths.end(), [&](const auto& entry) {
               return entry.first < n && entry.second < kFirstClaim;
             });
    };
    const auto is_kept = [&](Subject s) {
      return s.kind == SubjectKind::kCandidate && r.candidates_.Find(s.number) != nullptr;
    };
    const auto is_past = [&](uint32_t number) { return number <= r.pasts_.size(); };
    if (!std::all_of(r.gone_candidates_.begin(), r.gone_candidates_.end(), is_past) ||
        !std::all_of(r.gone_requests_.begin(), r.gone_requests_.end(), is_past))
      return "past of what is gone";
    if ((r.phase_ == Phase::kEnded) != r.ended_.has_value()) return "end of the run";
    for (size_t i = 1; i <= r.candidates_.size(); ++i) {
      const Candidate* c = r.candidates_.Find(i);
      if (c == nullptr) {
        if (i > r.gone_candidates_.size() || r.gone_candidates_[i - 1] == 0) return "candidates";
        continue;
      }
      if (c->view.id != Subject{SubjectKind::kCandidate, static_cast<uint32_t>(i)} ||
          !sizes_fit(*c) || c->origin > n || (!c->ended && !r.searches_.contains(c->search)) ||
          (i <= r.gone_candidates_.size() && r.gone_candidates_[i - 1] != 0))
        return "candidate " + std::to_string(i);
    }
    for (size_t i = 1; i <= r.requests_.size(); ++i) {
      const ProposeRequest* q = r.requests_.Find(i);
      if (q == nullptr ? i > r.gone_requests_.size() || r.gone_requests_[i - 1] == 0
                       : q->step >= n || (q->outcome.state == StepOutcome::State::kOpen &&
                                          !r.searches_.contains(q->search)))
        return "request " + std::to_string(i);
    }
    size_t things = 0;
    for (const PreparedState& p : r.prepared_) {
      things += p.calibration ? 0 : 1;
      if (!sizes_fit(p.record) || p.record.origin > n ||
          (p.calibration && &p != &r.prepared_.back()))
        return "prepared things";
    }
    if (things != 0 && things != r.plan_.prepared.size()) return "prepared things";
    if (things == 0 && !r.prepared_.empty()) return "prepared things";
    if (n > 0 && !r.searches_.contains(0)) return "searches";
    for (const auto& [id, s] : r.searches_) {
      const Candidate* parent = r.candidates_.Find(s.parent.subject.number);
      if (s.exhausted.size() != n || s.outstanding.size() != n || s.proposed.size() != n ||
          s.alive.size() != n || s.given_up.size() != n || s.spec > r.plan_.nested.size() ||
          (id == 0) != (s.spec == 0) || id > r.last_search_)
        return "search " + std::to_string(id);
      // The search around a nested one is older: going outwards comes to an end.
      if (id != 0 &&
          (!is_kept(s.parent.subject) || parent->ended || s.parent.step >= n ||
           parent->search >= id ||
           (s.parent.index != 0 && !parent->branches.contains({s.parent.step, s.parent.index}))))
        return "search " + std::to_string(id);
    }
    for (const auto& [key, outcome] : r.claims_) {
      if (key.step >= n || !key.claim() ||
          (outcome.state == StepOutcome::State::kOpen && !is_kept(key.subject)))
        return "claims";
    }
    for (const Best& b : r.confirmed_) {
      if (b.step >= n || !is_kept(b.candidate)) return "confirmed candidates";
    }
    if (r.best_ && (r.best_->step >= n || !is_kept(r.best_->candidate))) return "best";
    for (const auto& [number, screened] : r.screened_) {
      if (number == 0 || number > r.candidates_.size() || screened.step >= n)
        return "measured candidates";
    }
    for (const DeadLetter& d : r.dead_) {
      if (d.key.step >= n) return "dead letters";
    }
    return "";
  }

  // What follows from the rest.
  static void Derive(RunCore& r) {
    r.current_seq_ = r.group_last_seq_ = r.last_seq_;
    r.LayOutGraph();
    const auto count = [&](const StepOutcome& o) {
      r.open_count_ += o.state == StepOutcome::State::kOpen ? 1 : 0;
    };
    const auto count_all = [&](const Candidate& c) {
      for (const StepOutcome& o : c.steps) count(o);
      for (const auto& [where, o] : c.branches) count(o);
    };
    for (const Candidate& c : r.candidates_) {
      if (c.ended) continue;
      count_all(c);
      r.active_numbers_.insert(r.active_numbers_.end(), c.view.id.number);
      if (r.plan_.candidate_timeout_ms != 0) r.deadlines_.emplace(c.due_ms, c.view.id.number);
    }
    for (uint32_t i = 1; i <= r.requests_.size(); ++i) {
      const ProposeRequest* q = r.requests_.Find(i);
      if (q == nullptr || q->outcome.state != StepOutcome::State::kOpen) continue;
      r.open_requests_.insert(r.open_requests_.end(), i);
      ++r.open_count_;
    }
    for (const PreparedState& p : r.prepared_) count_all(p.record);
    for (const auto& [key, o] : r.claims_) count(o);
  }

  // A state that was made with all ended candidates is asked to let them go from now on.
  static void LetGoOfAll(RunCore& r) {
    r.to_let_go_.clear();
    for (const Candidate& c : r.candidates_) {
      if (c.ended) r.to_let_go_.push_back(c.view.id.number);
    }
    r.requests_to_let_go_.clear();
    for (uint32_t i = 1; i <= r.requests_.size(); ++i) {
      const ProposeRequest* q = r.requests_.Find(i);
      if (q != nullptr && q->outcome.state != StepOutcome::State::kOpen)
        r.requests_to_let_go_.push_back(i);
    }
  }
};

std::string RunCore::Snapshot() const { return State(false); }

RunCore::SnapshotFields RunCore::SnapshotSince(TableRows* kept) const {
  SnapshotFields fields;
  fields[SnapshotForm::kState] = State(true);
  const auto add = [&](const Twins& twins, const char* name, uint64_t* rows) {
    if (const size_t all = twins.entries().size(); all > *rows) {
      fields[SnapshotForm::RowsName(name, *rows)] = SnapshotForm::RowsFrom(twins, *rows);
      *rows = all;
    }
  };
  add(by_source_, SnapshotForm::kSources, &kept->sources);
  add(by_binary_, SnapshotForm::kBinaries, &kept->binaries);
  return fields;
}

Result<std::unique_ptr<RunCore>> RunCore::FromSnapshot(const SnapshotFields& fields,
                                                       Options options) {
  const auto state = fields.find(SnapshotForm::kState);
  if (state == fields.end()) return Damaged("it has no state");
  return FromState(state->second, fields, options);
}

Result<std::unique_ptr<RunCore>> RunCore::FromSnapshot(std::string_view bytes, Options options) {
  return FromState(bytes, {}, options);
}

std::string RunCore::State(bool rows_apart) const {
  std::string body;
  ArchiveWriter writer(&body);
  bool keep_ended = options_.keep_ended;
  Transfer(writer, keep_ended);
  SnapshotForm::State(writer, const_cast<RunCore&>(*this), rows_apart);  // changes nothing
  const Digest128 digest = DigestOf(body);
  char sum[sizeof digest];
  char* p = sum;
  PutFixed(digest.lo, p);
  PutFixed(digest.hi, p);
  std::string bytes;
  bytes.reserve(body.size() + 64);
  PackedWriter out(&bytes);
  out.List(4);
  out.Int(kForm);
  out.Int(kDecisionVersion);
  out.Bytes({sum, sizeof sum});
  out.Bytes(body);
  return bytes;
}

Result<std::unique_ptr<RunCore>> RunCore::FromState(std::string_view bytes,
                                                    const SnapshotFields& rows, Options options) {
  const PackedView whole(bytes);
  PackedItems items(whole);
  if (!whole.IsList() || whole.size() < 2 || !items.Next() || !items.value().IsInt())
    return Damaged("it does not begin as one");
  const int64_t form = items.value().AsInt();
  if (!items.Next() || !items.value().IsInt()) return Damaged("it has no version");
  const int64_t version = items.value().AsInt();
  if (form != kForm || version != kDecisionVersion) {
    return Error{Code::kConflict, "the snapshot is of form " + std::to_string(form) +
                                      " and decision version " + std::to_string(version) +
                                      ", this program reads form " + std::to_string(kForm) +
                                      " and version " + std::to_string(kDecisionVersion) +
                                      ": fold the log from its beginning"};
  }
  if (whole.size() != 4 || whole.bytes().size() != bytes.size() || !items.Next())
    return Damaged("it is not whole");
  const std::string_view sum = items.value().AsBytes();
  if (!items.Next() || sum.size() != 16) return Damaged("it is not whole");
  const std::string_view body = items.value().AsBytes();
  const char* p = sum.data();
  const auto lo = TakeFixed<uint64_t>(p);
  const auto hi = TakeFixed<uint64_t>(p);
  if (DigestOf(body) != Digest128{lo, hi}) return Damaged("its digest is another");

  ArchiveReader reader(body);
  auto core = std::make_unique<RunCore>("", options);
  bool kept_ended = true;
  Transfer(reader, kept_ended);
  SnapshotForm::State(reader, *core, rows);
  if (!reader.ok() || !reader.AtEnd()) return Damaged("its parts cannot be read");
  const std::string misfit = SnapshotForm::Misfit(*core);
  if (!misfit.empty()) return Damaged("its " + misfit + " cannot be");
  SnapshotForm::Derive(*core);
  if (kept_ended && !options.keep_ended) SnapshotForm::LetGoOfAll(*core);
  if (!options.payloads) core->changed_.clear();
  return core;
}

}  // namespace kev
