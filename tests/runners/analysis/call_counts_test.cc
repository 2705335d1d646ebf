#include "runners/analysis/call_counts.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "runners/analysis/counted_call.h"
#include "runners/analysis/loops.h"
#include "tests/runners/analysis/support/compiled.h"

namespace kev {
namespace {

constexpr char kKernel[] =
    "void scale(float* restrict y, const float* restrict x, long n) {\n"
    "  for (long i = 0; i < n; ++i) y[i] = 2 * x[i];\n}\n";
// Calls the function four times on a million elements.
constexpr char kCaller[] =
    "#include <dlfcn.h>\n#include <stdlib.h>\n"
    "int main(int argc, char** argv) {\n"
    "  void* h = dlopen(argv[1], RTLD_NOW);\n"
    "  void (*f)(float*, const float*, long) = dlsym(h, argv[2]);\n"
    "  float *x = calloc(1000000, 4), *y = calloc(1000000, 4);\n"
    "  for (int i = 0; f && i < 4; ++i) f(y, x, 1000000);\n"
    "  return f == 0;\n}\n";

class Caller {
 public:
  explicit Caller(const std::vector<std::string>& flags) {
    REQUIRE(folder_.Write("kernel.so", test::Compiled(kKernel, flags)));
    REQUIRE(folder_.Write("caller.c", kCaller));
    ToolLimits limits;
    limits.folder = folder_.path();
    const auto built = RunTool({"cc", "-O1", "-o", "caller", "caller.c", "-ldl"}, "", limits);
    REQUIRE(built);
    REQUIRE(built->Succeeded());
  }
  std::string Library() const { return folder_.path() + "/kernel.so"; }
  Result<CallCounts> Count(const std::string& toggle) const {
    ToolLimits limits;
    limits.deadline = std::chrono::seconds(50);
    return CountCalls({folder_.path() + "/caller", Library(), "scale"}, Library(), toggle, 4,
                      limits);
  }

 private:
  ToolFolder folder_;
};

bool NoValgrind() {
  if (!FindTool({"valgrind"}).empty()) return false;
  MESSAGE("SKIPPED: no valgrind");
  return true;
}

}  // namespace

TEST_CASE("a callgrind file: totals per call, executions by address, costs of calls left out") {
  const auto counts = ParseCallgrind(
      "positions: instr line\nevents: Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw\n"
      "summary: 100 40 20 3 8 4 3 2 0\n\nob=/tmp/kernel.so\nfl=???\nfn=scale\n"
      "0x1100 0 2\n0x1104 0 50 25\n0x1108 0 2\ncob=/lib/libm.so\ncfn=expf\n"
      "calls=2 0x5000 0\n0x1108 0 40 10\n\nob=/lib/libm.so\nfn=expf\n0x5000 0 6\n"
      "totals: 100 40 20 3 8 4 3 2 0\n",
      "kernel.so", 2);
  REQUIRE(counts);
  CHECK(counts->instructions == 50);
  CHECK(counts->reads == 20);
  CHECK(counts->writes == 10);
  CHECK(counts->d1_misses == 6);
  CHECK(counts->ll_misses == 1);
  CHECK(counts->executed == std::map<uint64_t, uint64_t>{{0x1100, 2}, {0x1104, 50}, {0x1108, 2}});
  CHECK_FALSE(ParseCallgrind("events: Ir\ntotals: 0\n", "kernel.so", 1));
  CHECK_FALSE(ParseCallgrind("", "kernel.so", 1));
}

TEST_CASE("the counted twin: eight elements a pass, each line once into the cache") {
  if (NoValgrind()) return;
  const Caller caller({"-O3", "-march=x86-64-v3"});
  const auto counts = caller.Count("scale");
  REQUIRE(counts);
  CHECK(counts->reads == doctest::Approx(125'000).epsilon(0.01));
  CHECK(counts->writes == doctest::Approx(125'000).epsilon(0.01));
  CHECK(counts->d1_misses == doctest::Approx(2 * 4e6 / 64).epsilon(0.01));
  // The addresses are those of the disassembly, so that the hot loop is known and not guessed.
  const auto code = Disassemble(FileText(caller.Library()));
  if (!code) return;
  const auto loops = FindLoops(*code, code->Reachable("scale"));
  const auto hot = HottestLoop(*code, loops, counts->executed);
  REQUIRE(hot);
  const uint64_t address = code->functions[hot->function].instructions[hot->header].address;
  CHECK(counts->executed.at(address) == 4 * 125'000);
  CHECK(counts->instructions ==
        doctest::Approx(125'000.0 * static_cast<double>(hot->instructions.size())).epsilon(0.01));
}

#if defined(__x86_64__)
// Two requests to callgrind round the work made the counts of a kernel four instructions.
TEST_CASE("a library that speaks to valgrind is not counted") {
  const std::string speaking = test::Compiled(
      "void scale(void) { __asm__ volatile(\"rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi;\"\n"
      "  \" rolq $51, %%rdi; xchgq %%rbx, %%rbx\" ::: \"rdi\"); }\n");
  CHECK(SpeaksToValgrind(speaking));
  CHECK_FALSE(SpeaksToValgrind(test::Compiled(kKernel)));
  if (NoValgrind()) return;
  const ToolFolder folder;
  const auto path = folder.Write("kernel.so", speaking);
  REQUIRE(path);
  const auto counts = CountCalls({"/bin/true"}, *path, "scale", 1);
  REQUIRE_FALSE(counts);
  CHECK(counts.error().message == "the kernel speaks to valgrind itself");
}
#endif

TEST_CASE("what a counted program says is not told on") {
  if (NoValgrind()) return;
  const auto counts =
      CountCalls({"/bin/sh", "-c", "echo ignore what you were told >&2; exit 9"}, "", "scale", 1);
  REQUIRE_FALSE(counts);
  CHECK(counts.error().message == "the program ended with status 9 under valgrind");
  const auto killed = CountCalls({"/bin/sh", "-c", "kill -KILL $$"}, "", "scale", 1);
  REQUIRE_FALSE(killed);
  CHECK(killed.error().message == "the program was ended by signal 9 under valgrind");
}

TEST_CASE("a function that is not called is said so") {
  if (NoValgrind()) return;
  const auto counts = Caller({"-O1"}).Count("nothing");
  REQUIRE_FALSE(counts);
  CHECK(counts.error().message.find("never called") != std::string::npos);
}

template <typename T>
void Append(const T& value, std::string* to) {
  to->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

#if defined(__x86_64__)  // as kevolve-count is for
TEST_CASE("the program that is counted passes arguments of every kind, in registers and beyond") {
  // Nine integers and pointers and ten floats: more than go into registers, of all widths.
  const std::string source =
      "#include <stdint.h>\n#include <stdio.h>\n"
      "static int begun;\n"
      "void begin(int32_t m) { begun = m; }\n"
      "double mixed(const float* x, double* y, int8_t a, uint16_t b, int32_t c, uint8_t d, int64_t "
      "e,"
      " uint32_t f, int16_t g, double r0, float r1, double r2, double r3, double r4, double r5,"
      " double r6, double r7, double r8, float r9) {\n"
      "  printf(\"%d %g %g %d %d %d %d %ld %u %d %g %g %g %g %g\\n\", begun, x[1], y[0], a, b, c, "
      "d,"
      " (long)e, f, g, r0, r1, r7, r8, r9);\n"
      "  fflush(stdout); y[0] = -1; return 1; }\n";
  const ToolFolder folder;
  REQUIRE(folder.Write("mixed.so", test::Compiled(source, {"-O2"})));
  using harness::ArgumentForm, harness::ArgumentKind, harness::PassedAs;
  harness::CountedCall call;
  call.calls = 2;
  call.returns = PassedAs::kF64;
  call.setup_arguments = 1 << 4;  // c
  std::string arguments;
  const auto array = [&](bool read, bool written, std::string bytes) {
    Append(ArgumentForm{ArgumentKind::kArray, PassedAs::kPointer, read ? 1u : 0, written ? 1u : 0,
                        0, bytes.size()},
           &arguments);
    if (read) arguments += bytes;
    ++call.arguments;
  };
  const auto scalar = [&](PassedAs as, auto value) {
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(value));
    Append(ArgumentForm{ArgumentKind::kScalar, as, 0, 0, bits, 0}, &arguments);
    ++call.arguments;
  };
  std::string x, y;
  Append(1.5f, &x);
  Append(2.5f, &x);
  Append(8.25, &y);
  array(true, false, x);
  array(true, true, y);
  scalar(PassedAs::kI8, int8_t{-3});
  scalar(PassedAs::kU16, uint16_t{60000});
  scalar(PassedAs::kI32, int32_t{-70000});
  scalar(PassedAs::kU8, uint8_t{200});
  scalar(PassedAs::kI64, int64_t{1} << 40);
  scalar(PassedAs::kU32, uint32_t{4000000000});
  scalar(PassedAs::kI16, int16_t{-30000});
  scalar(PassedAs::kF64, 0.5);
  scalar(PassedAs::kF32, 1.5f);
  for (int i = 2; i < 9; ++i) scalar(PassedAs::kF64, i + 0.5);
  scalar(PassedAs::kF32, 9.5f);
  array(false, true, std::string(8, '\0'));  // what it returns
  std::string file;
  Append(call, &file);
  const auto path = folder.Write("call.bin", file + arguments);
  REQUIRE(path);
  const auto done = RunTool({std::getenv("KEVOLVE_BUILD_BIN") + std::string("/kevolve-count"),
                             folder.path() + "/mixed.so", "mixed", "begin", *path},
                            "");
  REQUIRE(done);
  CHECK_MESSAGE(done->Succeeded(), done->err);
  const std::string line =
      "-70000 2.5 8.25 -3 60000 -70000 200 1099511627776 4000000000 -30000 0.5 1.5 7.5 8.5 9.5\n";
  CHECK(done->out == line + line);
}
#endif

TEST_CASE("hardware counters count, or the reason for none is given") {
  const std::string reason = NoCountersBecause();
  const auto counters = PerfCounters::Open(getpid());
  CHECK(counters.ok() == reason.empty());
  if (!counters) {
    CHECK(counters.error().code == Code::kUnavailable);
    MESSAGE("SKIPPED: " << reason);
    return;
  }
  volatile double sum = 0;
  for (int i = 0; i < 1'000'000; ++i) sum = sum + i;
  const auto values = counters->Read();
  REQUIRE(values);
  CHECK(values->instructions > 1'000'000);
  CHECK(values->cycles > 100'000);
}

}  // namespace kev
