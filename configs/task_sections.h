// The parts of task.yaml. Each function reads one section into the Task and reports what is wrong
// with it.
//
// Order matters where one section speaks of another: axes, then arguments, domain, workloads;
// libraries before sources. Threads: functions on values. Errors: go to the Report.
#ifndef KEV_CONFIGS_TASK_SECTIONS_H_
#define KEV_CONFIGS_TASK_SECTIONS_H_

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
void ReadArguments(const YamlNode& node, TaskContext& context);
void ReadDomain(const YamlNode& node, TaskContext& context);
void ReadWorkloads(const YamlNode& node, TaskContext& context);

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
