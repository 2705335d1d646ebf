// The runner process' end of protocol.h, whatever it runs kernels on: answers commands, then serves
// orders until it is told to leave.
//
// Threads: one. Errors: go into the Reply; a process that cannot go on ends, and the judge sees
// how.
#ifndef KEV_RUNNERS_HARNESS_RUNNER_LOOP_H_
#define KEV_RUNNERS_HARNESS_RUNNER_LOOP_H_

#include "runners/harness/protocol.h"

namespace kev::harness {

// What the judge shares with this process.
struct Mapped {
  char* arena = nullptr;
  uint64_t arena_bytes = 0;
  char* page_file = nullptr;
};

// Where kernels run. Calls come in the order of the protocol.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual void Configure(const Command& command, const Mapped& mapped, Reply* reply) = 0;
  virtual void Define(const Command& command, Reply* reply) = 0;
  // Gives the listener of forbidden system calls; -1: there is none.
  virtual int Confine(const Command& command, Reply* reply) = 0;
  virtual void Load(const Command& command, Reply* reply) = 0;
  virtual void Obey(const OrderPage& page) = 0;
};

void Say(Reply* reply, ReplyStatus status, const char* what, const char* why);

// A chain of `thousands` times a thousand additions, each of which waits for the one before.
void CountCycles(uint32_t thousands);

// The whole life of a runner process. `program`: its name, for who starts it by hand.
int RunServing(const char* program, Backend* backend);

}  // namespace kev::harness

#endif  // KEV_RUNNERS_HARNESS_RUNNER_LOOP_H_
