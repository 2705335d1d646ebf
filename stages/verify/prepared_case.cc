#include "stages/verify/prepared_case.h"

#include <algorithm>
#include <list>
#include <map>
#include <mutex>

#include "engine/core/digest.h"
#include "engine/core/packed.h"
#include "stages/verify/call_shape.h"
#include "stages/verify/kept_files.h"
#include "stages/verify/trusted_runs.h"

namespace kev {
namespace {

constexpr uint64_t kMostBytesInMemory = uint64_t{384} << 20;
constexpr size_t kMostFiles = 512;

// Everything that a case's expected outputs and bounds depend on, but for the task's own text,
// which decides the same things as the reference's shape does.
std::string KeyOf(const Task& task, const TaskCode& code, const Case& one, uint64_t secret_seed) {
  std::string text = "prepared case 1\n" + code.reference_sha256 + "\n" + code.reference.symbol +
                     "\n" + code.yardstick_sha256 + "\n" + std::to_string(secret_seed) + "\n" +
                     one.workload + "\n" + std::to_string(one.seed) + "\n" + Name(one.values);
  for (const auto& [axis, value] : one.axes) text += "\n" + axis + "=" + std::to_string(value);
  for (const auto& [name, value] : code.reference.environment) text += "\n" + name + "=" + value;
  for (const Argument* argument : AllArguments(task)) {
    const Fill& fill = argument->fill;
    text += "\n" + argument->name + " " + Name(argument->dtype) + " " +
            std::to_string(static_cast<int>(argument->role)) + " " +
            std::to_string(static_cast<int>(fill.kind)) + " " + std::to_string(fill.a) + " " +
            std::to_string(fill.b) + " " + fill.argument;
    if (const Result<uint64_t> count = ElementCount(*argument, one.axes); count.ok())
      text += " " + std::to_string(*count);
  }
  if (task.measured.has_value()) {
    text += "\n" + task.measured->yardstick + " " + std::to_string(task.measured->factor) + " " +
            std::to_string(static_cast<int>(task.measured->scale));
  }
  return DigestOf(text).Hex();
}

// Prepared cases of this process, least recently used ones forgotten first.
class Memory {
 public:
  std::shared_ptr<const PreparedCase> Find(const std::string& key) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    recent_.splice(recent_.begin(), recent_, found->second);
    return found->second->second;
  }
  void Keep(const std::string& key, std::shared_ptr<const PreparedCase> made) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (places_.contains(key)) return;
    bytes_ += made->bytes();
    recent_.emplace_front(key, std::move(made));
    places_[key] = recent_.begin();
    while (bytes_ > kMostBytesInMemory && recent_.size() > 1) {
      bytes_ -= recent_.back().second->bytes();
      places_.erase(recent_.back().first);
      recent_.pop_back();
    }
  }

 private:
  using Entry = std::pair<std::string, std::shared_ptr<const PreparedCase>>;
  std::mutex mutex_;
  std::list<Entry> recent_;
  std::map<std::string, std::list<Entry>::iterator> places_;
  uint64_t bytes_ = 0;
};

Memory& SharedMemory() {
  static Memory memory;
  return memory;
}

bool MeasuredOutput(const Task& task, const Argument& argument) {
  return task.measured.has_value() && IsOutput(argument) && IsFloat(argument.dtype);
}

ExpectedArray ExpectedOf(const PreparedCase& made, const Argument& argument, size_t a) {
  ExpectedArray expected;
  expected.dtype = made.expected_in_f64 ? ReferenceDType(argument) : argument.dtype;
  expected.values = made.expected[a];
  if (!made.scales.empty()) expected.scale = made.scales[0][a];
  return expected;
}

Status MakeJudges(const Task& task, PreparedCase* made) {
  const std::vector<const Argument*> arguments = AllArguments(task);
  made->judges.resize(arguments.size());
  for (size_t a = 0; a < arguments.size(); ++a) {
    if (!IsOutput(*arguments[a])) continue;
    Result<OutputJudge> judge = OutputJudge::Make(
        task, *arguments[a], ExpectedOf(*made, *arguments[a], a), made->bounds[a]);
    if (!judge.ok()) return judge.error();
    made->judges[a] = std::move(*judge);
  }
  return {};
}

Value::List ListOfBounds(const std::vector<Quantiles>& bounds) {
  Value::List list;
  for (const Quantiles& q : bounds) {
    for (const double limit : {q.median, q.p999, q.max}) list.emplace_back(limit);
  }
  return list;
}

std::vector<Quantiles> BoundsIn(const Value::List& list) {
  std::vector<Quantiles> bounds;
  for (size_t i = 0; i + 2 < list.size(); i += 3)
    bounds.push_back({list[i].AsDouble(), list[i + 1].AsDouble(), list[i + 2].AsDouble()});
  return bounds;
}

// What is kept on disk of a case; inputs are made again from their seed.
std::string Packed(const PreparedCase& made) {
  Value value;
  Value::List expected, scales;
  for (const std::string& array : made.expected) expected.emplace_back(Value::Bytes{array});
  if (!made.scales.empty()) {
    for (const std::string& array : made.scales[0]) scales.emplace_back(Value::Bytes{array});
  }
  value.Set("expected", std::move(expected));
  value.Set("scales", std::move(scales));
  value.Set("bounds", ListOfBounds(made.bounds));
  value.Set("ns", made.reference_ns);
  return EncodeCanonical(value);
}

bool Unpack(const std::string& bytes, size_t arguments, PreparedCase* made) {
  const Value value = PackedView(bytes).ToValue();
  const Value::List& expected = value["expected"].AsList();
  const Value::List& scales = value["scales"].AsList();
  const Value::List& bounds = value["bounds"].AsList();
  if (expected.size() != arguments || bounds.size() != 3 * arguments ||
      (!scales.empty() && scales.size() != arguments))
    return false;
  for (const Value& array : expected) made->expected.push_back(array.AsBytes());
  if (!scales.empty()) made->scales.emplace_back();
  for (const Value& array : scales) made->scales[0].push_back(array.AsBytes());
  made->bounds = BoundsIn(bounds);
  made->reference_ns = value["ns"].AsDouble();
  return true;
}

class Preparation {
 public:
  Preparation(const Task& task, const TaskCode& code, uint64_t secret_seed,
              RunnerProcess::Clock::duration deadline, const std::string& cache_folder)
      : task_(task),
        code_(code),
        secret_seed_(secret_seed),
        deadline_(deadline),
        files_(cache_folder + "/expected", kMostFiles) {}

  Result<PreparedCases> Run(const std::vector<Case>& cases) {
    PreparedCases done;
    done.cases.resize(cases.size());
    std::vector<size_t> missing;
    for (size_t i = 0; i < cases.size(); ++i) {
      const std::string key = KeyOf(task_, code_, cases[i], secret_seed_);
      if (!(done.cases[i] = SharedMemory().Find(key))) missing.push_back(i);
    }
    for (const size_t i : missing) {
      Result<std::shared_ptr<const PreparedCase>> made = FromDisk(cases[i]);
      if (!made.ok()) return made.error();
      done.cases[i] = std::move(*made);
    }
    std::erase_if(missing, [&](size_t i) { return done.cases[i] != nullptr; });
    if (missing.empty()) return done;
    std::vector<Case> wanted;
    for (const size_t i : missing) wanted.push_back(cases[i]);
    Result<std::string> broken = Compute(wanted);
    if (!broken.ok()) return broken.error();
    if (done.broken = *broken; !done.broken.empty()) return done;
    for (size_t i = 0; i < missing.size(); ++i) done.cases[missing[i]] = made_[i];
    return done;
  }

 private:
  Result<std::shared_ptr<PreparedCase>> Begin(const Case& one) {
    auto made = std::make_shared<PreparedCase>();
    made->one = one;
    made->expected_in_f64 = task_.reference_in_f64;
    Result<Arrays> inputs = InputArrays(task_, one, secret_seed_);
    if (!inputs.ok()) return inputs.error();
    made->inputs = std::move(*inputs);
    made->inputs.resize(AllArguments(task_).size());
    return made;
  }

  Result<std::shared_ptr<const PreparedCase>> FromDisk(const Case& one) {
    const std::string key = KeyOf(task_, code_, one, secret_seed_);
    const std::optional<std::string> bytes = files_.Read(key);
    if (!bytes.has_value()) return std::shared_ptr<const PreparedCase>();
    Result<std::shared_ptr<PreparedCase>> made = Begin(one);
    if (!made.ok()) return made.error();
    if (!Unpack(*bytes, AllArguments(task_).size(), made->get()) ||
        !MakeJudges(task_, made->get()).ok())
      return std::shared_ptr<const PreparedCase>();
    SharedMemory().Keep(key, *made);
    return std::shared_ptr<const PreparedCase>(*made);
  }

  // "" or what is wrong with the task's code.
  Result<std::string> Compute(const std::vector<Case>& cases) {
    std::vector<Arrays> inputs;
    for (const Case& one : cases) {
      Result<std::shared_ptr<PreparedCase>> made = Begin(one);
      if (!made.ok()) return made.error();
      inputs.push_back((*made)->inputs);
      made_.push_back(std::move(*made));
    }
    const Axes& axes = cases[0].axes;
    const bool in_f64 = task_.reference_in_f64;
    Result<TrustedRuns> exact =
        RunTrusted(code_.reference, task_, axes, inputs, in_f64, false, deadline_);
    if (!exact.ok()) return exact.error();
    if (!exact->broken.empty()) return "its reference fails: " + exact->broken;
    for (size_t i = 0; i < cases.size(); ++i) {
      made_[i]->expected = std::move(exact->outputs[i]);
      made_[i]->reference_ns = exact->call_ns;
      made_[i]->bounds.resize(AllArguments(task_).size());
    }
    if (Absolute()) {
      Result<TrustedRuns> scales =
          RunTrusted(code_.reference, task_, axes, inputs, in_f64, true, deadline_);
      if (!scales.ok()) return scales.error();
      if (!scales->broken.empty()) return "its reference fails: " + scales->broken;
      for (size_t i = 0; i < cases.size(); ++i)
        made_[i]->scales.push_back(std::move(scales->outputs[i]));
    }
    for (const std::shared_ptr<PreparedCase>& made : made_) {
      if (task_.measured.has_value()) {
        Result<std::string> broken = FindBounds(made.get());
        if (!broken.ok() || !broken->empty()) return broken;
      }
      if (Status judged = MakeJudges(task_, made.get()); !judged.ok())
        return "on " + CaseText(made->one) + ": " + judged.error().message;
      const std::string key = KeyOf(task_, code_, made->one, secret_seed_);
      files_.Write(key, Packed(*made));
      SharedMemory().Keep(key, made);
    }
    return std::string();
  }

  bool Absolute() const {
    return task_.measured.has_value() &&
           task_.measured->scale == MeasuredTolerance::Scale::kAbsolute;
  }

  // Bounds hang on shape and kind of values, not on the seed: measured once for all cases alike.
  Result<std::string> FindBounds(PreparedCase* made) {
    Case like = made->one;
    like.seed = 0;
    like.workload = "bounds";
    const std::string key = KeyOf(task_, code_, like, secret_seed_);
    const size_t arguments = AllArguments(task_).size();
    if (const std::optional<std::string> bytes = files_.Read(key)) {
      const Value value = PackedView(*bytes).ToValue();
      const Value::List& bounds = value["bounds"].AsList();
      if (bounds.size() == 3 * arguments) {
        made->bounds = BoundsIn(bounds);
        return std::string();
      }
    }
    Result<std::string> broken = MeasureBounds(made);
    if (!broken.ok() || !broken->empty()) return broken;
    Value value;
    value.Set("bounds", ListOfBounds(made->bounds));
    files_.Write(key, EncodeCanonical(value));
    return std::string();
  }

  // The yardstick's errors on the case and on its like, for each float output.
  Result<std::string> MeasureBounds(PreparedCase* made) {
    if (!code_.yardstick.has_value())
      return Error{Code::kInvalid, "the yardstick " + task_.measured->yardstick + " of task " +
                                       task_.name + " was not given"};
    const std::vector<const Argument*> arguments = AllArguments(task_);
    uint64_t elements = 0;
    for (size_t a = 0; a < arguments.size(); ++a) {
      if (MeasuredOutput(task_, *arguments[a]))
        elements = std::max<uint64_t>(
            elements,
            made->expected[a].size() / SizeOf(made->expected_in_f64 ? ReferenceDType(*arguments[a])
                                                                    : arguments[a]->dtype));
    }
    if (elements == 0) return std::string();
    const std::vector<Case> like = YardstickCases(made->one, elements);
    std::vector<Arrays> inputs;
    for (const Case& one : like) {
      Result<Arrays> arrays = InputArrays(task_, one, secret_seed_);
      if (!arrays.ok()) return arrays.error();
      arrays->resize(arguments.size());
      inputs.push_back(std::move(*arrays));
    }
    const auto run = [&](const RunnerOptions& library, bool in_f64, bool absolute) {
      return RunTrusted(library, task_, made->one.axes, inputs, in_f64, absolute, deadline_);
    };
    Result<TrustedRuns> exact = run(code_.reference, made->expected_in_f64, false);
    if (!exact.ok()) return exact.error();
    Result<TrustedRuns> scale = Absolute() ? run(code_.reference, made->expected_in_f64, true)
                                           : Result<TrustedRuns>(TrustedRuns());
    if (!scale.ok()) return scale.error();
    Result<TrustedRuns> naive = run(*code_.yardstick, false, false);
    if (!naive.ok()) return naive.error();
    if (!exact->broken.empty()) return "its reference fails: " + exact->broken;
    if (!naive->broken.empty())
      return "its yardstick " + task_.measured->yardstick + " fails: " + naive->broken;
    for (size_t a = 0; a < arguments.size(); ++a) {
      if (!MeasuredOutput(task_, *arguments[a])) continue;
      Quantiles widest;
      for (size_t i = 0; i < like.size(); ++i) {
        ExpectedArray expected;
        expected.dtype =
            made->expected_in_f64 ? ReferenceDType(*arguments[a]) : arguments[a]->dtype;
        expected.values = exact->outputs[i][a];
        if (Absolute()) expected.scale = scale->outputs[i][a];
        Result<std::vector<float>> some =
            ScaledErrors(*arguments[a], *task_.measured, expected, naive->outputs[i][a]);
        if (!some.ok()) return some.error();
        Result<Quantiles> bounds = BoundsFrom(std::move(*some), *task_.measured);
        if (!bounds.ok())
          return "its yardstick " + task_.measured->yardstick + " is useless on " +
                 CaseText(like[i]) + ": " + bounds.error().message;
        widest = Widest(widest, *bounds);
      }
      made->bounds[a] = widest;
    }
    return std::string();
  }

  const Task& task_;
  const TaskCode& code_;
  const uint64_t secret_seed_;
  const RunnerProcess::Clock::duration deadline_;
  KeptFiles files_;
  std::vector<std::shared_ptr<PreparedCase>> made_;
};

}  // namespace

uint64_t PreparedCase::bytes() const {
  uint64_t sum = 0;
  for (const std::string& array : inputs) sum += array.size();
  for (const std::string& array : expected) sum += 4 * array.size();  // judges hold as much again
  return sum;
}

Result<PreparedCases> PrepareCases(const Task& task, const TaskCode& code,
                                   const std::vector<Case>& cases, uint64_t secret_seed,
                                   RunnerProcess::Clock::duration deadline,
                                   const std::string& cache_folder) {
  if (cases.empty()) return PreparedCases();
  return Preparation(task, code, secret_seed, deadline, cache_folder).Run(cases);
}

}  // namespace kev
