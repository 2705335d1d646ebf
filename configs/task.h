// Task: what to optimise, as loaded from a task folder. The file format is described in
// configs/tasks/README.md. Threads: plain values. Made by LoadTask in configs/load.h.
#ifndef KEV_CONFIGS_TASK_H_
#define KEV_CONFIGS_TASK_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/expression.h"
#include "engine/core/value.h"

namespace kev {

enum class DType { kF32, kF64, kI32, kI64, kU8 };
const char* Name(DType dtype);
std::optional<DType> DTypeFrom(std::string_view name);
uint32_t SizeOf(DType dtype);  // bytes
bool IsFloat(DType dtype);

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
  enum class Role { kIn, kOut, kInOut, kAxis } role = Role::kIn;
  DType dtype = DType::kF32;
  std::vector<Program> dims;  // over axes; row-major
  std::string axis;           // role kAxis: the axis whose value is passed, as int64_t
  Fill fill;                  // in, inout
};

using Axes = std::map<std::string, int64_t>;
struct Workload {
  std::string name;
  Axes axes;
  double weight = 1;
  bool held_out = false;
};

struct Tolerance {
  double rtol = 0;
  double atol = 0;
};

struct Library {
  std::vector<std::string> link;                   // words for the link line
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
  std::map<std::string, Tolerance> tolerance;  // by dtype name; integers are compared exactly
  Program flops;                               // of one call, over axes; empty when not given
  Program bytes;
  std::vector<SourceSpec> baselines;
  std::vector<Variant> variants;
  std::map<std::string, Library> libraries;
};

// Value of a size formula over `axes`, e.g. flops or one dimension.
Result<double> EvaluateOver(const Program& program, const Axes& axes);
// Number of elements of `argument` for `axes`. Error: a negative dimension or overflow.
Result<uint64_t> ElementCount(const Argument& argument, const Axes& axes);
// The C declaration that a kernel must define, e.g. "void softmax(const float* x, float* y, int64_t
// rows, …)".
std::string Declaration(const Task& task);
// Whether `assignment` (map parameter -> value) meets every constraint of `variant`.
Result<bool> MeetsConstraints(const Variant& variant, const Value& assignment);
// Source text of a template with its parameters written in as #define lines before the first line.
std::string Instantiate(const Variant& variant, const Value& assignment);

}  // namespace kev

#endif  // KEV_CONFIGS_TASK_H_
