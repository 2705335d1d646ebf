// AttemptSet: the attempts that a session was given and has not answered. One 64-bit fingerprint
// per attempt in an open-addressing table, so that a job costs no allocation.
//
// A fingerprint that two attempts share (one in 2^64) would only let a false claim of a peer pass;
// whether a result counts is the fold's to say. Threads: plain value. Errors: none.
#ifndef KEV_QUEUE_ATTEMPT_SET_H_
#define KEV_QUEUE_ATTEMPT_SET_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/host/transport.h"

namespace kev {

// Never 0.
uint64_t Fingerprint(const std::string& run, const JobKey& key, uint32_t attempt);

class AttemptSet {
 public:
  void Add(uint64_t fingerprint);
  bool Contains(uint64_t fingerprint) const;
  bool Remove(uint64_t fingerprint);  // false: was not there
  size_t size() const { return size_; }

 private:
  size_t Find(uint64_t fingerprint) const;  // its place, or the empty one where it would go
  std::vector<uint64_t> table_;             // 0: empty; size a power of two, at most half full
  size_t size_ = 0;
};

}  // namespace kev

#endif  // KEV_QUEUE_ATTEMPT_SET_H_
