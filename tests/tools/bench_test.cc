// The benchmark of the frame: real store, real queue, stages that do nothing. Its speed depends on
// the machine and is no test.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/tools/support/run_facts.h"

using namespace kev::test;

TEST_CASE("kevolve-bench frame --json ends with the figure, and nothing of it is left") {
  Sandbox sandbox;
  const CommandResult result =
      sandbox.Run({"kevolve-bench", "frame", "--candidates", "2000", "--json"});
  INFO(result.err);
  CHECK(result.exit_code == 0);
  const Json figure = DoneLine(result);
  REQUIRE(figure.is_object());
  CHECK(figure.size() == 1);
  CHECK(figure["candidates_per_s"].get<double>() > 0);
  CHECK(sandbox.RunIds().empty());
  CHECK(sandbox.Processes().empty());
}

TEST_CASE("kevolve-bench judge --json ends with what judging one kernel costs") {
  Sandbox sandbox;
  const CommandResult result = sandbox.Run({"kevolve-bench", "judge", "--task", Fixture("tiny"),
                                            "--kernels", "3", "--launches", "2", "--json"});
  INFO(result.err);
  CHECK(result.exit_code == 0);
  const Json figures = DoneLine(result);
  REQUIRE(figures.is_object());
  CHECK(figures["task"] == "tiny");
  CHECK(figures["kernels"] == 3);
  for (const char* name : {"compile_ms", "smoke_ms", "measure_ms", "screen_ms", "screened_per_s",
                           "final_ms", "kernel_ns"})
    CHECK_MESSAGE(figures[name].get<double>() > 0, name);
  // Each kernel is another one: what is counted holds a compile of its own.
  CHECK(figures["screen_ms"].get<double>() > figures["smoke_ms"].get<double>());
  CHECK(sandbox.Processes().empty());
}

TEST_CASE("kevolve-truth measures a pair of known ratio, anew each time") {
  Sandbox sandbox;
  const CommandResult result =
      sandbox.Run({"kevolve-truth", "--tasks", SourceDir() + "/tests/performance/timing_truth",
                   "--cells", "chain 2", "--repetitions", "2", "--launches", "3"});
  INFO(result.err);
  CHECK(result.exit_code == 0);
  const std::vector<Json> lines = JsonLines(result.out);
  REQUIRE(lines.size() == 2);
  for (const Json& line : lines) {
    CHECK(line["cell"] == "chain 2");
    CHECK(line["launches"] == 3);
    CHECK(line["low"].get<double>() <= line["ratio"].get<double>());
    CHECK(line["ratio"].get<double>() <= line["high"].get<double>());
    // What is measured is this pair, in this direction; how well is for the script to count.
    CHECK(std::abs(line["true_ratio"].get<double>() - 2) < 0.05);
    CHECK(line["ratio"].get<double>() > 1.5);
    CHECK(line["ratio"].get<double>() < 2.7);
  }
  CHECK(lines[0]["ratio"] != lines[1]["ratio"]);
  CHECK(sandbox.Processes().empty());
  const CommandResult unknown = sandbox.Run({"kevolve-truth", "--cells", "chain 3"});
  CHECK(unknown.exit_code == 2);
  CHECK_MESSAGE(unknown.err.find("chain 3") != std::string::npos, unknown.err);
  CHECK(sandbox.Run({"kevolve-truth", "--core", "last"}).exit_code == 2);
}

TEST_CASE("kevolve-bench refuses what it does not know") {
  Sandbox sandbox;
  const CommandResult unknown = sandbox.Run({"kevolve-bench", "nothing"});
  CHECK(unknown.exit_code == 2);
  CHECK(unknown.err.find("'nothing'") != std::string::npos);
  const CommandResult result = sandbox.Run({"kevolve-bench", "frame", "--candidates", "-3"});
  CHECK(result.exit_code == 2);
  CHECK(result.err.find("--candidates") != std::string::npos);
  const CommandResult few = sandbox.Run({"kevolve-bench", "growth", "--candidates", "99999"});
  CHECK(few.exit_code == 2);
  CHECK(few.err.find("--candidates 99999 is too few") != std::string::npos);
}
