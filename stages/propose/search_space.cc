#include "stages/propose/search_space.h"

#include <algorithm>

namespace kev {
namespace {

// 2 and 2.0 are one value: encodings keep the smallest form of a number.
bool Same(const Value& a, const Value& b) {
  if (a.IsNumber() && b.IsNumber()) return a.AsDouble() == b.AsDouble();
  return a == b;
}

std::vector<size_t> StepsFrom(const Parameter& parameter, size_t at) {
  std::vector<size_t> steps;
  for (size_t i = 0; i < parameter.values.size(); ++i) {
    bool adjacent = i + 1 == at || at + 1 == i;
    if (i != at && (adjacent || !parameter.values[at].IsNumber())) steps.push_back(i);
  }
  return steps;
}

}  // namespace

SearchSpace::SearchSpace(std::vector<Variant> variants, uint64_t most_points)
    : variants_(std::move(variants)) {
  for (const Variant& variant : variants_) {
    uint64_t size = 1;
    for (const Parameter& parameter : variant.parameters)
      if (__builtin_mul_overflow(size, parameter.values.size(), &size)) size = UINT64_MAX;
    raw_size_.push_back(size);
    std::vector<Check> checks;
    for (const Program& constraint : variant.constraints) {
      Check check{&constraint};
      for (size_t p = 0; p < variant.parameters.size(); ++p) {
        const std::vector<std::string>& names = constraint.names;
        if (std::find(names.begin(), names.end(), variant.parameters[p].name) != names.end())
          check.depth = p;
      }
      checks.push_back(check);
    }
    checks_.push_back(std::move(checks));
  }
  uint64_t nodes_left = 4 * most_points;
  for (uint32_t v = 0; v < variants_.size() && enumerated_; ++v) {
    std::vector<size_t> digits(variants_[v].parameters.size(), 0);
    enumerated_ = raw_size_[v] != UINT64_MAX && Enumerate(v, &digits, 0, &nodes_left, most_points);
  }
  if (!enumerated_) {
    points_.clear();
    points_.shrink_to_fit();
  }
}

// Whether the constraints that read nothing beyond parameter `depth`, and that parameter, are met.
bool SearchSpace::Meets(uint32_t variant, const std::vector<size_t>& digits, size_t depth) const {
  const std::vector<Parameter>& parameters = variants_[variant].parameters;
  NameLookup lookup = [&](std::string_view name, Value* out) {
    for (size_t p = 0; p < parameters.size(); ++p) {
      if (parameters[p].name != name) continue;
      *out = parameters[p].values[digits[p]];
      return Lookup::kFound;
    }
    return Lookup::kUnknown;
  };
  for (const Check& check : checks_[variant]) {
    if (check.depth != depth) continue;
    Result<Value> met = Evaluate(*check.program, lookup);
    if (!met || !met->AsBool()) return false;
  }
  return true;
}

bool SearchSpace::Enumerate(uint32_t variant, std::vector<size_t>* digits, size_t depth,
                            uint64_t* nodes_left, uint64_t most_points) {
  const std::vector<Parameter>& parameters = variants_[variant].parameters;
  if (depth == parameters.size()) {
    if (parameters.empty() && !Meets(variant, *digits, 0)) return true;
    if (points_.size() >= most_points) return false;
    points_.push_back({variant, IndexOf(variant, *digits)});
    return true;
  }
  for (size_t i = 0; i < parameters[depth].values.size(); ++i) {
    if (*nodes_left == 0) return false;
    --*nodes_left;
    (*digits)[depth] = i;
    if (Meets(variant, *digits, depth) &&
        !Enumerate(variant, digits, depth + 1, nodes_left, most_points))
      return false;
  }
  return true;
}

std::vector<size_t> SearchSpace::Digits(const Point& point) const {
  const std::vector<Parameter>& parameters = variants_[point.variant].parameters;
  std::vector<size_t> digits(parameters.size());
  uint64_t rest = point.index;
  for (size_t p = parameters.size(); p-- > 0;) {
    digits[p] = rest % parameters[p].values.size();
    rest /= parameters[p].values.size();
  }
  return digits;
}

uint64_t SearchSpace::IndexOf(uint32_t variant, const std::vector<size_t>& digits) const {
  uint64_t index = 0;
  for (size_t p = 0; p < digits.size(); ++p)
    index = index * variants_[variant].parameters[p].values.size() + digits[p];
  return index;
}

bool SearchSpace::Valid(const Point& point) const {
  std::vector<size_t> digits = Digits(point);
  if (digits.empty()) return Meets(point.variant, digits, 0);
  for (size_t depth = 0; depth < digits.size(); ++depth)
    if (!Meets(point.variant, digits, depth)) return false;
  return true;
}

Value SearchSpace::Assignment(const Point& point) const {
  Value assignment{Value::Map{}};
  std::vector<size_t> digits = Digits(point);
  const std::vector<Parameter>& parameters = variants_[point.variant].parameters;
  for (size_t p = 0; p < digits.size(); ++p)
    assignment.Set(parameters[p].name, parameters[p].values[digits[p]]);
  return assignment;
}

std::optional<Point> SearchSpace::Find(const std::string& variant, const Value& parameters) const {
  for (uint32_t v = 0; v < variants_.size(); ++v) {
    if (variants_[v].name != variant) continue;
    std::vector<size_t> digits;
    for (const Parameter& parameter : variants_[v].parameters) {
      const Value& wanted = parameters[parameter.name];
      auto found = std::find_if(parameter.values.begin(), parameter.values.end(),
                                [&](const Value& value) { return Same(value, wanted); });
      if (found == parameter.values.end()) return std::nullopt;
      digits.push_back(static_cast<size_t>(found - parameter.values.begin()));
    }
    return Point{v, IndexOf(v, digits)};
  }
  return std::nullopt;
}

std::vector<Point> SearchSpace::Neighbours(const Point& point, int changes) const {
  const std::vector<Parameter>& parameters = variants_[point.variant].parameters;
  const std::vector<size_t> digits = Digits(point);
  std::vector<Point> neighbours;
  auto add = [&](const std::vector<size_t>& changed) {
    Point neighbour{point.variant, IndexOf(point.variant, changed)};
    if (Valid(neighbour)) neighbours.push_back(neighbour);
  };
  for (size_t p = 0; p < digits.size(); ++p) {
    for (size_t value : StepsFrom(parameters[p], digits[p])) {
      std::vector<size_t> once = digits;
      once[p] = value;
      if (changes == 1) add(once);
      for (size_t q = p + 1; changes == 2 && q < digits.size(); ++q) {
        for (size_t second : StepsFrom(parameters[q], digits[q])) {
          std::vector<size_t> twice = once;
          twice[q] = second;
          add(twice);
        }
      }
    }
  }
  return neighbours;
}

std::string SearchSpace::Difference(const Point& from, const Point& to) const {
  std::string text;
  if (from.variant != to.variant)
    return variants_[from.variant].name + " -> " + variants_[to.variant].name;
  Value before = Assignment(from), after = Assignment(to);
  for (const auto& [name, value] : after.AsMap()) {
    if (before[name] == value) continue;
    text += (text.empty() ? "" : ", ") + name + " " + ToJson(before[name]) + " -> " + ToJson(value);
  }
  return text;
}

}  // namespace kev
