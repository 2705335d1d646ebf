// Progress: what a person or a script sees of a run while it goes on. Text on a terminal (one line,
// rewritten), plain lines elsewhere, JSON lines with --json.
#ifndef KEV_TOOLS_LIVE_PROGRESS_H_
#define KEV_TOOLS_LIVE_PROGRESS_H_

#include <cstdint>
#include <map>
#include <string>

#include "engine/core/event.h"
#include "engine/core/run_core.h"

namespace kev {

enum class OutputMode {
  kText,
  kJson,
  kQuiet,   // the closing report only
  kSilent,  // nothing
};

struct QueueDepth {
  size_t ready = 0;  // attempts that wait for a worker
  size_t out = 0;    // attempts that workers have
};

class LiveProgress {
 public:
  explicit LiveProgress(OutputMode mode);
  void Started(const std::string& run, const std::string& folder, const Plan& plan);
  // After each committed group.
  void Committed(const EventGroup& group, const RunCore& core);
  // About four times a second.
  void Tick(const RunCore& core, const QueueDepth& queue, int64_t run_time_ms);
  void Note(const std::string& text);  // a line that stays
  void ClearLine();
  OutputMode mode() const { return mode_; }

 private:
  std::string StatusLine(const RunCore& core, const QueueDepth& queue, int64_t run_time_ms);
  void Emit(const Value& line);
  OutputMode mode_;
  bool terminal_;
  bool line_open_ = false;
  int64_t last_line_ms_ = -1;
  int64_t window_started_ms_ = 0;
  std::map<std::string, uint64_t> done_by_step_;
  std::map<std::string, uint64_t> done_at_window_;
  std::map<std::string, double> rate_by_step_;
  uint32_t best_ = 0;
  double best_speedup_ = 0;
  std::map<uint32_t, bool> told_;
  std::map<std::string, bool> disabled_told_;
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_PROGRESS_H_
