// Values for the timed calls of a task, and the judging of what those calls leave.
//
// Where the task's inputs can be made afresh (fresh_inputs.h) and its reference is quick, every
// call gets values of its own, and the reference is asked about the calls that are checked. Else
// every call has a pool of prepared cases; each draw takes one of them and transforms it by the
// task's symmetries, so that no process sees the same values twice as long as the pool lasts (with
// symmetries: always). Threads: one at a time. Errors: see CallValues.
#ifndef KEV_STAGES_VERIFY_TASK_VALUES_H_
#define KEV_STAGES_VERIFY_TASK_VALUES_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "configs/task.h"
#include "runners/measurement/call_values.h"
#include "stages/verify/call_shape.h"
#include "stages/verify/fresh_inputs.h"
#include "stages/verify/prepared_case.h"
#include "stages/verify/symmetry.h"
#include "stages/verify/trusted_runs.h"

namespace kev {

class TaskValues final : public CallValues {
 public:
  explicit TaskValues(const Task& task);

  // The next call number of the arena, with cases of one shape to draw from; at least one.
  Status AddPool(std::vector<std::shared_ptr<const PreparedCase>> cases);
  // The same with inputs made afresh, and the reference of `code` to ask for what is right. What
  // the bounds of `base` would refuse is held against the yardstick's errors on those very inputs,
  // too: bounds come from few draws, and among many there are some on which everybody errs more.
  // REQUIRES: fresh.Any().
  Status AddFresh(std::shared_ptr<const PreparedCase> base, FreshInputs fresh, const TaskCode& code,
                  RunnerProcess::Clock::duration deadline);

  void FillConstants(Arena& arena, size_t call) override;
  void Fill(Arena& arena, size_t call, const DrawnCall& drawn) override;
  size_t ChecksAtOnce(size_t call) const override;
  Result<std::string> Check(const Arena& arena, size_t call,
                            std::span<const DrawnCall> drawn) override;
  bool SeemsUnwritten(const Arena& arena, size_t call, const DrawnCall& drawn) override;

 private:
  struct Source {  // what a draw is made from
    std::shared_ptr<const PreparedCase> base;
    Symmetries symmetries;
  };
  struct Pool {                   // of one call
    std::vector<Source> sources;  // one, where inputs are made afresh
    std::optional<FreshInputs> fresh;
    // Of fresh ones: what is asked for the right answer, and how it is started again.
    std::unique_ptr<TrustedProcess> reference;
    std::function<Result<std::unique_ptr<TrustedProcess>>()> start;
    std::unique_ptr<TrustedProcess> yardstick;                                 // once it was needed
    std::function<Result<std::unique_ptr<TrustedProcess>>()> start_yardstick;  // null: none
    std::vector<Arrays> poison;  // a few: what outputs hold before a call
  };

  static const Source& SourceOf(const Pool& pool, const DrawnCall& drawn);
  const Arrays& PoisonOf(const Pool& pool, uint64_t draw) const;
  void Add(Pool pool);
  // The inputs of a draw, by argument; the constants too.
  Arrays InputsOf(const Pool& pool, const FreshValues& moved, const DrawnCall& drawn) const;
  Result<std::string> CheckOne(const Arena& arena, size_t call, const DrawnCall& drawn);
  Result<std::string> CheckFresh(const Arena& arena, size_t call, const DrawnCall& drawn,
                                 const Arrays& inputs);
  // What the yardstick's errors on these inputs allow; nullopt where there is no yardstick.
  Result<std::optional<Quantiles>> BoundsOn(Pool* pool, const Arrays& inputs, size_t argument,
                                            const ExpectedArray& right) const;
  static Result<Arrays> Ask(Pool* pool, const Arrays& inputs, bool absolute);
  std::string CheckMoved(const Arena& arena, size_t call, const DrawnCall& drawn,
                         const FreshValues& moved) const;
  bool Absolute() const;

  const Task task_;  // its own: values outlive the job that made them
  std::vector<const Argument*> arguments_;
  std::vector<Pool> pools_;  // by call
  uint64_t salt_ = 0;        // random: a call's values do not tell how they are looked at
};

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_TASK_VALUES_H_
