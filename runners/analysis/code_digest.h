// Identity of compiled code: two sources that give one binary are one candidate.
//
// Normalised are machine code, constants, initialised data, unwind tables and relocations of a
// shared library, with addresses as (section, offset): the build id, debug information, comments,
// symbol tables, and where the linker put a section do not count. Of symbols that the loader looks
// for count name, version, library, binding and visibility; names of what is exported only where
// libraries are loaded along, which may find it. What cannot be normalised with
// certainty (code that does not decode cleanly, other machines) is taken with its addresses: then
// equal code may count as different.
//
// Code can read its own headers, symbol names and build id. So whoever reuses the verdict of a
// library with the same digest must reuse that library with it, and never run the other one.
//
// Threads: functions on values. Errors: kInvalid when the file is no ELF file or does not define
// an entry.
#ifndef KEV_RUNNERS_ANALYSIS_CODE_DIGEST_H_
#define KEV_RUNNERS_ANALYSIS_CODE_DIGEST_H_

#include <string>
#include <string_view>
#include <vector>

#include "engine/core/result.h"

namespace kev {

// The bytes that the digest is made of. `entries`: the functions that will be called (kernel,
// set-up, tear-down); their order counts. They may be empty for a GPU code object.
Result<std::string> NormalisedCode(std::string_view file, const std::vector<std::string>& entries);

// SHA-256 of NormalisedCode, 64 hexadecimal digits.
Result<std::string> CodeDigest(std::string_view file, const std::vector<std::string>& entries);

}  // namespace kev

#endif  // KEV_RUNNERS_ANALYSIS_CODE_DIGEST_H_
