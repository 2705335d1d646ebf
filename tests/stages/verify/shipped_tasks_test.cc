// The shipped tasks as verify will judge them: honest kernels pass with every value class, and what
// is cheap and wrong does not; symmetries hold bit for bit on the references.
#include <doctest/doctest.h>

#include <cstring>
#include <fstream>
#include <functional>

#include "configs/task.h"
#include "stages/propose/search_space.h"
#include "stages/verify/symmetry.h"
#include "tests/stages/verify/shipped_task.h"

namespace kev {
namespace {

using test::ShippedTask;

// What is wrong with a kernel; "" when all cases accept it.
std::string Fault(const ShippedTask& shipped, test::KernelFunction* kernel) {
  for (const Case& one : shipped.SmallCases()) {
    const OutputJudge judge = shipped.JudgeOf(one);
    const std::string got = shipped.Run(kernel, shipped.Inputs(one), one.axes, false);
    const ErrorStatistics statistics = judge.Judge(got);
    CHECK(judge.Accepts(got) == statistics.accepted);
    if (!statistics.accepted) return std::string(Name(one.values)) + ": " + statistics.reason;
  }
  return "";
}

// The first, the middle and the last assignment of each variant.
void CheckVariants(ShippedTask* shipped) {
  for (const Variant& variant : shipped->task.variants) {
    const SearchSpace space({variant});
    const std::vector<Point>& points = space.points();
    for (const size_t at : {size_t{0}, points.size() / 2, points.size() - 1}) {
      const Value assignment = space.Assignment(points[at]);
      CAPTURE(variant.name);
      CAPTURE(ToJson(assignment));
      CHECK(Fault(*shipped, shipped->Compile(Instantiate(variant, assignment))) == "");
    }
  }
}

void CheckBaselines(ShippedTask* shipped) {
  for (const SourceSpec& baseline : shipped->task.baselines) {
    if (!baseline.libraries.empty()) continue;  // need a library that may not be installed
    CAPTURE(baseline.name);
    CHECK(Fault(*shipped, shipped->Compile(baseline)) == "");
  }
}

TEST_CASE("baselines and variants of every shipped task are right") {
  for (const char* name : {"softmax", "rmsnorm", "matmul", "mapid"}) {
    CAPTURE(name);
    ShippedTask shipped(name);
    CheckBaselines(&shipped);
    CheckVariants(&shipped);
  }
}

TEST_CASE("a product summed in half precision, or without some terms, is refused") {
  ShippedTask shipped("matmul");
  const auto source = [](const std::string& term) {
    return "#include <stdint.h>\n"
           "static float Round(float x, int bits) { union { float f; uint32_t u; } v = {x};\n"
           "  v.u = (v.u + (1u << (bits - 1))) & ~((1u << bits) - 1); return v.f; }\n"
           "void matmul(const float* a, const float* b, float* c, int64_t m, int64_t n, int64_t k) "
           "{ for (int64_t i = 0; i < m; i++) for (int64_t j = 0; j < n; j++) { float s = 0;\n"
           "  for (int64_t p = 0; p < k; p++) " +
           term + " c[i * n + j] = s; } }";
  };
  const std::string product = "a[i * k + p] * b[p * n + j]";
  CHECK(Fault(shipped, shipped.Compile(source("s += " + product + ";"))) == "");
  CHECK(Fault(shipped, shipped.Compile(source("s = Round(s + " + product + ", 13);"))) != "");
  CHECK(Fault(shipped, shipped.Compile(source("s += Round(a[i * k + p], 13) * b[p * n + j];"))) !=
        "");
  CHECK(Fault(shipped, shipped.Compile(source("if (p % 60 != 59) s += " + product + ";"))) != "");
}

TEST_CASE("a softmax that leaves out elements, or is rounded to bf16, is refused") {
  ShippedTask shipped("softmax");
  const std::string& plain = shipped.task.baselines[0].text;
  const auto with = [&](const std::string& after) {
    std::string text = plain;
    const std::string last = "for (int64_t c = 0; c < cols; c++) out[c] *= scale;";
    text.replace(text.find(last), last.size(), last + after);
    return Fault(shipped, shipped.Compile(text));
  };
  CHECK(with("") == "");
  CHECK(with("if (r == rows - 1) out[cols - 1] = 0;") != "");
  CHECK(with("for (int64_t c = 6; c < cols; c += 7) out[c] = 1.0f / cols;") != "");
  CHECK(with("for (int64_t c = 0; c < cols; c++) { union { float f; uint32_t u; } v = {out[c]}; "
             "v.u &= 0xFFFF0000u; out[c] = v.f; }") != "");
}

// Inputs, transformed, give exactly the transformed output.
void CheckSymmetries(const ShippedTask& shipped, const Case& one) {
  const Task& task = shipped.task;
  const Arrays inputs = shipped.Inputs(one);
  const std::string exact = shipped.Exact(inputs, one.axes);
  std::vector<std::string_view> in, out;
  for (size_t a = 0; a < task.arguments.size(); ++a) {
    in.push_back(inputs[a]);
    out.push_back(a == shipped.output ? std::string_view(exact) : std::string_view());
  }
  const Symmetries symmetries = Symmetries::Make(task, one.axes, in, out, true).value();
  REQUIRE(symmetries.Any());
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const FreshValues fresh = symmetries.Draw(seed);
    Arrays changed(inputs.size());
    bool any = false;
    for (size_t a = 0; a < inputs.size(); ++a) {
      const Argument& argument = task.arguments[a];
      changed[a].resize(inputs[a].size());
      fresh.Apply(argument.name, argument.dtype, inputs[a], changed[a]);
      any = any || changed[a] != inputs[a];
    }
    CHECK(any);
    const Argument& output = task.arguments[shipped.output];
    std::string wanted(exact.size(), '\0');
    fresh.Apply(output.name, ReferenceDType(output), exact, wanted);
    CHECK((shipped.Exact(changed, one.axes) == wanted));
  }
}

TEST_CASE("symmetries of every shipped task hold bit for bit") {
  for (const char* name : {"softmax", "rmsnorm", "matmul", "mapid"}) {
    CAPTURE(name);
    const ShippedTask shipped(name);
    for (const Case& one : shipped.SmallCases()) {
      // A single element cannot be permuted, and zeros cannot be scaled.
      if (one.workload == "least" || one.values == ValueClass::kZeros ||
          one.values == ValueClass::kOnes || one.values == ValueClass::kDenormal)
        continue;
      CAPTURE(Name(one.values));
      CheckSymmetries(shipped, one);
    }
  }
}

}  // namespace
}  // namespace kev
