#include "runners/analysis/kernel_profile.h"

#include <doctest/doctest.h>

#include "tests/runners/analysis/support/compiled.h"

namespace kev {
namespace {

KernelProfile Full() {
  KernelProfile profile;
  profile.seconds = 1.25e-4;
  profile.roofline.emplace();
  profile.roofline->intensity = 0.123456;
  profile.roofline->level = "L2";
  profile.roofline->bottleneck = Bottleneck::kL2;
  profile.mix.emplace();
  profile.mix->instructions = 6;
  profile.mix->vector_bits = 256;
  profile.mix->ymm = 3;
  profile.model.emplace();
  profile.model->cpu = "znver4";
  profile.model->bottleneck = "ports";
  profile.model->ports = {{"Port0", 1.234567}};
  profile.counts.emplace();
  profile.counts->instructions = 1234.4;
  profile.remarks = {{3, true, "loop vectorized using 32 byte vectors"}};
  profile.function = "kernel";
  profile.hot_loop = "add $1,%rax\njne (back)\n";
  return profile;
}

}  // namespace

TEST_CASE(
    "the record of a CPU kernel: the same names, few digits, counts that say what they are of") {
  const Value record = ToValue(Full());
  CHECK(record["time_s"].AsDouble() == 1.25e-4);
  CHECK(record["bottleneck"].AsString() == "memory-L2");
  CHECK(record["roofline"]["intensity"].AsDouble() == 0.123);
  CHECK(record["mix"]["ymm"].AsInt() == 3);
  CHECK_FALSE(record["mix"].Has("gathers"));
  CHECK(record["static"]["ports"]["Port0"].AsDouble() == 1.23);
  CHECK(record["counts"]["instructions"].AsDouble() == 1234);
  CHECK(record["counts"]["of"].AsString().find("twin") != std::string::npos);
  CHECK(record["remarks"].AsList().at(0).AsString() ==
        "line 3: loop vectorized using 32 byte vectors");
  CHECK(record["hot_loop"].AsString() == "add $1,%rax\njne (back)\n");
}

TEST_CASE("the record of a GPU kernel has its resources under the same names") {
  KernelProfile profile;
  profile.seconds = 1e-5;
  profile.resources.emplace();
  profile.resources->registers = 48;
  profile.resources->spill_stores = 8;
  profile.resources->spill_loads = 16;
  profile.resources->shared_bytes = 8448;
  const Value record = ToValue(profile);
  CHECK(record["bottleneck"].AsString() == "unknown");
  CHECK(record["resources"]["registers"].AsInt() == 48);
  CHECK(record["resources"]["spill_bytes"].AsInt() == 24);
  CHECK(record["resources"]["shared_bytes"].AsInt() == 8448);
  CHECK_FALSE(record["resources"].Has("barriers"));
  CHECK_FALSE(record.Has("hot_loop"));
}

TEST_CASE("a record never grows beyond its size: the loop's middle goes first, then remarks") {
  KernelProfile profile = Full();
  profile.hot_loop = "first\n";
  for (int i = 0; i < 500; ++i) profile.hot_loop += "vfmadd231ps 0x1234(%rax,%rbx,8),%zmm1,%zmm2\n";
  profile.hot_loop += "last\n";
  const Value large = ToValue(profile);
  CHECK(ToJson(large).size() <= kMostProfileBytes);
  CHECK(large["hot_loop"].AsString().starts_with("first\n"));
  CHECK(large["hot_loop"].AsString().ends_with("last\n"));
  CHECK(large["hot_loop"].AsString().find("lines left out]") != std::string::npos);

  for (int i = 0; i < 50; ++i) profile.remarks.push_back({i, false, std::string(1000, 'x')});
  for (int i = 0; i < 50; ++i) profile.absent.push_back(std::string(1000, 'y'));
  profile.function = std::string(5000, 'f');
  for (int i = 0; i < 50; ++i) profile.mix->called.push_back(std::string(3000, 'c'));
  CHECK(ToJson(ToValue(profile)).size() <= kMostProfileBytes);
}

TEST_CASE("a compiled kernel's profile: its hot loop, what is in it, what the model says") {
  const KernelProfile profile = ProfileLibrary(
      test::Compiled("float dot(const float* x, const float* y, long n) {\n  float s = 0;\n"
                     "  for (long i = 0; i < n; ++i) s += x[i] * y[i];\n  return s;\n}\n",
                     {"-O2", "-march=x86-64-v3"}),
      "dot");
  if (FindTool({"objdump"}).empty()) {
    CHECK(profile.absent.at(0).find("install package binutils") != std::string::npos);
    return;
  }
  REQUIRE(profile.mix);
  CHECK(profile.function == "dot");
  CHECK(profile.mix->scalar_fp == 2);
  CHECK(profile.mix->fma == 1);
  CHECK(profile.hot_loop.ends_with("(back)\n"));
  if (!profile.model) {
    CHECK(profile.absent.at(0).starts_with("static model: "));
    return;
  }
  CHECK(HintOf(profile).dependency);
  CHECK(profile.absent.empty());
}

TEST_CASE("what cannot be had is named with its reason") {
  const KernelProfile text = ProfileLibrary("no library", "f");
  CHECK(text.absent.at(0).starts_with("hot loop: "));
  const KernelProfile straight =
      ProfileLibrary(test::Compiled("int f(int x) { return x + 1; }\n", {"-O2", "-nostdlib"}), "f");
  if (!FindTool({"objdump"}).empty())
    CHECK(straight.absent == std::vector<std::string>{"hot loop: the function has no loop"});
}

}  // namespace kev
