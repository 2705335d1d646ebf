// Machine code as text: the functions of a library as objdump shows them (AT&T syntax).
//
// Threads: ParseObjdump is a function on values; Disassemble runs a tool. Errors: kNotFound without
// objdump (package binutils), kInvalid when it cannot read the file.
#ifndef KEV_RUNNERS_ANALYSIS_DISASSEMBLY_H_
#define KEV_RUNNERS_ANALYSIS_DISASSEMBLY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/result.h"

namespace kev {

struct MachineInstruction {
  uint64_t address = 0;
  std::string mnemonic;            // prefixes such as rep and lock are part of it
  std::string operands;            // without the comment that objdump adds
  std::optional<uint64_t> target;  // of a direct branch or call, or a rip-relative operand
  std::string target_name;         // as objdump has it: inner, expf@plt, kernel+0x10

  bool IsBranch() const;  // jumps, conditional or not; no calls
  bool IsCall() const;
};

struct Function {
  std::string name;
  std::vector<MachineInstruction> instructions;
};

struct Disassembly {
  std::vector<Function> functions;  // in order of addresses
  // Indices of `symbol` and what it leads to inside the library: calls, and functions whose
  // address it takes (bodies of parallel regions). All functions when it is not there (stripped).
  std::vector<size_t> Reachable(std::string_view symbol) const;
};

Disassembly ParseObjdump(std::string_view text);
Result<Disassembly> Disassemble(std::string_view library);

}  // namespace kev

#endif  // KEV_RUNNERS_ANALYSIS_DISASSEMBLY_H_
