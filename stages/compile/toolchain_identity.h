// What, besides source and arguments, decides the bytes that a compiler gives: the compiler itself,
// and for -march=native the CPU. Part of the cache's key.
//
// Threads: any number at a time; a compiler is asked for its version once per process and file.
// Errors: kNotFound when the program cannot be started.
#ifndef KEV_STAGES_COMPILE_TOOLCHAIN_IDENTITY_H_
#define KEV_STAGES_COMPILE_TOOLCHAIN_IDENTITY_H_

#include <string>
#include <vector>

#include "engine/core/result.h"

namespace kev {

// Resolved path, size, modification time and `--version` output of `program` (an absolute path).
// `folder`: where the question may be asked.
Result<std::string> CompilerIdentity(const std::string& program, const std::string& folder);
// Model, flags and cache size of this machine's CPU when `argv` asks for the native one; else "".
std::string CpuIdentity(const std::vector<std::string>& argv);
// Name of the Debian package that brings `program`.
std::string PackageOf(const std::string& program);

}  // namespace kev

#endif  // KEV_STAGES_COMPILE_TOOLCHAIN_IDENTITY_H_
