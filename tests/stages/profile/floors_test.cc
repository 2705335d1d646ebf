#include "stages/profile/floors.h"

#include <doctest/doctest.h>

#include "tests/stages/support/kernel_task.h"

namespace kev {
namespace {

// 1e6 operations on 1 MB, all of it in memory, in `ns`.
TimedWork Took(double ns) {
  TimedWork timed;
  timed.name = "square";
  timed.place = "workload square";
  timed.ns = ns;
  timed.work.flops = 1e6;
  timed.work.bytes = 1e6;
  return timed;
}

// Measured: 10 GFLOP/s, so that Took needs 100 us; 100 GB/s from L1.
MachineFigures Measured() {
  MachineFigures machine;
  machine.cpu.vendor = "of no known make";
  machine.measured.emplace();
  machine.measured->flops["f32.avx2"] = 10e9;
  machine.measured->levels = {{"L1", 32 << 10, 16 << 10, 100e9, 80e9, 1e-9}};
  return machine;
}

// Datasheet: 20 GFLOP/s, so 50 us.
Target Datasheet() {
  Target target;
  target.name = "box";
  target.peaks["flops"] = 20e9;
  return target;
}

}  // namespace

TEST_CASE("a time above both floors is neither impossible nor suspect") {
  const JudgeFloor floor = JudgeFloors({Took(110e3)}, Measured(), Datasheet());
  CHECK_FALSE(floor.impossible);
  CHECK_FALSE(floor.suspect);
  CHECK(floor.why.empty());
  CHECK(floor.floor_ns == doctest::Approx(100e3));  // the measured one is the tighter
}

TEST_CASE("between the datasheet's floor and the measured one a time is suspect") {
  const JudgeFloor floor = JudgeFloors({Took(80e3)}, Measured(), Datasheet());
  CHECK_FALSE(floor.impossible);
  CHECK(floor.suspect);
  CHECK(floor.why ==
        "workload square: 8e+04 ns a call, and 1e+05 ns are the least: 1.25 times faster than the "
        "peak measured on this machine");
  // A measured peak is a ceiling but for its own noise.
  CHECK_FALSE(JudgeFloors({Took(97e3)}, Measured(), Datasheet()).suspect);
}

TEST_CASE("below the datasheet's floor a time is impossible, and no more than suspect") {
  const JudgeFloor floor = JudgeFloors({Took(200e3), Took(40e3)}, Measured(), Datasheet());
  CHECK(floor.impossible);
  CHECK_FALSE(floor.suspect);
  CHECK(floor.why ==
        "workload square: 4e+04 ns a call, and 5e+04 ns are the least: 1.25 times faster than the "
        "hardware can be (peaks of target box)");
}

TEST_CASE("without measured peaks nothing is suspect, without a datasheet little impossible") {
  MachineFigures unknown = Measured();
  unknown.measured.reset();
  CHECK_FALSE(JudgeFloors({Took(80e3)}, unknown, Datasheet()).suspect);
  const JudgeFloor none = JudgeFloors({Took(1)}, unknown, Target());
  CHECK_FALSE(none.impossible);
  CHECK(none.floor_ns == 0);
}

TEST_CASE("bytes that the caches can hold need not come from memory") {
  MachineFigures machine = Measured();
  machine.measured.reset();
  Target target;
  target.peaks["bytes"] = 1e9;  // 1 MB: 1 ms
  machine.cpu.cache_bytes = {32 << 10, 2 << 20};
  CHECK_FALSE(JudgeFloors({Took(100e3)}, machine, target).impossible);
  machine.cpu.cache_bytes = {32 << 10};
  CHECK(JudgeFloors({Took(100e3)}, machine, target).impossible);
}

TEST_CASE("an x86 core without a datasheet is bound by twice what its vectors can do") {
  MachineFigures machine;
  machine.cpu.vendor = "AuthenticAMD";
  machine.cpu.avx2 = machine.cpu.fma = true;
  machine.cpu.highest_hz = 4e9;  // 128 GFLOP/s in two fused units: 7.8 us
  CHECK_FALSE(JudgeFloors({Took(4e3)}, machine, Target()).impossible);
  const JudgeFloor floor = JudgeFloors({Took(3.8e3)}, machine, Target());
  CHECK(floor.impossible);
  CHECK(floor.why.find("derived: two fused units of 256 bits") != std::string::npos);
  CHECK(floor.why.find("doubled") != std::string::npos);
  // Where the CPU tells no clock, 1.5 times the one that was seen is its highest.
  machine.cpu.highest_hz = 0;
  machine.clock_hz = 2e9;
  CHECK(JudgeFloors({Took(5.1e3)}, machine, Target()).impossible);
  CHECK_FALSE(JudgeFloors({Took(5.3e3)}, machine, Target()).impossible);
  machine.cpu.highest_hz = 4e9;
  // What is kept in f64 may be computed in f32.
  TimedWork wide = Took(4e3);
  wide.work.element_bytes = 8;
  CHECK_FALSE(JudgeFloors({wide}, machine, Target()).impossible);
  // A matrix unit does far more than vectors.
  machine.cpu.matrix_unit = true;
  TimedWork arithmetic = Took(3.8e3);
  arithmetic.work.bytes = 0;
  CHECK_FALSE(JudgeFloors({arithmetic}, machine, Target()).impossible);
}

TEST_CASE("numbers narrower than f32 are not held to what f32 was measured to reach") {
  TimedWork half = Took(80e3);
  half.work.element_bytes = 2;
  CHECK_FALSE(JudgeFloors({half}, Measured(), Datasheet()).suspect);
}

TEST_CASE("a held-out workload counts, but neither its name nor its floor is told") {
  TimedWork held_out = Took(80e3);
  held_out.held_out = true;
  held_out.place = "a held-out workload";
  held_out.work.flops = 2e6;
  const JudgeFloor floor = JudgeFloors({Took(110e3), held_out}, Measured(), Datasheet());
  CHECK(floor.impossible);
  CHECK(floor.why.starts_with("a held-out workload: "));
  CHECK(floor.floor_ns == doctest::Approx(100e3));
}

TEST_CASE("the work of a call: formulas, arrays once, whole windows, the narrowest floats") {
  Task task = test::TwiceTask();
  task.flops = test::Axis("cols");
  task.arguments[1].dtype = DType::kF64;
  Argument scratch = task.arguments[0];
  scratch.role = Argument::Role::kWorkspace;
  task.arguments.push_back(scratch);
  const TimedWork square = WorkOf(task, task.workloads[0]);
  CHECK(square.work.flops == 64);
  CHECK(square.work.bytes == 0);  // no formula
  CHECK(square.array_bytes == 64 * 64 * (4 + 8));
  CHECK(square.work.working_set == 64 * 64 * (4 + 8 + 4));
  CHECK(WorkOf(task, task.workloads[0], 1e6).work.working_set == 1e6 + 64 * 64 * 4);
  CHECK(square.work.element_bytes == 4);
  CHECK(WorkOf(task, task.workloads[2]).place == "a held-out workload");
}

}  // namespace kev
