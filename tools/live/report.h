// Reports for people and scripts, made from a folded run. Pure: text and Values, no I/O.
#ifndef KEV_TOOLS_LIVE_REPORT_H_
#define KEV_TOOLS_LIVE_REPORT_H_

#include <string>

#include "engine/core/run_core.h"

namespace kev {

// "1.23 ms", "845 ns".
std::string FormatTime(double ns);
// "12.3 G", "456 M"; for FLOP/s and B/s.
std::string FormatRate(double per_second);
std::string FormatParameters(const Value& parameters);  // "WIDTH=16 UNROLL=4"

// What the run says of its winner: the claim when there is one, else the confirming measurement.
// Null: no best.
const Value& WinningFacts(const RunCore& core);
// The winner's speed-up when it was screened, confirmed and claimed: the best of many figures is so
// partly by luck. Null: nothing was claimed.
Value Shrinkage(const RunCore& core);
// The closing text of a run, `command` being how kevolve was called: best kernel, parameters,
// speed-up with interval, workloads, where it is, what to type next.
std::string ClosingReport(const RunCore& core, const std::string& source_path,
                          const std::string& command);
// The last line of --json.
Value DoneLine(const RunCore& core, const std::string& source_path);
// One candidate, in full, as text.
std::string CandidateReport(const RunCore& core, Subject subject);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_REPORT_H_
