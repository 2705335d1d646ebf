// Store: where groups are committed and blobs are kept. One writer per run.
//
// A commit is atomic: it checks the epoch and the expected sequence, appends the group to the log,
// then writes the projections. Blobs given with a commit are durable no later than its log entry.
// Calls return at once; Poll gives what has completed, in the order of submission. Threads: the
// host's only. Real one: queue/redis_store.h; fake: engine/host/fake/fake_store.h (in memory, can
// fail and lose answers), null: engine/host/fake/null_store.h.
#ifndef KEV_ENGINE_HOST_STORE_H_
#define KEV_ENGINE_HOST_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/job.h"
#include "engine/core/result.h"

namespace kev {

struct Projection {
  std::string key;  // after the run's prefix: "cand:12", "run"
  std::vector<std::pair<std::string, std::string>> fields;
  bool anew = false;  // instead of all fields that were there
};

struct Commit {
  std::string run;
  uint64_t epoch = 0;
  uint64_t expected_seq = 0;  // last seq in the log before this group
  uint64_t last_seq = 0;      // last seq of this group: the id of the log entry
  std::string body;           // canonical bytes of the group
  std::string digest;         // hex digest of the commands
  std::string what;           // a few words per event, for people who look with redis-cli
  std::vector<std::pair<BlobRef, std::string>> blobs;
  std::vector<Projection> projections;
  // Of the core after this group (RunCore::SnapshotSince): what changes of the projection
  // "snap"; without fields: none is due.
  Projection snapshot;
  std::vector<std::string> forget;  // projections that are taken away
};

struct Completion {
  uint64_t ticket = 0;
  Status status;  // kConflict: another epoch or sequence; kUnavailable: connection lost, outcome
                  // unknown
  std::vector<std::string> data;  // blob: one element; log: the groups' bytes; end: the last
                                  // entry's seq, digest and bytes ("0", "", "": an empty
                                  // log), and the run's epoch, read after them ("0": not known)
};

// An answer about the log has about so many bytes at most, and at least one group.
inline constexpr size_t kMostLogBytes = size_t{4} << 20;

class Store {
 public:
  virtual ~Store() = default;
  // Each gives a ticket that comes back in a Completion.
  // The commit stays the caller's as well: it is needed again when its outcome is unknown.
  virtual uint64_t Submit(std::shared_ptr<const Commit> commit) = 0;
  virtual uint64_t ReadBlob(const std::string& sha256) = 0;  // kNotFound when it does not exist
  // The groups that hold events of from..to, from the first on; not all of them when they are many
  // (kMostLogBytes): the caller asks again for the rest.
  virtual uint64_t ReadLog(const std::string& run, uint64_t from_seq, uint64_t to_seq) = 0;
  // Where the log ends: what became of a commit whose answer was lost.
  virtual uint64_t ReadEnd(const std::string& run) = 0;
  // Takes log entries up to `seq` and the blobs of these names away; the caller has them elsewhere.
  virtual uint64_t Trim(const std::string& run, uint64_t seq,
                        const std::vector<std::string>& blobs) = 0;
  virtual std::vector<Completion> Poll() = 0;
  virtual int Descriptor() const = 0;
  virtual bool WantsWrite() const = 0;  // there is output that the socket did not take yet
};

}  // namespace kev

#endif  // KEV_ENGINE_HOST_STORE_H_
