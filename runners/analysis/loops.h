// Loops of machine code, what is in them, and which of them is probably the hot one.
//
// Loops are the natural loops of the flow graph (Muchnick 1997, §7.4): a branch back to a block
// through which everything of the loop is entered, so that blocks which the compiler moved out of
// line are where they belong. Targets of indirect jumps are not known. Threads: functions on
// values. Errors: none.
#ifndef KEV_RUNNERS_ANALYSIS_LOOPS_H_
#define KEV_RUNNERS_ANALYSIS_LOOPS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runners/analysis/disassembly.h"

namespace kev {

struct Loop {
  size_t function = 0;               // index in the disassembly
  size_t header = 0;                 // index of the instruction that all passes begin with
  std::vector<size_t> instructions;  // indices, ascending
  int depth = 1;                     // loops that it lies in, itself included
  bool innermost = true;
};

// Loops of the given functions, in order.
std::vector<Loop> FindLoops(const Disassembly& code, const std::vector<size_t>& functions);

// What one pass over some instructions does. Conditional parts count as if taken.
struct InstructionMix {
  int instructions = 0;
  int vector_bits = 0;  // widest register of packed floating-point or integer work; 0: scalar
  int vector = 0;       // packed instructions
  int xmm = 0, ymm = 0, zmm = 0;  // those among them by their widest register
  int scalar_fp = 0;
  int fma = 0;
  double flops = 0;  // floating-point operations, fused ones counted twice
  int loads = 0, stores = 0;
  double loaded_bytes = 0, stored_bytes = 0;
  int gathers = 0, scatters = 0;
  int divisions = 0;  // and square roots
  int calls = 0;
  int spills = 0;  // accesses to the stack
  int branches = 0;
  std::vector<std::string> called;  // names, each once
};
InstructionMix MixOf(const Function& function, const std::vector<size_t>& instructions);

// The innermost loop that is executed most by `counts` (executions by address of instruction); with
// no counts, the one that does most per pass among the most deeply nested: elements worked on, with
// calls and divisions weighted. None when there is no loop.
std::optional<Loop> HottestLoop(const Disassembly& code, const std::vector<Loop>& loops,
                                const std::map<uint64_t, uint64_t>& counts = {});

// The instructions as text, one a line, at most `most_lines`; branches show where they lead.
std::string LoopText(const Function& function, const Loop& loop, size_t most_lines);

}  // namespace kev

#endif  // KEV_RUNNERS_ANALYSIS_LOOPS_H_
