// How one job's source is to be compiled: its words for the target's argv template.
//
// Prepared things bring their flags in the job's settings, candidates made from a template take
// those of the variant, candidates written whole get nothing beyond the target's own. Threads:
// functions on values. Errors: a build that the task or target does not describe.
#ifndef KEV_STAGES_COMPILE_BUILD_PLAN_H_
#define KEV_STAGES_COMPILE_BUILD_PLAN_H_

#include <string>
#include <vector>

#include "configs/load.h"
#include "engine/core/job.h"
#include "engine/core/result.h"

namespace kev {

// Names in the scratch folder are always the same, so that equal source gives equal bytes.
struct BuildPlan {
  std::vector<std::string> argv;  // argv[0] as written in the target
  std::string source_file;        // "kernel.c"
  std::string output_file;        // "kernel.out"
  std::string artefact;           // kind of what comes out
};

// The target that `job` names. Error kInvalid.
Result<const Target*> TargetOf(const Job& job, const LoadedRun& run);
// ".c" of "vector.c"; "" when there is none.
std::string SuffixOf(const std::string& file_name);
// Error kNotFound when the target knows no language of the source's suffix, else kInvalid.
Result<BuildPlan> PlanBuild(const Job& job, const Task& task, const Target& target);
// File that `target` was loaded from, for messages.
std::string FileOf(const Target& target, const LoadedRun& run);
// What a source of this name is compiled to: "shared_library", "cubin".
std::string ArtefactOf(const Target& target, const std::string& file_name);

}  // namespace kev

#endif  // KEV_STAGES_COMPILE_BUILD_PLAN_H_
