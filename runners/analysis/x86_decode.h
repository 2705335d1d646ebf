// Lengths of x86-64 instructions, and where one of them holds an address relative to itself: as
// much of a decoder as comparing machine code needs (Intel SDM vol. 2, chapter 2 and appendix A).
//
// Threads: functions on values. Errors: what is not known to be an instruction gives nullopt; the
// caller then takes the bytes as they are.
#ifndef KEV_RUNNERS_ANALYSIS_X86_DECODE_H_
#define KEV_RUNNERS_ANALYSIS_X86_DECODE_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace kev {

struct X86Instruction {
  uint8_t length = 0;
  // Offset of a 32-bit displacement from the instruction's end, of a memory operand (rip-relative)
  // or of a call or jump; 0: none.
  uint8_t relative_at = 0;
  bool branch = false;  // a direct call or jump
  int64_t target = 0;   // of a branch or a rip-relative operand, from the instruction's begin
};

// The instruction that `bytes` begin with.
std::optional<X86Instruction> DecodeX86(std::string_view bytes);

}  // namespace kev

#endif  // KEV_RUNNERS_ANALYSIS_X86_DECODE_H_
