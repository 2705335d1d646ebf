// Which files of this machine a program needs, found by reading ELF files and the loader's cache
// (/etc/ld.so.cache) or, where there is none, the standard folders. Nothing is executed.
//
// Threads: any number at a time. Errors: kNotFound for a library that is not installed, kCorrupt
// for a file that is no ELF file for this machine.
#ifndef KEV_RUNNERS_SANDBOX_LIBRARY_CLOSURE_H_
#define KEV_RUNNERS_SANDBOX_LIBRARY_CLOSURE_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/result.h"

namespace kev {

// {path outside, path inside}, as SandboxPlan has them.
using PathPairs = std::vector<std::pair<std::string, std::string>>;

struct ElfNeeds {
  std::string interpreter;             // "/lib64/ld-linux-x86-64.so.2"; "" for most libraries
  std::string name;                    // DT_SONAME: what programs linked with it ask for; or ""
  std::vector<std::string> libraries;  // DT_NEEDED. DT_RUNPATH is not followed: it may be hostile
};
// Of the bytes of a program or shared library. Error kCorrupt.
Result<ElfNeeds> ReadElfNeeds(std::string_view file);

// The file, symbolic links followed, that the loader would take for "libopenblas.so.0". A name with
// a slash is a path.
Result<std::string> FindLibrary(const std::string& name);

// Files of `libraries` (names or paths) and of all that they need, each under the name that it was
// asked for by and under its own, bound at the folder where the loader looks without a cache.
Result<PathPairs> LibraryClosure(const std::vector<std::string>& libraries);

// What a sandbox needs to run `program` (a path, kept inside): itself, its loader, the libraries of
// both, the C and C++ runtime as far as it is installed, and `libraries` with what they need.
Result<PathPairs> RuntimeFiles(const std::string& program,
                               const std::vector<std::string>& libraries);

}  // namespace kev

#endif  // KEV_RUNNERS_SANDBOX_LIBRARY_CLOSURE_H_
