#include "stages/verify/qualify.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "engine/core/dtype.h"
#include "engine/core/random.h"

namespace kev {
namespace {

constexpr uint64_t kSkip = 7;  // every so many-th element is left out

// One output of one case, as a hack sees it.
struct Scene {
  const Argument& output;
  const std::string& expected;  // in the output's dtype
  const std::string& stale;     // the same of another input
  const std::vector<std::string>& inputs;
  const std::vector<Argument>& arguments;
  std::vector<uint64_t> dims;
  std::string poison;  // plausible values that were there before
};

struct Hack {
  const char* name;
  const char* passes;  // what it says of a task that accepts it
  // The output; "" when the hack makes no sense here (no input of the same size, an integer).
  std::string (*make)(const Scene&);
};

uint64_t CountOf(const Scene& scene) { return scene.expected.size() / SizeOf(scene.output.dtype); }

std::string Untouched(const Scene& scene) { return scene.poison; }

std::string Constant(const Scene& scene) {
  const uint64_t count = CountOf(scene);
  std::vector<double> values(count);
  ToDoubles(scene.output.dtype, scene.expected, values.data());
  double sum = 0, finite = 0;
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    sum += value;
    ++finite;
  }
  std::fill(values.begin(), values.end(), finite > 0 ? sum / finite : 0);
  std::string out(scene.expected.size(), '\0');
  FromDoubles(scene.output.dtype, values.data(), count, out.data());
  return out;
}

std::string Zeros(const Scene& scene) { return std::string(scene.expected.size(), '\0'); }
std::string Stale(const Scene& scene) { return scene.stale; }

std::string Echo(const Scene& scene) {
  for (size_t a = 0; a < scene.arguments.size(); ++a) {
    const Argument& input = scene.arguments[a];
    if (IsInput(input) && input.dtype == scene.output.dtype &&
        scene.inputs[a].size() == scene.expected.size())
      return scene.inputs[a];
  }
  return "";
}

// Right, but for elements [begin, end) of each `step`, which keep what was there.
std::string Without(const Scene& scene, const std::function<bool(uint64_t)>& skipped) {
  const uint64_t size = SizeOf(scene.output.dtype);
  std::string out = scene.expected;
  for (uint64_t i = 0; i < CountOf(scene); ++i) {
    if (skipped(i)) std::memcpy(out.data() + i * size, scene.poison.data() + i * size, size);
  }
  return out;
}

std::string SkipEvery(const Scene& scene) {
  if (CountOf(scene) < kSkip) return "";
  return Without(scene, [](uint64_t i) { return i % kSkip == kSkip - 1; });
}

std::string SkipLastRow(const Scene& scene) {
  if (scene.dims.size() < 2 || scene.dims[0] < 2) return "";
  const uint64_t begin = CountOf(scene) / scene.dims[0] * (scene.dims[0] - 1);
  return Without(scene, [begin](uint64_t i) { return i >= begin; });
}

std::string SkipEnd(const Scene& scene) {
  const uint64_t count = CountOf(scene);
  if (count < 20) return "";
  return Without(scene, [count](uint64_t i) { return i >= count - count / 20; });
}

// Expected values with a fraction of so many bits, ranges left as they are.
std::string WithFraction(const Scene& scene, int bits) {
  if (!IsFloat(scene.output.dtype) || FormatOf(scene.output.dtype).fraction_bits <= bits) return "";
  std::vector<double> values(CountOf(scene));
  ToDoubles(scene.output.dtype, scene.expected, values.data());
  for (double& value : values) {
    int exponent = 0;
    const double fraction = std::frexp(value, &exponent);
    if (std::isfinite(value))
      value = std::ldexp(std::nearbyint(std::ldexp(fraction, bits + 1)), exponent - bits - 1);
  }
  std::string out(scene.expected.size(), '\0');
  FromDoubles(scene.output.dtype, values.data(), values.size(), out.data());
  return out;
}

std::string LessPrecise(const Scene& scene) {
  return WithFraction(scene, scene.output.dtype == DType::kBF16 ? 4 : 7);
}
// A sum that is rounded to half precision at its end has at least this error.
std::string HalfSum(const Scene& scene) { return WithFraction(scene, 10); }

const std::vector<Hack>& Hacks() {
  static const std::vector<Hack> kHacks = {
      {"null", "leaving the output untouched passes", Untouched},
      {"constant", "one value for all elements passes: outputs vary less than the tolerance",
       Constant},
      {"zeros", "zeros pass: outputs are smaller than the tolerance", Zeros},
      {"stale", "the output of another input passes: outputs hang on the shape more than on values",
       Stale},
      {"echo", "an input passes as the output", Echo},
      {"skip_every_7th", "leaving out every 7th element passes", SkipEvery},
      {"skip_last_row", "leaving out the last row passes", SkipLastRow},
      {"skip_last_5_percent", "leaving out the last 5 % of the elements passes", SkipEnd},
      {"low_precision",
       "outputs of bf16's precision (bf16: of 4 bits) pass: the tolerance is wider "
       "than the dtype's rounding",
       LessPrecise},
      {"half_precision",
       "outputs of f16's precision pass: the tolerance is wider than the dtype's "
       "rounding",
       HalfSum},
  };
  return kHacks;
}

std::string InOwnDType(const Argument& output, const std::string& bytes, bool in_f64) {
  if (!in_f64 || !IsFloat(output.dtype)) return bytes;
  std::vector<double> values(bytes.size() / sizeof(double));
  ToDoubles(DType::kF64, bytes, values.data());
  std::string out(values.size() * SizeOf(output.dtype), '\0');
  FromDoubles(output.dtype, values.data(), values.size(), out.data());
  return out;
}

// Expected values in another order: as plausible as poison can be.
std::string PoisonOf(const std::string& expected, uint32_t size, uint64_t seed) {
  CounterRandom random(seed, "qualify/poison");
  std::string poison = expected;
  const uint64_t count = poison.size() / size;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t from = random.Below(count);
    std::memcpy(poison.data() + i * size, expected.data() + from * size, size);
  }
  return poison;
}

struct Attempt {
  bool tried = false;  // for at least one output
  bool accepted = true;
  std::string reason;
};

// The hack on all outputs of a case; where it makes no sense the output is right.
Result<Attempt> Try(const Hack& hack, const std::vector<const Argument*>& all, const Task& task,
                    const QualifyCase& one, uint64_t seed) {
  Attempt attempt;
  for (size_t a = 0; a < all.size(); ++a) {
    if (!IsOutput(*all[a])) continue;
    if (one.judges[a] == nullptr)
      return Error{Code::kInternal, "the output " + all[a]->name + " has no judge"};
    const Result<std::vector<uint64_t>> dims = Dimensions(*all[a], one.one.axes);
    if (!dims.ok()) return dims.error();
    const std::string expected = InOwnDType(*all[a], one.expected[a], one.expected_in_f64);
    const std::string stale = InOwnDType(*all[a], one.stale[a], one.expected_in_f64);
    const Scene scene = {*all[a],
                         expected,
                         stale,
                         one.inputs,
                         task.arguments,
                         *dims,
                         PoisonOf(expected, SizeOf(all[a]->dtype), seed + a)};
    const std::string made = hack.make(scene);
    if (made.empty() || made == expected) continue;
    attempt.tried = true;
    const ErrorStatistics statistics = one.judges[a]->Judge(made);
    if (statistics.accepted) continue;
    attempt.accepted = false;
    attempt.reason = CaseText(one.one) + ": " + all[a]->name + ": " + statistics.reason;
    return attempt;
  }
  return attempt;
}

}  // namespace

const std::vector<std::string>& HackNames() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const Hack& hack : Hacks()) names.emplace_back(hack.name);
    return names;
  }();
  return kNames;
}

Result<Qualification> Qualify(const Task& task, const std::vector<QualifyCase>& cases,
                              uint64_t seed) {
  std::vector<const Argument*> all;
  for (const Argument& argument : task.arguments) all.push_back(&argument);
  if (task.returns) all.push_back(&*task.returns);
  for (const QualifyCase& one : cases) {
    if (one.expected.size() != all.size() || one.stale.size() != all.size() ||
        one.judges.size() != all.size() || one.inputs.size() < task.arguments.size())
      return Error{Code::kInternal, "a case needs one entry per argument"};
  }
  Qualification qualification;
  for (const Hack& hack : Hacks()) {
    HackResult result;
    result.hack = hack.name;
    bool refused = false;
    for (const QualifyCase& one : cases) {
      const Result<Attempt> attempt = Try(hack, all, task, one, seed);
      if (!attempt.ok()) return attempt.error();
      result.tried = result.tried || attempt->tried;
      if (attempt->tried && attempt->accepted) ++result.accepted_cases;
      if (!attempt->accepted && !refused) result.reason = attempt->reason;
      refused = refused || !attempt->accepted;
    }
    result.accepted = result.tried && !refused;
    if (result.accepted) result.reason = hack.passes;
    if (!result.tried) result.reason = "does not apply, or gives what is expected";
    qualification.hackable = qualification.hackable || result.accepted;
    qualification.hacks.push_back(std::move(result));
  }
  return qualification;
}

std::string Qualification::Text() const {
  std::string text;
  for (const HackResult& result : hacks) {
    if (result.accepted) text += result.hack + ": " + result.reason + "\n";
  }
  return text;
}

Value ToValue(const Qualification& qualification) {
  Value value;
  value.Set("hackable", qualification.hackable);
  Value& hacks = value.Set("hacks", Value(Value::List{}));
  for (const HackResult& result : qualification.hacks) {
    Value one;
    one.Set("hack", result.hack);
    one.Set("tried", result.tried);
    one.Set("accepted", result.accepted);
    one.Set("accepted_cases", result.accepted_cases);
    one.Set("reason", result.reason);
    hacks.Append(std::move(one));
  }
  return value;
}

}  // namespace kev
