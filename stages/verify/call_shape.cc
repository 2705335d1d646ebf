#include "stages/verify/call_shape.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "engine/core/dtype.h"

namespace kev {
namespace {

PassedAs PassedFor(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return PassedAs::kF64;
    case DType::kF32:
      return PassedAs::kF32;
    case DType::kI64:
    case DType::kU64:
      return PassedAs::kI64;
    case DType::kI32:
      return PassedAs::kI32;
    case DType::kU32:
      return PassedAs::kU32;
    case DType::kI16:
      return PassedAs::kI16;
    case DType::kF16:
    case DType::kBF16:
    case DType::kU16:
      return PassedAs::kU16;
    case DType::kI8:
      return PassedAs::kI8;
    case DType::kU8:
    case DType::kBool:
      return PassedAs::kU8;
  }
  return PassedAs::kI64;
}

uint64_t BitsOf(DType dtype, double value) {
  uint64_t bits = 0;
  FromDouble(dtype, value, &bits);
  return bits;
}

CallArgument::Kind KindOf(const Argument& argument) {
  switch (argument.role) {
    case Argument::Role::kIn:
      return argument.constant ? CallArgument::Kind::kConstant : CallArgument::Kind::kIn;
    case Argument::Role::kOut:
      return CallArgument::Kind::kOut;
    case Argument::Role::kInOut:
      return CallArgument::Kind::kInOut;
    case Argument::Role::kWorkspace:
      return CallArgument::Kind::kWorkspace;
    case Argument::Role::kReturn:
      return CallArgument::Kind::kReturn;
    case Argument::Role::kAxis:
    case Argument::Role::kScalar:
      break;
  }
  return CallArgument::Kind::kScalar;
}

bool InSetUp(const Task& task, const std::string& name) {
  for (const auto& helper : {task.setup, task.teardown}) {
    if (helper.has_value() && std::find(helper->arguments.begin(), helper->arguments.end(), name) !=
                                  helper->arguments.end())
      return true;
  }
  return false;
}

}  // namespace

std::vector<const Argument*> AllArguments(const Task& task) {
  std::vector<const Argument*> all;
  for (const Argument& argument : task.arguments) all.push_back(&argument);
  if (task.returns.has_value()) all.push_back(&*task.returns);
  return all;
}

Result<CallSpec> CallShape(const Task& task, const Axes& axes, bool in_f64) {
  CallSpec call;
  for (const Argument* argument : AllArguments(task)) {
    const DType dtype = in_f64 && IsFloat(argument->dtype) ? DType::kF64 : argument->dtype;
    CallArgument& made = call.arguments.emplace_back();
    made.name = argument->name;
    made.kind = KindOf(*argument);
    made.element_bytes = SizeOf(dtype);
    made.as = PassedFor(dtype);
    made.in_setup = InSetUp(task, argument->name);
    if (argument->role == Argument::Role::kAxis) {
      const auto axis = axes.find(argument->axis);
      if (axis == axes.end())
        return Error{Code::kInvalid, "axis " + argument->axis + " has no value"};
      made.as = dtype == DType::kI32 ? PassedAs::kI32 : PassedAs::kI64;
      made.bits = static_cast<uint64_t>(axis->second);
    } else if (argument->role == Argument::Role::kScalar) {
      const Result<double> value = ScalarValue(*argument, axes);
      if (!value.ok()) return value.error();
      made.bits = BitsOf(dtype, *value);
    } else {
      Result<uint64_t> count = ElementCount(*argument, axes);
      if (!count.ok()) return count.error();
      made.count = *count;
    }
  }
  return call;
}

std::vector<std::string> RunLibraries(const Task& task) {
  std::set<std::string> names;
  for (const auto& [name, library] : task.libraries) {
    names.insert(library.loads.begin(), library.loads.end());
    for (const std::string& word : library.link) {
      if (word.starts_with("-l")) names.insert("lib" + word.substr(2) + ".so");
    }
  }
  // Of the C library, and there in any case.
  for (const char* runtime : {"libdl.so", "libm.so", "libc.so", "libpthread.so", "librt.so"})
    names.erase(runtime);
  return {names.begin(), names.end()};
}

std::map<std::string, std::string> RunEnvironment(
    const Task& task, const std::map<std::string, std::string>& target) {
  std::map<std::string, std::string> environment = target;
  for (const auto& [name, library] : task.libraries) {
    environment.insert(library.environment.begin(), library.environment.end());
  }
  return environment;
}

}  // namespace kev
