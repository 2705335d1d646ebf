// Story: what one simulated seed tells: its trace while somebody listens, its first violation, and
// what it counts.
//
// Threads: plain value, one per seed. Errors: none.
#ifndef KEV_TOOLS_SIM_STORY_H_
#define KEV_TOOLS_SIM_STORY_H_

#include <array>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

namespace kev::sim {

// Where an engine can die inside a turn. Between turns it can die at any time as well: with commits
// on their way to the store, in its log and not confirmed, or confirmed.
enum class CrashPoint : uint8_t {
  kBeforeSubmit,  // events were folded, their commit has not left
  kAfterSubmit,   // the commit has left
  kAfterAnswer,   // the store has confirmed, nobody was told
  kBeforeSend,    // some of what follows from a commit was queued, not all
  kBeforeFlush,   // all of it was queued, nothing has left
  kAfterFlush,    // all of it has left
};
inline constexpr size_t kCrashPoints = 6;
const char* Name(CrashPoint point);

struct Tally {
  uint64_t steps = 0;
  uint64_t jobs = 0;  // results taken into a log
  uint64_t restarts = 0;
  uint64_t takeovers = 0;
  uint64_t store_losses = 0;
  uint64_t lost_tails = 0;
  uint64_t cuts = 0;
  uint64_t worker_deaths = 0;
  uint64_t lies = 0;
  uint64_t orders = 0;      // of clients, answered
  uint64_t unfinished = 0;  // runs that wait for what nobody will give them, and say so
  int64_t virtual_ms = 0;
  std::array<uint64_t, kCrashPoints> crashes{};
  void Add(const Tally& other);
};

class Story {
 public:
  // `listener` may be null.
  explicit Story(std::ostream* listener) : listener_(listener) {}

  bool told() const { return listener_ != nullptr; }
  // Building what is told costs more than all the rest: ask told() first.
  void Tell(const std::string& what);
  // The first one is kept: what follows may be its consequence.
  void Violate(const std::string& what);
  const std::optional<std::string>& violation() const { return violation_; }

  int64_t now_ms = 0;
  Tally tally;

 private:
  std::ostream* listener_;
  std::optional<std::string> violation_;
};

}  // namespace kev::sim

#endif  // KEV_TOOLS_SIM_STORY_H_
