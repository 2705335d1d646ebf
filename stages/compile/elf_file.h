// What compile needs to know of an ELF file: whether it exports a function, and how large its code
// is. Read from the section headers; the file is never loaded, so that nothing of a candidate runs
// here.
//
// Threads: functions on values. Errors: a file that is not a whole 64-bit little-endian ELF file
// gives nullopt.
#ifndef KEV_STAGES_COMPILE_ELF_FILE_H_
#define KEV_STAGES_COMPILE_ELF_FILE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kev {

struct ElfFacts {
  uint64_t code_bytes = 0;  // of .text and .text.*
  std::vector<std::string>
      functions;  // defined global functions of the dynamic symbol table, else of the static one
};

std::optional<ElfFacts> ReadElf(std::string_view file);

}  // namespace kev

#endif  // KEV_STAGES_COMPILE_ELF_FILE_H_
