// Task: what to optimise, as loaded from a task folder. The file format is described in
// configs/tasks/README.md. Threads: plain values. Made by LoadTask in configs/load.h.
#ifndef KEV_CONFIGS_TASK_H_
#define KEV_CONFIGS_TASK_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/core/expression.h"
#include "engine/core/value.h"

namespace kev {

struct Fill {
  enum class Kind {
    kNone,
    kUniform,
    kNormal,
    kZeros,
    kOnes,
    kSortedUnique,
    kPermutation,
    kPickFrom
  } kind = Kind::kNone;
  double a = 0;          // uniform: low; normal: mean; pick_from: rate
  double b = 0;          // uniform: high; normal: standard deviation
  std::string argument;  // pick_from
};

struct Argument {
  std::string name;
  enum class Role {
    kIn,
    kOut,
    kInOut,
    kAxis,       // an axis' value, as `dtype` (i64 or i32)
    kScalar,     // a number that follows from the axes, as `dtype`
    kWorkspace,  // scratch memory: one per process, content undefined, never compared
    kReturn,     // what the function returns (Task::returns): an output of one element
  } role = Role::kIn;
  DType dtype = DType::kF32;
  std::vector<Program> dims;  // arrays: over axes; row-major
  std::string axis;           // kAxis: the axis whose value is passed
  Fill fill;                  // kIn, kInOut
  Program scalar = {};        // kScalar: the value, over axes
  bool constant = false;      // kIn: one copy per process, the same in all calls (weights)
};
bool IsInput(const Argument& argument);   // kIn, kInOut
bool IsOutput(const Argument& argument);  // kOut, kInOut, kReturn
bool IsArray(const Argument& argument);   // kIn, kOut, kInOut, kWorkspace: passed as a pointer

using Axes = std::map<std::string, int64_t>;
struct Workload {
  std::string name;
  Axes axes;
  double weight = 1;
  bool held_out = false;
};

// Fixed: at least `matched` of the elements differ from the expected value by at most atol + rtol *
// |expected|, the others by at most `cap` times that.
struct Tolerance {
  double rtol = 0;
  double atol = 0;
  double matched = 1;
  double cap = 10;
};

// By measured error: against the reference in double, the error at the median, the 99.9th
// percentile and the maximum may be `factor` times that of the yardstick, and is never asked to be
// below 2 ulp.
struct MeasuredTolerance {
  std::string yardstick;  // name of a baseline
  double factor = 2;
  enum class Scale {
    kResult,    // errors are relative to the expected value itself
    kAbsolute,  // to the reference's result for the inputs' absolute values (sum |a||b|)
  } scale = Scale::kResult;
  double floor = 0;  // least scale: errors below it times the allowed ulps do not matter
};

// Kinds of input values of a full check; what each means for which dtype: configs/tasks/README.md.
enum class ValueClass {
  kFill,  // as the argument's `fill` says
  kUniform,
  kNormal,
  kLarge,
  kTiny,
  kDenormal,
  kZeros,
  kOnes,
  kSorted,
  kRepeated,
  kInfinities,
  kNans,
};
const char* Name(ValueClass values);
std::optional<ValueClass> ValueClassFrom(std::string_view name);  // not kFill

// An exact transformation of inputs and outputs under which the function commutes.
struct Symmetry {
  std::string permute;               // an axis: slices of every array along it, permuted alike
  std::map<std::string, int> scale;  // or: array -> power of the factor +-2^k that it is times
};

// A function called once per process and workload, before or after the calls and timed apart. A
// candidate need not have it.
struct HelperFunction {
  std::string function;                // C symbol
  std::vector<std::string> arguments;  // names of axis and scalar arguments, constant inputs,
                                       // workspaces
};

struct Library {
  std::vector<std::string> link;                   // words for the link line
  std::vector<std::string> loads;                  // shared libraries loaded by name at run time
  std::map<std::string, std::string> environment;  // variables set where it is run
};

struct SourceSpec {  // a source that is compiled whole: reference, baselines
  std::string name;  // "reference", or the baseline's name
  std::string path;  // relative to the task folder
  std::string text;  // the file's content
  std::vector<std::string> flags;
  std::vector<std::string> libraries;
};

struct Parameter {
  std::string name;
  std::vector<Value> values;  // int, double, bool or string; in the file's order
};

struct Variant {
  std::string name;
  std::string path;
  std::string text;
  std::vector<Parameter> parameters;
  std::vector<Program> constraints;  // all must be true
  std::vector<std::string> flags;
  std::vector<std::string> libraries;
};

struct Task {
  std::string name;
  std::string about;
  std::string function;  // C symbol
  std::vector<std::string> axes;
  std::vector<Argument> arguments;
  std::vector<Workload> workloads;
  std::map<std::string, std::pair<int64_t, int64_t>> domain;  // axis -> inclusive range
  uint32_t seeds = 2;
  SourceSpec reference;
  bool reference_in_f64 = false;  // it takes and gives all float arrays and scalars as double
  std::map<std::string, Tolerance> tolerance;  // by dtype name; integers are compared exactly
  std::optional<MeasuredTolerance> measured;   // of all float outputs; goes before `tolerance`
  Program flops;                               // of one call, over axes; empty when not given
  Program bytes;
  std::vector<SourceSpec> baselines;
  std::vector<Variant> variants;
  std::map<std::string, Library> libraries;
  std::optional<Argument> returns;  // role kReturn
  std::optional<HelperFunction> setup;
  std::optional<HelperFunction> teardown;
  bool allow_nonfinite = false;  // infinities and NaNs may be expected
  bool allow_flush_to_zero = false;
  std::vector<ValueClass> values;  // of full checks, beside each argument's own fill
  std::vector<Symmetry> symmetries;
  bool cold_cache = false;  // timed with caches flushed
};

// Value of a size formula over `axes`, e.g. flops or one dimension.
Result<double> EvaluateOver(const Program& program, const Axes& axes);
// Value of a scalar argument, rounded to its dtype: what a kernel gets, and its reference as well.
Result<double> ScalarValue(const Argument& argument, const Axes& axes);
// Elements along each dimension of `argument` (none: one element). Error: a negative dimension.
Result<std::vector<uint64_t>> Dimensions(const Argument& argument, const Axes& axes);
// Number of elements of `argument` for `axes`. Error: a negative dimension or overflow.
Result<uint64_t> ElementCount(const Argument& argument, const Axes& axes);
// The C declaration that a kernel must define, e.g. "void softmax(const float* x, float* y, int64_t
// rows, …)".
std::string Declaration(const Task& task);
// The same for task.setup or task.teardown: "void softmax_setup(const float* w, int64_t n)".
std::string Declaration(const Task& task, const HelperFunction& helper);
// The argument of this name, or null.
const Argument* FindArgument(const Task& task, std::string_view name);
// Whether `assignment` (map parameter -> value) meets every constraint of `variant`.
Result<bool> MeetsConstraints(const Variant& variant, const Value& assignment);
// Source text of a template with its parameters written in as #define lines before the first line.
std::string Instantiate(const Variant& variant, const Value& assignment);

}  // namespace kev

#endif  // KEV_CONFIGS_TASK_H_
