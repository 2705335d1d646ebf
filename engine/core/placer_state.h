// What the placer keeps, and the few moves that change it. Everything that is "in use" follows from
// lists of attempts: a worker's are its slots, a class's are its cap, a worker's special ones give
// its resources, and who is alone or quiet. The rules stand in placer_place.cc and its neighbours.
//
// Threads: one at a time. Errors: none. Private to engine/core/placer*.cc.
#ifndef KEV_ENGINE_CORE_PLACER_STATE_H_
#define KEV_ENGINE_CORE_PLACER_STATE_H_

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/core/attempt_table.h"
#include "engine/core/placer.h"
#include "engine/core/worker_set.h"

namespace kev {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// A worker's place is its index; a new one may get the place of one that has gone.
struct WorkerRecord {
  WorkerId id = 0;
  bool present = false;
  bool draining = false;
  bool granted = false;
  uint32_t host = 0;
  uint32_t slots = 0;
  uint64_t ahead = 0;  // more than its slots, to keep it busy for a round trip
  uint64_t limit = 0;  // cumulative grant
  uint64_t sent = 0;   // cumulative
  uint64_t finished = 0;
  double mean_busy_ms = -1;
  WorkerList heavy, light;  // plain attempts
  WorkerList special;       // solitary, quiet, or with needs of resources
  // Sums over the special ones, changed by Weigh only, with that list.
  std::vector<uint64_t> in_use;  // by resource
  uint32_t special_heavy = 0;
  uint32_t quiet = 0;
  uint32_t solitary = 0;

  uint32_t kept_for = kNoIndex;    // a solitary attempt waits for it to be idle; by the last Place
  std::vector<uint32_t> capacity;  // by resource
  WorkerSpec spec;

  size_t out() const { return heavy.size() + light.size() + special.size(); }
  size_t HeavyOut() const { return heavy.size() + special_heavy; }
  uint64_t Credit() const;  // more that it may be sent now
  uint64_t Grant() const {  // more that it could be sent if it had nothing
    return granted ? (limit > sent ? limit - sent : 0) : slots;
  }
  bool ExpiresWithin(int64_t now_ms, int64_t ms) const {
    return spec.expires_at_ms != 0 && now_ms + ms >= spec.expires_at_ms;
  }
};

struct HostRecord {
  std::string name;
  std::vector<uint32_t> workers;  // places
  uint32_t quiet_row = 0;         // quiet attempts placed since another one was
  // By the last Place: the quiet attempt that waits for silence here. Nothing else begins.
  uint32_t hushed_for = kNoIndex;
};

// What a worker must be and have, shared by all classes that ask for the same.
struct ShapeRecord {
  std::string stage;
  std::map<std::string, std::string> labels;
  std::vector<std::pair<uint32_t, uint32_t>> needs;  // resource, amount
  WorkerSet fits;                                    // places
  size_t classes = 0;                                // that have this shape
};

struct ClassRecord {
  bool live = false;       // its run is there
  bool active = false;     // in its run's `active`
  bool candidate = false;  // scratch of Place
  bool special = false;    // quiet, or with needs of resources
  uint32_t run = 0;        // index
  uint32_t shape = 0;
  std::array<OrderList, 2> waiting;  // [solitary], by arrival
  OrderList sent, taken, ending;     // taken: by when it was taken
  TimerList queued;                  // waiting and sent, by since_ms
  TimerList progress;                // taken, by heard_ms
  double interval_ms = 0;            // between tokens; 0: no rate
  double full_at_ms = 0;             // when the bucket is full again (GCRA's arrival time)
  size_t later = 0;                  // maintained with `later` below; audited
  uint64_t finished = 0;
  JobClass spec;

  size_t ready() const { return waiting[0].size() + waiting[1].size(); }
  size_t out() const { return sent.size() + taken.size() + ending.size(); }
  bool AtCap() const { return spec.max_running != 0 && out() >= spec.max_running; }
  double NextTokenMs() const {
    constexpr double kRounding = 1e-6;
    return interval_ms == 0 ? 0 : full_at_ms - (spec.burst - 1) * interval_ms - kRounding;
  }
};

struct RunRecord {
  uint32_t number = 0;
  bool live = false;
  bool held = false;
  double weight = 1;
  double pass = 0;  // slot-milliseconds used until settled_ms, by weight
  int64_t settled_ms = 0;
  size_t out = 0;           // over its classes; for its share only, no limit hangs on it
  uint32_t candidates = 0;  // classes, in the round of Place called `round`
  uint32_t place_in_active = 0;
  uint64_t round = 0;
  std::vector<uint32_t> active;  // classes with waiting attempts
  std::vector<uint32_t> classes;
  int64_t held_since_ms = 0;
  std::string name;

  // The lowest is served first.
  double PassAt(int64_t now_ms) const {
    return pass + static_cast<double>(out) * static_cast<double>(now_ms - settled_ms) / weight;
  }
};

struct PlacerState {
  AttemptTable table;
  std::vector<WorkerRecord> workers;
  std::map<WorkerId, uint32_t> places;
  std::vector<HostRecord> hosts;
  std::map<std::string, uint32_t> host_index;
  std::vector<ShapeRecord> shapes;
  std::map<
      std::tuple<std::string, std::map<std::string, std::string>, std::map<std::string, uint32_t>>,
      uint32_t>
      shape_index;
  std::vector<ClassRecord> classes;
  std::vector<RunRecord> runs;
  std::map<uint32_t, uint32_t> run_index;
  std::vector<std::string> resources;  // names
  std::vector<uint32_t> free_workers, free_hosts, free_classes, free_runs;

  std::map<std::pair<int64_t, uint64_t>, uint32_t> later;  // (when, arrival)
  TimerList orphans;                                       // by begun_ms
  std::vector<uint32_t> active_runs;                       // with waiting attempts
  std::set<uint32_t> special_classes;  // active ones that are quiet or have a solitary attempt
  std::set<uint32_t> timed_classes;
  WorkerSet room;   // may be sent something
  WorkerSet idle;   // of those, with a free slot
  WorkerSet ahead;  // have more than they have slots
  WorkerSet quiet;  // have a quiet attempt
  size_t workers_present = 0;

  int64_t now_ms = 0;
  uint64_t round = 0;      // of Place
  double served_pass = 0;  // highest pass at which a run was served
  uint64_t arrivals = 0;
  bool dirty = false;    // Place may find something
  bool marked = false;   // the last Place hushed a host or kept a worker
  bool holding = false;  // as Place was last told
  int64_t rate_wake_ms = kNever;
  bool balance_due = false;  // TakeRetractions may find something
  bool drain_due = false;
  int64_t balance_wake_ms = kNever;
  int64_t balanced_ms = -Placer::kRetractAfterMs;

  void Advance(int64_t told_ms) { now_ms = told_ms > now_ms ? told_ms : now_ms; }
  ClassRecord& ClassOf(uint32_t index) { return classes[table[index].job_class]; }
  const ClassRecord& ClassOf(uint32_t index) const { return classes[table[index].job_class]; }

  // Attempts (placer_attempts.cc).
  OrderList& ListOf(const AttemptRecord& record);
  WorkerList& WorkerListOf(const AttemptRecord& record);
  void AddLater(uint32_t index, int64_t not_before_ms);
  void Enqueue(uint32_t index);  // at the end, as of now
  void Requeue(uint32_t index);  // by its arrival
  void LeaveQueue(uint32_t index);
  void Lease(uint32_t index, uint32_t place);
  void Unlease(uint32_t index);
  void Begin(uint32_t index);  // sent -> taken
  void End(uint32_t index);    // sent or taken -> ending
  void Forget(uint32_t index);
  void StopTimer(uint32_t index);
  void ReleaseDue();  // back-offs that are over, orphans that are given up

  // Runs and their classes (placer_runs.cc).
  uint32_t RunOf(uint32_t number);
  uint32_t ShapeOf(const JobClass& job_class);
  uint32_t ResourceOf(const std::string& name);
  void Settle(RunRecord* run);  // charges it for what it had out until now
  void Join(uint32_t run);      // it has waiting attempts again
  void Activate(uint32_t job_class);
  void Deactivate(uint32_t job_class);
  void NoteSpecial(uint32_t job_class);
  void DropClassIfOver(uint32_t job_class);

  // Workers (placer_workers.cc).
  bool ShapeFits(const ShapeRecord& shape, const WorkerRecord& worker) const;
  void UpdateRoom(uint32_t place);
  void Weigh(uint32_t index, bool joins);  // a special attempt joins or leaves its worker
  bool ResourcesFree(const WorkerRecord& worker, const ShapeRecord& shape) const;
  bool HostQuiet(uint32_t host) const;  // a quiet attempt is out there
  bool HostBusy(uint32_t host) const;   // something that is not light is
};

// The names that Explain uses.
std::string NameOf(const PlacerState& state, const AttemptRecord& record);  // "r1/c12/confirm#1"
std::string NameOf(const WorkerRecord& worker);

}  // namespace kev

#endif  // KEV_ENGINE_CORE_PLACER_STATE_H_
