// What the compiler says of vectorisation: the few lines that matter of its remarks.
//
// Threads: ParseRemarks is a function on values; CompilerRemarks runs the compiler. Errors: those
// of starting it; kInvalid when it does not compile.
#ifndef KEV_RUNNERS_ANALYSIS_REMARKS_H_
#define KEV_RUNNERS_ANALYSIS_REMARKS_H_

#include <string>
#include <string_view>
#include <vector>

#include "engine/core/result.h"

namespace kev {

struct Remark {
  int line = 0;  // of the kernel's source
  bool vectorized = false;
  std::string text;
  bool operator==(const Remark&) const = default;
};

// Remarks of gcc (-fopt-info-vec-all) and clang (-Rpass…) about the file whose path ends with
// `source`: what was vectorised and why something was not, each once, by line, at most `most`.
std::vector<Remark> ParseRemarks(std::string_view output, std::string_view source,
                                 size_t most = 12);

// Compiles again with remarks: `argv` as it was compiled (its output is not touched), in `folder`.
Result<std::vector<Remark>> CompilerRemarks(const std::vector<std::string>& argv,
                                            const std::string& source, const std::string& folder);

// The words of a compilation for counting: the same code without AVX-512, which valgrind does not
// know (-march=x86-64-v3 for whatever -march said).
std::vector<std::string> TwinArguments(std::vector<std::string> argv);

}  // namespace kev

#endif  // KEV_RUNNERS_ANALYSIS_REMARKS_H_
