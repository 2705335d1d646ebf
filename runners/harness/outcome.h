// What became of something that the runner process was asked to do. Outcomes are data; an Error is
// kept for what stops the judge itself. Threads: plain values.
#ifndef KEV_RUNNERS_HARNESS_OUTCOME_H_
#define KEV_RUNNERS_HARNESS_OUTCOME_H_

#include <cstdint>
#include <string>

namespace kev {

struct Outcome {
  enum class Kind {
    kOk,
    kCrashed,    // a signal, or it ended its own process
    kTimeout,    // the judge's deadline
    kResources,  // memory or CPU limit
    kUnusable,   // cannot be loaded, or has no such function
    kCheated,    // forged a reply, or claims less time than it took
    kBroken,     // not the kernel's fault: the runner process could not be set up
  } kind = Kind::kOk;
  std::string message;  // one line; "" when ok
  // The judge's words for it, with nothing in them that a kernel could choose: what may be told of
  // what happened on a shape that is kept secret. "": the kind's name is all.
  std::string brief = {};
  bool ok() const { return kind == Kind::kOk; }
};

// In words that no kernel chose.
inline Outcome Cheated(const std::string& how) { return {Outcome::Kind::kCheated, how, how}; }
// A brief of kCheated.
inline constexpr char kForbiddenCall[] = "made a system call that no kernel needs";

struct ProcessEnd {
  int signal = 0;  // that ended it; 0: it exited
  int status = 0;  // that it exited with
};

// What a runner process's end says of the kernel in it. `during`: "when it was called".
Outcome OutcomeOfEnd(const ProcessEnd& end, const std::string& during,
                     const std::string& standard_error, uint64_t cpu_seconds);

}  // namespace kev

#endif  // KEV_RUNNERS_HARNESS_OUTCOME_H_
