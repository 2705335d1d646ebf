#include "runners/analysis/call_counts.h"

#include <doctest/doctest.h>
#include <unistd.h>

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

TEST_CASE("a function that is not called is said so") {
  if (NoValgrind()) return;
  const auto counts = Caller({"-O1"}).Count("nothing");
  REQUIRE_FALSE(counts);
  CHECK(counts.error().message.find("never called") != std::string::npos);
}

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
