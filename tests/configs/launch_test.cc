// The line of a source that says how its kernel is launched on a device.
#include "configs/launch.h"

#include <doctest/doctest.h>

namespace kev {
namespace {

Task WithAxes() {
  Task task;
  task.axes = {"rows", "cols"};
  return task;
}

LaunchNumbers Numbers(const std::string& line, const Axes& axes) {
  const Result<std::string> text = LaunchTextOf(std::string(line).append("\n"));
  REQUIRE_MESSAGE(text.ok(), (text.ok() ? "" : text.error().message));
  const Result<LaunchForm> form = ParseLaunch(*text, WithAxes());
  REQUIRE_MESSAGE(form.ok(), (form.ok() ? "" : form.error().message));
  const Result<LaunchNumbers> numbers = LaunchFor(*form, axes);
  REQUIRE_MESSAGE(numbers.ok(), (numbers.ok() ? "" : numbers.error().message));
  return *numbers;
}

std::string Fault(const std::string& text, const Axes& axes) {
  const Result<LaunchForm> form = ParseLaunch(text, WithAxes());
  if (!form.ok()) return form.error().message;
  const Result<LaunchNumbers> numbers = LaunchFor(*form, axes);
  return numbers.ok() ? "" : numbers.error().message;
}

bool Has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a launch is formulas over the task's axes; what is left away is 1, shared 0") {
  const Axes axes = {{"rows", 1000}, {"cols", 33}};
  LaunchNumbers n = Numbers("// launch: { grid: [rows], block: [256] }", axes);
  CHECK(n.grid == std::array<uint32_t, 3>{1000, 1, 1});
  CHECK(n.block == std::array<uint32_t, 3>{256, 1, 1});
  CHECK(n.shared_bytes == 0);
  n = Numbers("  //launch: { grid: [(rows + 3) // 4, cols], block: [32, 4, 2], shared: 4 * cols }",
              axes);
  CHECK(n.grid == std::array<uint32_t, 3>{250, 33, 1});
  CHECK(n.block == std::array<uint32_t, 3>{32, 4, 2});
  CHECK(n.shared_bytes == 132);
}

TEST_CASE("numbers that the source defines may stand in it; of two the first counts") {
  const std::string source =
      "#define WARPS 8\n#ifndef WARPS\n#define WARPS 4\n#endif\n#define WARPS_LEFT x\n"
      "#define HALF 0.5\n#define SIZE 16  // of a tile\n"
      "// launch: { grid: [rows // WARPS], block: [32, WARPS], shared: SIZE * 4 }";
  const LaunchNumbers n = Numbers(source, {{"rows", 64}, {"cols", 1}});
  CHECK(n.grid[0] == 8);
  CHECK(n.block[1] == 8);
  CHECK(n.shared_bytes == 64);
  CHECK(Has(Fault(*LaunchTextOf("#define HALF 0.5\n// launch: { grid: [HALF], block: [1] }"),
                  {{"rows", 1}, {"cols", 1}}),
            "HALF"));
}

TEST_CASE("a source without the line, or with two, is told what to write") {
  CHECK(Has(LaunchTextOf("void f() {}\n").error().message, "// launch: { grid: [rows]"));
  CHECK(LaunchTextOf("int launch: 3;").error().code == Code::kNotFound);
  const std::string line = "// launch: { grid: [1], block: [1] }\n";
  CHECK(Has(LaunchTextOf(line + line).error().message, "2 lines"));
}

TEST_CASE("what no device takes is refused, with formula and value") {
  const Axes axes = {{"rows", 10}, {"cols", 0}};
  CHECK(Has(Fault("{ grid: [cols], block: [1] }", axes), "grid `cols` is 0"));
  CHECK(
      Has(Fault("{ grid: [1], block: [rows * 200] }", axes), "is 2000; it must be from 1 to 1024"));
  CHECK(Has(Fault("{ grid: [1], block: [64, 32] }", axes), "2048 threads"));
  CHECK(Has(Fault("{ grid: [1, 70000], block: [1] }", axes), "65535"));
  CHECK(Has(Fault("{ grid: [0 - rows], block: [1] }", axes), "not a whole number from 0"));
  CHECK(Has(Fault("{ grid: [1], block: [1], shared: 99999999 }", axes),
            "more than a block can have"));
}

TEST_CASE("what is no launch says where it goes wrong") {
  const Axes axes = {{"rows", 1}, {"cols", 1}};
  CHECK(Has(Fault("{ grid: [depth], block: [1] }", axes), "depth"));
  CHECK(Has(Fault("{ grid: [1] }", axes), "block"));
  CHECK(Has(Fault("{ grid: 1, block: [1] }", axes), "list of 1 to 3 formulas"));
  CHECK(Has(Fault("{ grid: [1, 1, 1, 1], block: [1] }", axes), "list of 1 to 3 formulas"));
  CHECK(Has(Fault("{ grid: [1], block: [1], stream: 2 }", axes), "stream"));
  CHECK_FALSE(Fault("grid [1]", axes).empty());
  CHECK_FALSE(Fault("{ grid: [1", axes).empty());
  CHECK_FALSE(Fault("", axes).empty());
}

}  // namespace
}  // namespace kev
