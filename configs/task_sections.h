// The parts of task.yaml. Each function reads one section into the Task and reports what is wrong
// with it.
//
// Order matters where one section speaks of another: axes, then arguments, domain, workloads;
// libraries before sources; what is right after all of these. Threads: functions on values. Errors:
// go to the Report.
#ifndef KEV_CONFIGS_TASK_SECTIONS_H_
#define KEV_CONFIGS_TASK_SECTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "configs/expression_parser.h"
#include "configs/load.h"
#include "configs/section_reader.h"
#include "configs/task.h"

namespace kev {

// What every section sees.
struct TaskContext {
  const FileSource& files;
  const std::string& folder;
  Report& report;
  Task& task;
};

// A C identifier that is no keyword of C or C++ likely to be used by mistake.
bool IsIdentifier(std::string_view text);
Symbols AxisSymbols(const Task& task);

// task_shapes.cc
void ReadAxes(const YamlNode& node, TaskContext& context);
void ReadDomain(const YamlNode& node, TaskContext& context);
void ReadWorkloads(const YamlNode& node, TaskContext& context);

// task_arguments.cc
void ReadReturns(const YamlNode& node, TaskContext& context);  // before the arguments
void ReadArguments(const YamlNode& node, TaskContext& context);
// `setup` or `teardown`.
void ReadHelperFunction(const YamlNode& node, const std::string& what, TaskContext& context,
                        std::optional<HelperFunction>* out);

// task_correctness.cc: what is right. After arguments, reference and baselines.
struct CorrectnessNodes {  // null: the key is not there
  const YamlNode *tolerance = nullptr, *values = nullptr, *symmetries = nullptr,
                 *nonfinite = nullptr, *flush_to_zero = nullptr;
};
void ReadCorrectness(const YamlNode& root, const CorrectnessNodes& nodes, TaskContext& context);

// task_sources.cc
void ReadLibraries(const YamlNode& node, TaskContext& context);
void ReadReference(const YamlNode& node, TaskContext& context);
void ReadBaselines(const YamlNode& node, TaskContext& context);
// `path` named by `node`, relative to the task folder; false when it cannot be read.
bool ReadSourceFile(const YamlNode& node, TaskContext& context, std::string* path,
                    std::string* text);
void CheckLibraries(const YamlNode& list, TaskContext& context);

// task_variants.cc
void ReadVariants(const YamlNode& node, TaskContext& context);

}  // namespace kev

#endif  // KEV_CONFIGS_TASK_SECTIONS_H_
