// The benchmark of the frame: real store, real queue, stages that do nothing. Its speed depends on
// the machine and is no test.
#include <doctest/doctest.h>

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
