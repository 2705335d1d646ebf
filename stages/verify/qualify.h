// Whether a task can be hacked: outputs that need no computing, judged by the task's own workloads
// and tolerance.
//
// Pure: outputs are made from inputs and expected values alone, no kernel runs. A hack that every
// case accepts makes the task hackable. Threads: functions on values. Errors: kInvalid when a
// case's arrays do not fit the task.
#ifndef KEV_STAGES_VERIFY_QUALIFY_H_
#define KEV_STAGES_VERIFY_QUALIFY_H_

#include <string>
#include <string_view>
#include <vector>

#include "configs/task.h"
#include "engine/core/result.h"
#include "engine/core/value.h"
#include "stages/verify/output_judge.h"
#include "stages/verify/values.h"

namespace kev {

// One case as the judge holds it. Vectors are by argument, then the returned value if there is one;
// entries of what is no output (or no input) are empty.
struct QualifyCase {
  Case one;
  std::vector<std::string> inputs;
  std::vector<std::string> expected;       // in the output's own dtype or as f64
  std::vector<std::string> stale;          // the same of another input of this shape
  std::vector<const OutputJudge*> judges;  // null for what is no output
  bool expected_in_f64 = true;
};

struct HackResult {
  std::string hack;       // "constant", …
  bool tried = false;     // false: makes no sense here, or gives what is expected
  bool accepted = false;  // by every case that it was tried on
  uint32_t accepted_cases = 0;
  std::string reason;  // accepted: what makes it pass; refused: what stopped it first
};

struct Qualification {
  std::vector<HackResult> hacks;
  bool hackable = false;
  // "constant output passes: outputs vary less than the tolerance", one line per accepted hack.
  std::string Text() const;
};

// Names of all hacks, in the order they are tried.
const std::vector<std::string>& HackNames();
Result<Qualification> Qualify(const Task& task, const std::vector<QualifyCase>& cases,
                              uint64_t seed);
Value ToValue(const Qualification& qualification);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_QUALIFY_H_
