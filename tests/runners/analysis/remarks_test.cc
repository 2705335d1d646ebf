#include "runners/analysis/remarks.h"

#include <doctest/doctest.h>

#include "runners/analysis/tool_process.h"

namespace kev {
namespace {

constexpr char kSource[] =
    "float f(float);\n"
    "void kernel(float* restrict y, const float* restrict x, long n) { int unused;\n"
    "  for (long i = 0; i < n; ++i) y[i] = 2 * x[i];\n"
    "  for (long i = 0; i < n; ++i) y[i] = f(x[i]);\n"
    "}\n";

void CheckCompiler(const std::string& compiler) {
  if (FindTool({compiler}).empty()) {
    MESSAGE("SKIPPED: no " << compiler);
    return;
  }
  const ToolFolder folder;
  REQUIRE(folder.Write("kernel.c", kSource));
  const auto version = RunTool({compiler, "--version"}, "");
  REQUIRE(version);
  std::vector<std::string> words = {compiler, "-O3", "-march=x86-64-v3", "-Wall",   "-shared",
                                    "-fPIC",  "-o",  "kernel.so",        "kernel.c"};
  const std::vector<std::string> more = RemarkWords(version->out, "said");
  REQUIRE(!more.empty());
  words.insert(words.end(), more.begin(), more.end());
  ToolLimits limits;
  limits.folder = folder.path();
  const auto compiled = RunTool(words, "", limits);
  REQUIRE(compiled);
  REQUIRE_MESSAGE(compiled->Succeeded(), compiled->err);
  std::string messages = compiled->err;
  const std::vector<Remark> remarks =
      ParseRemarks(TakeRemarks(&messages) + FileText(folder.path() + "/said"), "kernel.c");
  CHECK_MESSAGE(messages.find("unused") != std::string::npos, messages);  // what it warns of stays
  CHECK(messages.find("loop") == std::string::npos);
  bool first = false, second = false;
  for (const Remark& remark : remarks) {
    INFO(remark.line << " " << remark.text);
    CHECK(remark.text.find('\n') == std::string::npos);
    first = first || (remark.line == 3 && remark.vectorized);
    second = second || (remark.line == 4 && !remark.vectorized);
  }
  CHECK(first);
  CHECK(second);
  CHECK(RemarksFrom(ToText(remarks)) == remarks);
}

}  // namespace

TEST_CASE("gcc's remarks: what was vectorised and why not, each once, noise left out") {
  const std::vector<Remark> remarks = ParseRemarks(
      "k.c:6:61: missed: couldn't vectorize loop\n"
      "k.c:6:79: missed: statement clobbers memory: _36 = expf (_34);\n"
      "k.c:5:10: note: vectorized 0 loops in function.\n"
      "k.c:6:79: missed: statement clobbers memory: _36 = expf (_34);\n"
      "k.c:6:61: note: ***** Analysis failed with vector mode V8DI\n"
      "k.c:3:109: optimized: loop vectorized using 32 byte vectors\n"
      "/usr/include/other.h:3:109: optimized: loop vectorized using 32 byte vectors\n"
      "  Vector cost: 28\n",
      "k.c");
  CHECK(remarks == std::vector<Remark>{{3, true, "loop vectorized using 32 byte vectors"},
                                       {6, false, "statement clobbers memory: _36 = expf (_34);"}});
}

TEST_CASE("clang's remarks are read too, without the option that switches them on") {
  const std::vector<Remark> remarks = ParseRemarks(
      "k.c:6:25: remark: loop not vectorized: call instruction cannot be vectorized "
      "[-Rpass-analysis=loop-vectorize]\n"
      "    6 |  for(long r=0;r<m;r++){\n      |  ^\n"
      "k.c:6:2: remark: loop not vectorized [-Rpass-missed=loop-vectorize]\n"
      "k.c:3:95: remark: vectorized loop (vectorization width: 8, interleaved count: 4) "
      "[-Rpass=loop-vectorize]\n",
      "k.c");
  CHECK(remarks == std::vector<Remark>{
                       {3, true, "vectorized loop (vectorization width: 8, interleaved count: 4)"},
                       {6, false, "loop not vectorized: call instruction cannot be vectorized"}});
}

TEST_CASE("what was vectorised survives where there is room for few") {
  std::string output;
  for (int i = 1; i < 50; ++i)
    output += "k.c:" + std::to_string(i) + ":1: missed: statement clobbers memory: f ();\n";
  output += "k.c:60:1: optimized: loop vectorized using 64 byte vectors\n";
  const std::vector<Remark> remarks = ParseRemarks(output, "k.c", 4);
  REQUIRE(remarks.size() == 4);
  CHECK(remarks[3].line == 60);
}

TEST_CASE("compilers are asked again and their output is left alone") {
  CheckCompiler("gcc");
  CheckCompiler("clang-19");
}

TEST_CASE("a compiler that does not say what it vectorised is not asked") {
  CHECK(RemarkWords("nvcc: NVIDIA (R) Cuda compiler driver\nrelease 13.0", "said").empty());
}

TEST_CASE("the twin is compiled without AVX-512 and otherwise alike") {
  CHECK(TwinArguments({"cc", "-O3", "-march=native", "-mavx512f", "-mtune=znver4", "k.c"}) ==
        std::vector<std::string>{"cc", "-march=x86-64-v3", "-O3", "k.c"});
}

}  // namespace kev
