#include "runners/analysis/gpu_resources.h"

#include <doctest/doctest.h>

#include <cstdlib>

#include "engine/core/random.h"
#include "runners/analysis/code_digest.h"
#include "tests/runners/analysis/support/compiled.h"

namespace kev {
namespace {

std::string Sample(const std::string& name) {
  const char* root = std::getenv("KEVOLVE_SOURCE_DIR");
  const std::string folder = root == nullptr ? "." : root;
  const std::string text = FileText(folder + "/tests/runners/analysis/samples/" + name);
  REQUIRE_FALSE(text.empty());
  return text;
}

GpuResources Of(const Result<GpuResources>& resources) {
  REQUIRE(resources);
  return *resources;
}

}  // namespace

TEST_CASE("ptxas -v of a file with two kernels") {
  const std::string text = Sample("reverse_sm_90.ptxas");
  GpuResources reverse;
  reverse.registers = 10;
  reverse.stack_bytes = reverse.spill_stores = reverse.spill_loads = 0;
  reverse.shared_bytes = 1024;
  reverse.barriers = 1;
  CHECK(Of(ParsePtxas(text, "reverse")) == reverse);
  GpuResources spill;
  spill.registers = 32;
  spill.stack_bytes = 152;
  spill.spill_stores = spill.spill_loads = 172;
  spill.shared_bytes = 0;
  spill.barriers = 1;
  CHECK(Of(ParsePtxas(text, "spill")) == spill);
  const auto none = ParsePtxas(text, "rev");
  REQUIRE_FALSE(none);
  CHECK(none.error().code == Code::kNotFound);
}

TEST_CASE("a cubin tells the same without any tool") {
  const std::string cubin = Sample("reverse_sm_90.cubin"), text = Sample("reverse_sm_90.ptxas");
  for (const char* kernel : {"reverse", "spill"}) {
    INFO(kernel);
    const GpuResources read = Of(ParseCubin(cubin, kernel)), told = Of(ParsePtxas(text, kernel));
    CHECK(read.registers == told.registers);
    CHECK(read.stack_bytes == told.stack_bytes);
    CHECK(read.shared_bytes == told.shared_bytes);  // without the 1 KiB that sm_90 reserves
    CHECK(read.barriers == told.barriers);
    CHECK(read.code_bytes > 0);
    CHECK(Merged(read, told).spill_stores == told.spill_stores);
  }
  CHECK(Of(ParseCubin(cubin, "reverse")).most_threads == 256);
  CHECK(Of(ParseCubin(cubin, "spill")).most_threads == -1);
  const GpuResources older = Of(ParseCubin(Sample("reverse_sm_80.cubin"), "reverse"));
  CHECK(older.registers == 8);
  CHECK(older.shared_bytes == 1024);
  CHECK(older.most_threads == 256);
}

TEST_CASE("no cubin, no such kernel, and damaged files") {
  CHECK(ParseCubin("text", "reverse").error().code == Code::kInvalid);
  const std::string cubin = Sample("reverse_sm_90.cubin");
  CHECK(ParseCubin(cubin, "missing").error().code == Code::kNotFound);
  CounterRandom random(3, "cubin");
  for (int round = 0; round < 500; ++round) {
    std::string damaged = cubin;
    for (int i = 0; i < 12; ++i)
      damaged[64 + random.Below(damaged.size() - 64)] = static_cast<char>(random.Next());
    const auto resources = ParseCubin(damaged, "reverse");
    if (resources) CHECK(resources->barriers >= 0);
  }
}

TEST_CASE("a cubin's identity: its code and constants, not its source's comments") {
  const std::string sm_90 = Sample("reverse_sm_90.cubin"), sm_80 = Sample("reverse_sm_80.cubin");
  CHECK(*CodeDigest(sm_90, {"reverse"}) != *CodeDigest(sm_80, {"reverse"}));
  CHECK(*CodeDigest(sm_90, {"reverse"}) != *CodeDigest(sm_90, {"spill"}));
  if (FindTool({"nvcc"}).empty()) {
    MESSAGE("SKIPPED: no nvcc");
    return;
  }
  const auto digest = [](const std::string& source) {
    const ToolFolder folder;
    REQUIRE(folder.Write("k.cu", source));
    ToolLimits limits;
    limits.folder = folder.path();
    limits.deadline = std::chrono::seconds(50);
    limits.address_space_bytes = 0;
    const auto built =
        RunTool({"nvcc", "-arch=sm_90", "-cubin", "-o", "k.cubin", "k.cu"}, "", limits);
    REQUIRE(built);
    REQUIRE(built->Succeeded());
    return *CodeDigest(FileText(folder.path() + "/k.cubin"), {"k"});
  };
  const std::string source = "extern \"C\" __global__ void k(float* x) { x[threadIdx.x] *= 3; }\n";
  const std::string first = digest(source);
  CHECK(digest("// faster\n\n" + source) == first);
  CHECK(digest("extern \"C\" __global__ void k(float* x) { x[threadIdx.x] *= 4; }\n") != first);
}

}  // namespace kev
