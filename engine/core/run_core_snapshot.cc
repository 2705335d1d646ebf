// The state of a run core as bytes, and back.
//
// Form: a msgpack list of form number, decision version, digest of the body, body. The body is
// values one after the other, in the order in which SnapshotForm names them: one definition for
// both directions, so that writer and reader cannot drift apart. What follows from the rest (the
// layout of the graph, which candidates are active, deadlines, open attempts) is not in it but made
// again.
#include <algorithm>
#include <concepts>
#include <type_traits>

#include "engine/core/run_core.h"

namespace kev {
namespace {

constexpr int64_t kForm = 1;  // raise when the form changes and kDecisionVersion does not

class Writer {
 public:
  static constexpr bool kReads = false;
  explicit Writer(std::string* out) : out_(out) {}
  static bool ok() { return true; }
  template <std::integral T>
  void Int(T& i, int64_t = 0) {
    out_.Int(static_cast<int64_t>(i));
  }
  void Bool(bool b) { out_.Bool(b); }
  void Double(double d) { out_.Double(d); }
  void Text(const std::string& s) { out_.Text(s); }
  void Any(const Value& v) { out_.Write(v); }
  void Bytes(const std::string& s) { out_.Bytes(s); }
  size_t Size(size_t n) {
    out_.Int(static_cast<int64_t>(n));
    return n;
  }

 private:
  PackedWriter out_;
};

// Goes on giving zeros and empty things once something did not fit: ok() is asked at the end.
class Reader {
 public:
  static constexpr bool kReads = true;
  explicit Reader(std::string_view bytes) : left_(bytes) {}
  bool ok() const { return ok_; }
  void Fail() { ok_ = false; }
  bool AtEnd() const { return left_.empty(); }
  // At most `last`, when it is given.
  template <std::integral T>
  void Int(T& i, int64_t last = INT64_MAX) {
    const PackedView v = Next();
    const int64_t n = v.AsInt();
    const bool fits = v.IsInt() && n <= last && (sizeof(T) == sizeof n || (std::in_range<T>(n)));
    ok_ = ok_ && fits;
    i = ok_ ? static_cast<T>(n) : T{};
  }
  void Bool(bool& b) {
    const PackedView v = Next();
    ok_ = ok_ && v.IsBool();
    b = v.AsBool();
  }
  void Double(double& d) {
    const PackedView v = Next();
    ok_ = ok_ && v.IsDouble();
    d = v.AsDouble();
  }
  void Text(std::string& s) {
    const PackedView v = Next();
    ok_ = ok_ && v.IsString();
    s = v.AsString();
  }
  void Any(Value& v) { v = Next().ToValue(); }
  void Bytes(std::string_view& s) { s = Next().AsBytes(); }
  // Of a container: every item takes a byte at least, so that a damaged size asks for no memory.
  size_t Size(size_t) {
    uint64_t n = 0;
    Int(n);
    if (n > left_.size()) ok_ = false;
    return ok_ ? static_cast<size_t>(n) : 0;
  }

 private:
  PackedView Next() {
    const PackedView v(left_);
    const size_t size = ok_ && !left_.empty() ? v.bytes().size() : 0;
    if (size == 0) {
      ok_ = false;
      return {};
    }
    left_.remove_prefix(size);
    return v;
  }
  std::string_view left_;
  bool ok_ = true;
};

// The last value of each enumeration.
constexpr int64_t Last(StepOutcome::State) {
  return static_cast<int64_t>(StepOutcome::State::kEnded);
}
constexpr int64_t Last(Verdict) { return static_cast<int64_t>(Verdict::kCancelled); }
constexpr int64_t Last(Phase) { return static_cast<int64_t>(Phase::kEnded); }
constexpr int64_t Last(SubjectKind) { return static_cast<int64_t>(SubjectKind::kPrepared); }

// Tables of a million rows: fixed records, little endian.
template <std::unsigned_integral T>
void PutFixed(T n, std::string* out) {
  char bytes[sizeof n];
  for (size_t i = 0; i < sizeof n; ++i) bytes[i] = static_cast<char>(n >> (8 * i));
  out->append(bytes, sizeof n);
}
template <std::unsigned_integral T>
T TakeFixed(const char*& p) {
  T n = 0;
  for (size_t i = 0; i < sizeof n; ++i)
    n |= static_cast<T>(static_cast<T>(static_cast<uint8_t>(*p++)) << (8 * i));
  return n;
}

Error Damaged(const std::string& what) {
  return Error{Code::kCorrupt,
               "the snapshot is damaged (" + what + "): fold the log from its beginning"};
}

}  // namespace

struct SnapshotForm {
  template <class A, class... T>
  static void All(A& a, T&... things) {
    (Do(a, things), ...);
  }

  // Plain values.
  template <class A, class T>
    requires(std::integral<T> && !std::same_as<T, bool>)
  static void Do(A& a, T& i) {
    a.Int(i);
  }
  template <class A, class T>
    requires std::is_enum_v<T>
  static void Do(A& a, T& e) {
    auto i = static_cast<int>(e);
    a.Int(i, Last(e));
    if constexpr (A::kReads) {
      if (i < 0) a.Fail();
      e = static_cast<T>(std::max(0, i));
    }
  }
  template <class A>
  static void Do(A& a, bool& b) {
    a.Bool(b);
  }
  template <class A>
  static void Do(A& a, double& d) {
    a.Double(d);
  }
  template <class A>
  static void Do(A& a, std::string& s) {
    a.Text(s);
  }
  template <class A>
  static void Do(A& a, Value& v) {
    a.Any(v);
  }

  // Containers.
  template <class A, class T>
  static void Do(A& a, std::vector<T>& list) {
    const size_t n = a.Size(list.size());
    if constexpr (A::kReads) list.resize(n);
    for (size_t i = 0; i < n && a.ok(); ++i) Do(a, list[i]);
  }
  template <class A>
  static void Do(A& a, std::vector<bool>& list) {
    const size_t n = a.Size(list.size());
    if constexpr (A::kReads) list.resize(n);
    for (size_t i = 0; i < n && a.ok(); ++i) {
      bool b = list[i];
      Do(a, b);
      list[i] = b;
    }
  }
  template <class A, class T, size_t N>
  static void Do(A& a, std::array<T, N>& list) {
    for (T& thing : list) Do(a, thing);
  }
  template <class A, class T>
  static void Do(A& a, std::optional<T>& thing) {
    bool there = thing.has_value();
    Do(a, there);
    if constexpr (A::kReads) {
      if (there) thing.emplace();
    }
    if (there) Do(a, *thing);
  }
  template <class A, class T, class U>
  static void Do(A& a, std::pair<T, U>& both) {
    All(a, both.first, both.second);
  }
  template <class A, class T>
  static void Do(A& a, std::set<T>& things) {
    const size_t n = a.Size(things.size());
    if constexpr (A::kReads) {
      for (size_t i = 0; i < n && a.ok(); ++i) {
        T thing{};
        Do(a, thing);
        things.insert(things.end(), std::move(thing));
      }
    } else {
      for (T thing : things) Do(a, thing);
    }
  }
  template <class A, class K, class V>
  static void Do(A& a, std::map<K, V>& things) {
    const size_t n = a.Size(things.size());
    if constexpr (A::kReads) {
      for (size_t i = 0; i < n && a.ok(); ++i) {
        K key{};
        Do(a, key);
        Do(a, things.try_emplace(things.end(), std::move(key))->second);
      }
    } else {
      for (auto& [key, thing] : things) {
        K copy = key;
        All(a, copy, thing);
      }
    }
  }

  // The words of job.h and run_core.h.
  template <class A>
  static void Do(A& a, Subject& s) {
    All(a, s.kind, s.number);
  }
  template <class A>
  static void Do(A& a, JobKey& k) {
    All(a, k.subject, k.step, k.index);
  }
  template <class A>
  static void Do(A& a, BlobRef& b) {
    All(a, b.sha256, b.size);
  }
  template <class A>
  static void Do(A& a, Artefact& x) {
    All(a, x.role, x.name, x.kind, x.blob, x.launch);
  }
  template <class A>
  static void Do(A& a, Usage& u) {
    All(a, u.tokens_in, u.tokens_out, u.usd, u.device_ms, u.wall_ms);
  }
  template <class A>
  static void Do(A& a, CandidateView& v) {
    All(a, v.id, v.name, v.origin, v.parents, v.variant, v.parameters, v.source, v.source_name,
        v.facts);
  }
  template <class A>
  static void Do(A& a, Request& r) {
    All(a, r.step, r.count, r.parents, r.hints);
  }
  template <class A>
  static void Do(A& a, StepOutcome& o) {
    All(a, o.state);
    // Most steps of most candidates have not begun.
    bool begun = o.state != StepOutcome::State::kWaiting || o.attempt != 0;
    Do(a, begun);
    if (!begun) return;
    All(a, o.solitary, o.cached, o.verdict, o.attempt, o.failures, o.deaths, o.reported, o.seq,
        o.message, o.facts, o.usage, o.blobs, o.worker, o.evidence);
  }
  template <class A>
  static void Do(A& a, Candidate& c) {
    All(a, c.view, c.origin, c.search, c.artefacts, c.branch_artefacts, c.steps, c.branches,
        c.widths, c.broken, c.ended, c.evaluated, c.verdict, c.message, c.ended_by, c.note,
        c.born_seq, c.ended_seq, c.born_ms, c.due_ms);
  }
  template <class A>
  static void Do(A& a, PreparedState& p) {
    All(a, p.artefacts, p.ready, p.calibration, p.record);
  }
  template <class A>
  static void Do(A& a, ProposeRequest& r) {
    All(a, r.request, r.step, r.search, r.select, r.reserved, r.outcome, r.born);
  }
  template <class A>
  static void Do(A& a, Best& b) {
    All(a, b.candidate, b.step, b.facts, b.seq);
  }
  template <class A>
  static void Do(A& a, DeadLetter& d) {
    All(a, d.key, d.attempt, d.why, d.evidence, d.seq);
  }
  template <class A>
  static void Do(A& a, RunEnded& e) {
    All(a, e.status, e.stopped_by, e.message, e.claim);
  }
  template <class A>
  static void Do(A& a, SearchState& s) {
    All(a, s.spec, s.parent, s.exhausted, s.outstanding, s.proposed, s.alive, s.given_up,
        s.select_open, s.select_idle, s.wished, s.born, s.evaluated, s.active, s.since_best,
        s.best);
  }
  template <class A>
  static void Do(A& a, RunCore::GoneAttempt& g) {
    All(a, g.step, g.index, g.attempt, g.reported);
  }

  // Large tables.
  static void Put(const RunCore::GoneCandidate& g, std::string* out) {
    PutFixed<uint8_t>(g.verdict, out);
    PutFixed<uint8_t>(static_cast<uint8_t>((g.gone ? 1 : 0) | (g.usual ? 2 : 0)), out);
    PutFixed<uint16_t>(g.origin, out);
  }
  static void Take(const char*& p, RunCore::GoneCandidate* g) {
    g->verdict = TakeFixed<uint8_t>(p);
    const auto flags = TakeFixed<uint8_t>(p);
    g->gone = (flags & 1) != 0;
    g->usual = (flags & 2) != 0;
    g->origin = TakeFixed<uint16_t>(p);
  }
  static void Put(const RunCore::GoneRequest& g, std::string* out) {
    PutFixed<uint16_t>(g.step, out);
    PutFixed<uint8_t>(g.usual ? 1 : 0, out);
  }
  static void Take(const char*& p, RunCore::GoneRequest* g) {
    g->step = TakeFixed<uint16_t>(p);
    g->usual = TakeFixed<uint8_t>(p) != 0;
  }
  static void Put(const Twins::Entry& e, std::string* out) {
    for (const uint32_t word : e.words) PutFixed(word, out);
    PutFixed(e.number, out);
  }
  template <class Rows>
  static void PutTable(Writer& a, const Rows& rows, size_t row_bytes) {
    std::string bytes;
    bytes.reserve(rows.size() * row_bytes);
    for (const auto& row : rows) Put(row, &bytes);
    a.Bytes(bytes);
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
  template <class A>
  static void Do(A& a, Twins& twins) {
    constexpr size_t kRow = 20;
    if constexpr (A::kReads) {
      std::string_view bytes;
      a.Bytes(bytes);
      if (bytes.size() % kRow != 0) a.Fail();
      const char* p = bytes.data();
      twins.Expect(bytes.size() / kRow);
      for (size_t i = 0; i < bytes.size() / kRow; ++i) {
        Twins::Entry e;
        for (uint32_t& word : e.words) word = TakeFixed<uint32_t>(p);
        e.number = TakeFixed<uint32_t>(p);
        twins.First(e.digest(), e.number);
      }
    } else {
      PutTable(a, twins.entries(), kRow);
    }
  }
  // How many were numbered, and those that are there with their numbers. `gone` says how many may
  // be missing, so that a damaged number asks for no memory.
  template <class A, class T>
  static void Do(A& a, Kept<T>& things, size_t gone) {
    uint64_t size = things.size();
    uint64_t there = 0;
    if constexpr (A::kReads) {
      All(a, size, there);
      if (there > size || size - there > gone || size > UINT32_MAX) a.Fail();
      for (uint64_t i = 0; i < there && a.ok(); ++i) {
        uint64_t number = 0;
        Do(a, number);
        if (number <= things.size() || number > size) return a.Fail();
        while (things.size() + 1 < number) things.AppendGone();
        Do(a, things.emplace_back());
      }
      while (a.ok() && things.size() < size) things.AppendGone();
    } else {
      for (uint64_t number = 1; number <= size; ++number)
        there += things.Find(number) != nullptr ? 1 : 0;
      All(a, size, there);
      for (uint64_t number = 1; number <= size; ++number) {
        if (T* thing = things.Find(number)) All(a, number, *thing);
      }
    }
  }
  template <class A>
  static void Do(A& a, std::unordered_map<uint64_t, std::vector<RunCore::GoneAttempt>>& unusual) {
    std::map<uint64_t, std::vector<RunCore::GoneAttempt>> sorted(unusual.begin(), unusual.end());
    Do(a, sorted);
    if constexpr (A::kReads) unusual.insert(sorted.begin(), sorted.end());
  }

  // The plan as it is now: budgets may have changed.
  template <class A>
  static void Do(A& a, Plan& plan) {
    bool there = !plan.steps.empty();
    Do(a, there);
    if (!there) return;
    Value value;
    if constexpr (!A::kReads) value = ToValue(plan);
    Do(a, value);
    if constexpr (A::kReads) {
      auto read = a.ok() ? PlanFrom(value) : Result<Plan>(Damaged("plan"));
      if (read)
        plan = std::move(*read);
      else
        a.Fail();
    }
  }

  template <class A>
  static void Do(A& a, RunCore& r) {
    All(a, r.run_, r.plan_, r.about_, r.phase_, r.last_seq_, r.now_ms_, r.paused_,
        r.still_since_ms_, r.still_ms_, r.in_flight_, r.all_given_);
    Table(a, r.gone_candidates_, 4);
    Table(a, r.gone_requests_, 3);
    Do(a, r.unusual_);
    Do(a, r.candidates_, r.gone_candidates_.size());
    Do(a, r.requests_, r.gone_requests_.size());
    All(a, r.prepared_, r.by_source_, r.by_binary_, r.to_let_go_, r.requests_to_let_go_, r.spent_,
        r.claims_, r.confirmed_, r.best_, r.dead_, r.claim_, r.ended_, r.stopped_by_, r.disabled_,
        r.searches_, r.last_search_, r.changed_, r.strongest_, r.ranking_, r.evaluated_,
        r.ended_count_, r.verdicts_, r.stale_, r.epoch_, r.usage_, r.reservations_,
        r.reserved_tokens_, r.reserved_usd_, r.forfeited_tokens_, r.forfeited_usd_);
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
    if ((r.phase_ == Phase::kEnded) != r.ended_.has_value()) return "end of the run";
    for (size_t i = 1; i <= r.candidates_.size(); ++i) {
      const Candidate* c = r.candidates_.Find(i);
      if (c == nullptr) {
        if (i > r.gone_candidates_.size() || !r.gone_candidates_[i - 1].gone) return "candidates";
        continue;
      }
      if (c->view.id != Subject{SubjectKind::kCandidate, static_cast<uint32_t>(i)} ||
          !sizes_fit(*c) || c->origin > n || (!c->ended && !r.searches_.contains(c->search)) ||
          (i <= r.gone_candidates_.size() && r.gone_candidates_[i - 1].gone))
        return "candidate " + std::to_string(i);
    }
    for (size_t i = 1; i <= r.requests_.size(); ++i) {
      const ProposeRequest* q = r.requests_.Find(i);
      if (q == nullptr ? i > r.gone_requests_.size()
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

std::string RunCore::Snapshot() const {
  std::string body;
  Writer writer(&body);
  bool keep_ended = options_.keep_ended;
  SnapshotForm::Do(writer, keep_ended);
  SnapshotForm::Do(writer, const_cast<RunCore&>(*this));  // writing changes nothing
  const Digest128 digest = DigestOf(body);
  std::string sum;
  PutFixed(digest.lo, &sum);
  PutFixed(digest.hi, &sum);
  std::string bytes;
  bytes.reserve(body.size() + 64);
  PackedWriter out(&bytes);
  out.List(4);
  out.Int(kForm);
  out.Int(kDecisionVersion);
  out.Bytes(sum);
  out.Bytes(body);
  return bytes;
}

Result<std::unique_ptr<RunCore>> RunCore::FromSnapshot(std::string_view bytes, Options options) {
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

  Reader reader(body);
  auto core = std::make_unique<RunCore>("", options);
  bool kept_ended = true;
  SnapshotForm::Do(reader, kept_ended);
  SnapshotForm::Do(reader, *core);
  if (!reader.ok() || !reader.AtEnd()) return Damaged("its parts cannot be read");
  const std::string misfit = SnapshotForm::Misfit(*core);
  if (!misfit.empty()) return Damaged("its " + misfit + " cannot be");
  SnapshotForm::Derive(*core);
  if (kept_ended && !options.keep_ended) SnapshotForm::LetGoOfAll(*core);
  if (!options.payloads) core->changed_.clear();
  return core;
}

}  // namespace kev
