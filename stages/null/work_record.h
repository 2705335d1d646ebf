// WorkRecord: what a worker did, written by itself: a file that the engine does not know and that
// tests compare with its log (tests/chaos). A line per attempt done, before its result is sent:
// `done RUN c12/3/0#1 NONCE`; and one when the engine has answered it: `acked RUN c12/3/0#1`, or
// `stale …`. Each line is one write to the end of the file, so that several processes may share it
// and a killed one leaves no half lines.
//
// Threads: any. Errors: Open says what is wrong with the file; a line that cannot be written ends
// the process, since a record with holes proves nothing.
#ifndef KEV_STAGES_NULL_WORK_RECORD_H_
#define KEV_STAGES_NULL_WORK_RECORD_H_

#include <string>

#include "engine/core/job.h"
#include "engine/core/result.h"
#include "queue/worker_session.h"

namespace kev {

class WorkRecord {
 public:
  static Result<WorkRecord> Open(const std::string& path);
  // Notes that the attempt is done. The result carries the nonce as well: "nonce NONCE" is its
  // message from now on.
  void Done(const Job& job, JobResult* result) const;
  void Settled(const SettledAttempt& attempt) const;

 private:
  explicit WorkRecord(int file) : file_(file) {}
  void Append(const std::string& line) const;
  int file_;
};

}  // namespace kev

#endif  // KEV_STAGES_NULL_WORK_RECORD_H_
