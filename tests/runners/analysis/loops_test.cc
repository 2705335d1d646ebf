#include "runners/analysis/loops.h"

#include <doctest/doctest.h>

#include "runners/analysis/static_model.h"
#include "tests/runners/analysis/support/compiled.h"

namespace kev {
namespace {

// A row loop with a vector loop and a scalar rest in it, as objdump prints it.
constexpr char kText[] =
    "\n"
    "out.so:     file format elf64-x86-64\n"
    "\n"
    "0000000000001100 <kernel>:\n"
    "    1100:\tendbr64\n"
    "    1104:\tvbroadcastss 0xef3(%rip),%ymm2        # 2000 <_fini+0xf00>\n"
    "    1110:\txor    %eax,%eax\n"
    "    1112:\tdata16 cs nopw 0x0(%rax,%rax,1)\n"
    "    1120:\tvmovups (%rsi,%rax,1),%ymm1\n"
    "    1125:\tvfmadd213ps (%rcx,%rax,1),%ymm2,%ymm1\n"
    "    112b:\tvmovups %ymm1,(%rcx,%rax,1)\n"
    "    1130:\tadd    $0x20,%rax\n"
    "    1134:\tcmp    %rax,%rdi\n"
    "    1137:\tjne    1120 <kernel+0x20>\n"
    "    1140:\tvmovss 0x8(%rsp),%xmm1\n"
    "    1145:\tvdivss (%rsi),%xmm1,%xmm1\n"
    "    114b:\tvmovss %xmm1,(%rcx)\n"
    "    1150:\tcmp    %rax,%rdx\n"
    "    1154:\tja     1140 <kernel+0x40>\n"
    "    1156:\tcall   1200 <helper>\n"
    "    115b:\tdec    %r8\n"
    "    115e:\tjne    1110 <kernel+0x10>\n"
    "    1160:\tret\n"
    "\n"
    "0000000000001180 <other>:\n"
    "    1180:\tjmp    1180 <other>\n"
    "\n"
    "0000000000001200 <helper>:\n"
    "    1200:\tjmp    *%rax\n"
    "\n"
    "0000000000001210 <kernel._omp_fn.0>:\n"
    "    1210:\tbnd jmp 1030 <expf@plt>\n";

struct Analysed {
  Disassembly code;
  std::vector<Loop> loops;
  std::optional<Loop> hot;
};

Analysed Analyse(const std::string& library, const std::string& symbol) {
  Analysed result;
  auto code = Disassemble(library);
  REQUIRE(code);
  result.code = *code;
  result.loops = FindLoops(result.code, result.code.Reachable(symbol));
  result.hot = HottestLoop(result.code, result.loops);
  return result;
}

}  // namespace

TEST_CASE("objdump's text is read: functions, operands without comments, targets") {
  const Disassembly code = ParseObjdump(kText);
  REQUIRE(code.functions.size() == 4);
  const Function& kernel = code.functions[0];
  CHECK(kernel.name == "kernel");
  REQUIRE(kernel.instructions.size() == 19);
  CHECK(kernel.instructions[1].operands == "0xef3(%rip),%ymm2");
  CHECK(kernel.instructions[1].target == 0x2000);
  CHECK(kernel.instructions[3].mnemonic == "data16 cs nopw");
  CHECK(kernel.instructions[9].target == 0x1120);
  CHECK(kernel.instructions[15].target_name == "helper");
  CHECK(code.functions[3].instructions[0].mnemonic == "bnd jmp");
  CHECK(code.functions[3].instructions[0].target_name == "expf@plt");
  CHECK_FALSE(code.functions[2].instructions[0].target);
}

TEST_CASE("what a function leads to: callees and parts that the compiler split off") {
  const Disassembly code = ParseObjdump(kText);
  CHECK(code.Reachable("kernel") == std::vector<size_t>{0, 3, 2});
  CHECK(code.Reachable("stripped").size() == 4);
}

TEST_CASE("loops nest, and the hot one is innermost") {
  const Disassembly code = ParseObjdump(kText);
  const std::vector<Loop> loops = FindLoops(code, {0});
  REQUIRE(loops.size() == 3);
  CHECK(loops[0].depth == 1);
  CHECK_FALSE(loops[0].innermost);
  CHECK(loops[1].depth == 2);
  CHECK(loops[1].innermost);
  const auto hot = HottestLoop(code, loops);
  REQUIRE(hot);
  CHECK(code.functions[0].instructions[hot->header].address == 0x1120);
  // Counts know better than a guess.
  const auto counted = HottestLoop(code, loops, {{0x1120, 10}, {0x1140, 1000}});
  REQUIRE(counted);
  CHECK(code.functions[0].instructions[counted->header].address == 0x1140);
  CHECK_FALSE(HottestLoop(code, {}));
}

TEST_CASE("a block that the compiler moved out of line is part of its loop and makes no other") {
  // The loop's rare part stands after the return and jumps back into its middle: by addresses alone
  // that would be a second loop around everything between.
  const Disassembly code = ParseObjdump(
      "0000000000001000 <kernel>:\n"
      "    1000:\tmov    (%rdi),%rax\n"
      "    1003:\ttest   %rax,%rax\n"
      "    1006:\tje     1020 <kernel+0x20>\n"
      "    1008:\tadd    $0x8,%rdi\n"
      "    100c:\tcmp    %rdi,%rsi\n"
      "    100f:\tjne    1000 <kernel>\n"
      "    1011:\tret\n"
      "    1012:\tnop\n"
      "    1020:\tmovq   $0x1,(%rdi)\n"
      "    1027:\tjmp    1008 <kernel+0x8>\n");
  const std::vector<Loop> loops = FindLoops(code, {0});
  REQUIRE(loops.size() == 1);
  CHECK(loops[0].instructions == std::vector<size_t>{0, 1, 2, 3, 4, 5, 8, 9});
  CHECK(loops[0].depth == 1);
}

TEST_CASE("a loop that calls expf is taken for hotter than the vector loop beside it") {
  if (FindTool({"objdump"}).empty()) return;
  const Analysed two =
      Analyse(test::Compiled("#include <math.h>\n"
                             "void two(float* restrict y, const float* restrict x, long n) {\n"
                             "  for (long i = 0; i < n; ++i) y[i] = expf(x[i]);\n"
                             "  for (long i = 0; i < n; ++i) y[i] *= 3 * x[i];\n}\n",
                             {"-O3", "-march=x86-64-v3"}),
              "two");
  REQUIRE(two.hot);
  const InstructionMix mix = MixOf(two.code.functions[two.hot->function], two.hot->instructions);
  CHECK(mix.called == std::vector<std::string>{"expf"});
}

TEST_CASE("the mix of a loop: width, fused operations, memory, stack, division") {
  const Disassembly code = ParseObjdump(kText);
  const InstructionMix vector = MixOf(code.functions[0], {4, 5, 6, 7, 8, 9});
  CHECK(vector.instructions == 6);
  CHECK(vector.vector_bits == 256);
  CHECK(vector.vector == 3);
  CHECK(vector.ymm == 3);
  CHECK(vector.fma == 1);
  CHECK(vector.flops == 16);
  CHECK(vector.loads == 2);
  CHECK(vector.stores == 1);
  CHECK(vector.loaded_bytes == 64);
  CHECK(vector.stored_bytes == 32);
  const InstructionMix scalar = MixOf(code.functions[0], {10, 11, 12, 13, 14});
  CHECK(scalar.vector_bits == 0);
  CHECK(scalar.scalar_fp == 3);
  CHECK(scalar.divisions == 1);
  CHECK(scalar.spills == 1);
  CHECK(scalar.stored_bytes == 4);
  CHECK(MixOf(code.functions[0], {15}).called == std::vector<std::string>{"helper"});
}

TEST_CASE("a loop's text says where it goes back, and is cut with a word") {
  const Disassembly code = ParseObjdump(kText);
  const Loop loop = FindLoops(code, {0})[1];
  CHECK(LoopText(code.functions[0], loop, 40).ends_with("cmp %rax,%rdi\njne (back)\n"));
  CHECK(LoopText(code.functions[0], loop, 3) ==
        "vmovups (%rsi,%rax,1),%ymm1\nvfmadd213ps (%rcx,%rax,1),%ymm2,%ymm1\n"
        "[4 more instructions]\n");
}

TEST_CASE("llvm-mca's report is read") {
  const auto model = ParseMca(
      "Iterations:        100\nInstructions:      600\nTotal Cycles:      161\n"
      "Total uOps:        600\n\nDispatch Width:    6\nuOps Per Cycle:    3.73\n"
      "IPC:               3.73\nBlock RThroughput: 1.5\n\n"
      "Cycles with backend pressure increase [ 73.29% ]\nThroughput Bottlenecks: \n"
      "  Resource Pressure       [ 65.84% ]\n  - Zn3FPP45  [ 65.84% ]\n"
      "  Data Dependencies:      [ 70.81% ]\n  - Register Dependencies [ 70.81% ]\n\n"
      "Resources:\n[0]   - A\n[1]   - B\n[2]   - C\n\n"
      "Resource pressure per iteration:\n[0]    [1]    [2]    \n -     1.02   1.50   \n");
  REQUIRE(model);
  CHECK(model->cycles_per_iteration == doctest::Approx(1.61));
  CHECK(model->uops_per_iteration == 6);
  CHECK(model->block_throughput == 1.5);
  CHECK(model->bottleneck == "data dependency");
  REQUIRE(model->ports.size() == 2);
  CHECK(model->ports[0].port == "C");
  CHECK(model->ports[0].cycles == 1.5);
  CHECK_FALSE(ParseMca("error: unknown\n"));
}

TEST_CASE("what a compiler makes: a vector loop, and a chain of dependent additions") {
  if (FindTool({"objdump"}).empty()) {
    MESSAGE("SKIPPED: no objdump (package binutils)");
    return;
  }
  const Analysed axpy =
      Analyse(test::Compiled("void axpy(float* restrict y, const float* restrict x, long n) {\n"
                             "  for (long i = 0; i < n; ++i) y[i] += 3 * x[i];\n}\n",
                             {"-O3", "-march=x86-64-v3"}),
              "axpy");
  REQUIRE(axpy.hot);
  const InstructionMix mix = MixOf(axpy.code.functions[axpy.hot->function], axpy.hot->instructions);
  CHECK(mix.vector_bits == 256);
  CHECK(mix.fma >= 1);
  CHECK(mix.loaded_bytes == 2 * mix.stored_bytes);

  const Analysed sum =
      Analyse(test::Compiled("double sum(const double* x, long n) {\n  double s = 0;\n"
                             "  for (long i = 0; i < n; ++i) s += x[i];\n  return s;\n}\n",
                             {"-O1", "-march=x86-64-v3"}),
              "sum");
  REQUIRE(sum.hot);
  const Function& function = sum.code.functions[sum.hot->function];
  CHECK(MixOf(function, sum.hot->instructions).scalar_fp == 1);
  const auto model = AnalyseLoop(function, *sum.hot, "haswell");
  if (!model && model.error().code == Code::kNotFound) {
    MESSAGE("SKIPPED: " << model.error().message);
    return;
  }
  REQUIRE(model);
  CHECK(model->cpu == "haswell");
  CHECK(model->bottleneck == "data dependency");
  CHECK(model->cycles_per_iteration == doctest::Approx(3).epsilon(0.1));  // vaddsd's latency
}

TEST_CASE("a model that llvm-mca does not know gives way to this machine's") {
  const Disassembly code = ParseObjdump(kText);
  const auto model = AnalyseLoop(code.functions[0], FindLoops(code, {0})[1], "abacus");
  if (!model && model.error().code == Code::kNotFound) {
    MESSAGE("SKIPPED: " << model.error().message);
    return;
  }
  REQUIRE(model);
  CHECK(model->cpu != "abacus");
  CHECK(model->cycles_per_iteration > 0.5);
}

}  // namespace kev
