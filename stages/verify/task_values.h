// Values for the timed calls of a task, and the judging of what those calls leave.
//
// Every call has a pool of prepared cases; each draw takes one of them and transforms it by the
// task's symmetries, so that no process sees the same values twice as long as the pool lasts (with
// symmetries: always). Threads: one at a time. Errors: see CallValues.
#ifndef KEV_STAGES_VERIFY_TASK_VALUES_H_
#define KEV_STAGES_VERIFY_TASK_VALUES_H_

#include <memory>
#include <string>
#include <vector>

#include "configs/task.h"
#include "runners/measurement/call_values.h"
#include "stages/verify/call_shape.h"
#include "stages/verify/prepared_case.h"
#include "stages/verify/symmetry.h"

namespace kev {

class TaskValues final : public CallValues {
 public:
  // `pools`: by call number of the arena; none empty, all cases of a pool of one shape.
  static Result<std::unique_ptr<TaskValues>> Make(
      const Task& task, std::vector<std::vector<std::shared_ptr<const PreparedCase>>> pools);

  void FillConstants(Arena& arena, size_t call) override;
  void Fill(Arena& arena, size_t call, uint32_t slot, uint64_t draw) override;
  std::string Check(const Arena& arena, size_t call, uint32_t slot, uint64_t draw) override;

 private:
  struct Source {  // what a draw is made from
    std::shared_ptr<const PreparedCase> base;
    Symmetries symmetries;
  };
  explicit TaskValues(const Task& task) : task_(task), arguments_(AllArguments(task_)) {}
  const Source& SourceOf(size_t call, uint64_t draw) const;
  std::string CheckOutput(const PreparedCase& base, const FreshValues& fresh, size_t argument,
                          std::string_view got) const;

  const Task task_;  // its own: values outlive the job that made them
  std::vector<const Argument*> arguments_;
  std::vector<std::vector<Source>> pools_;   // by call
  std::vector<std::vector<Arrays>> poison_;  // by call, a few each: what outputs hold before a call
  std::string scratch_;
};

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_TASK_VALUES_H_
