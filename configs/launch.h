// How a kernel for a device is launched: a line that its source carries,
//
//   // launch: { grid: [(rows + 3) // 4, 1], block: [32, 4], shared: 4 * cols }
//
// with formulas over the task's axes and over numbers that the source #defines; `shared` are bytes
// per block beside what the kernel declares. What is left away is 1, `shared` 0. Threads: functions
// on values. Errors: what is wrong with the line, or with its values for a shape.
#ifndef KEV_CONFIGS_LAUNCH_H_
#define KEV_CONFIGS_LAUNCH_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/result.h"

namespace kev {

struct LaunchForm {
  std::vector<Program> grid;  // 1 to 3
  std::vector<Program> block;
  Program shared;
};

struct LaunchNumbers {
  std::array<uint32_t, 3> grid = {1, 1, 1};
  std::array<uint32_t, 3> block = {1, 1, 1};
  uint32_t shared_bytes = 0;
};

// The text after "launch:" of a source's one such comment line, with numbers in place of the names
// that the source #defines as whole numbers (where it does so twice, the first, as under #ifndef).
// kNotFound, kInvalid: it has none or several.
Result<std::string> LaunchTextOf(const std::string& source);
Result<LaunchForm> ParseLaunch(const std::string& text, const Task& task);
// kInvalid for what no device takes: no block at all, more than 1024 threads in one, …
Result<LaunchNumbers> LaunchFor(const LaunchForm& form, const Axes& axes);

}  // namespace kev

#endif  // KEV_CONFIGS_LAUNCH_H_
