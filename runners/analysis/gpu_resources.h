// Registers, spills and shared memory of a GPU kernel: from what ptxas says, and from the kernel's
// section of a cubin (no NVIDIA tool needed).
//
// Threads: functions on values. Errors: kNotFound when there is nothing about the kernel, kInvalid
// when the file is no cubin.
#ifndef KEV_RUNNERS_ANALYSIS_GPU_RESOURCES_H_
#define KEV_RUNNERS_ANALYSIS_GPU_RESOURCES_H_

#include <string>
#include <string_view>

#include "engine/core/result.h"

namespace kev {

// -1: not told by this source.
struct GpuResources {
  int registers = -1;     // per thread
  int spill_stores = -1;  // bytes per thread; only ptxas tells
  int spill_loads = -1;
  int stack_bytes = -1;   // per thread
  int shared_bytes = -1;  // static, per block, without what the system reserves
  int barriers = -1;
  int most_threads = -1;  // per block, by launch bounds; only the cubin tells
  int code_bytes = -1;    // only the cubin tells
  bool operator==(const GpuResources&) const = default;
};

// `ptxas -v` (or nvcc -Xptxas -v, NVRTC's and nvJitLink's logs), for one entry function.
Result<GpuResources> ParsePtxas(std::string_view text, std::string_view kernel);
// A cubin's .nv.info sections (CUDA 11 to 13).
Result<GpuResources> ParseCubin(std::string_view file, std::string_view kernel);
// `told` where it knows something, else `otherwise`.
GpuResources Merged(const GpuResources& told, const GpuResources& otherwise);

}  // namespace kev

#endif  // KEV_RUNNERS_ANALYSIS_GPU_RESOURCES_H_
