// The tuner's space: every valid assignment of every template variant of a task.
//
// A point is a variant and a mixed-radix number of its parameters' value positions. Spaces of up to
// about a million assignments are enumerated (constraints cut branches early); of larger ones
// points are sampled and rejected. Threads: immutable once made. Errors: none; a constraint that
// cannot be evaluated counts as not met.
#ifndef KEV_STAGES_PROPOSE_SEARCH_SPACE_H_
#define KEV_STAGES_PROPOSE_SEARCH_SPACE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "configs/task.h"
#include "engine/core/value.h"

namespace kev {

struct Point {
  uint32_t variant = 0;
  uint64_t index = 0;
  auto operator<=>(const Point&) const = default;
};

class SearchSpace {
 public:
  // Enumerates within `most_points` assignments.
  explicit SearchSpace(std::vector<Variant> variants, uint64_t most_points = 1'000'000);
  SearchSpace(const SearchSpace&) = delete;
  SearchSpace& operator=(const SearchSpace&) = delete;

  const std::vector<Variant>& variants() const { return variants_; }
  bool enumerated() const { return enumerated_; }
  // All valid points in order, when enumerated.
  const std::vector<Point>& points() const { return points_; }
  // Product of the numbers of values: assignments of `variant`, valid or not.
  uint64_t RawSize(uint32_t variant) const { return raw_size_[variant]; }
  bool Valid(const Point& point) const;
  // Map parameter -> value.
  Value Assignment(const Point& point) const;
  // The point with these values; nothing when variant or a value is not of this space.
  std::optional<Point> Find(const std::string& variant, const Value& parameters) const;
  // Valid points that differ in `changes` (1 or 2) parameters by one step each. Numbers step to the
  // adjacent value; for words every other value is one step away.
  std::vector<Point> Neighbours(const Point& point, int changes) const;
  // "UNROLL 2 -> 4" for each parameter that differs.
  std::string Difference(const Point& from, const Point& to) const;

 private:
  struct Check {             // a constraint and the last parameter that it reads
    const Program* program;  // of variants_
    size_t depth = 0;
  };
  std::vector<size_t> Digits(const Point& point) const;
  uint64_t IndexOf(uint32_t variant, const std::vector<size_t>& digits) const;
  bool Meets(uint32_t variant, const std::vector<size_t>& digits, size_t depth) const;
  bool Enumerate(uint32_t variant, std::vector<size_t>* digits, size_t depth, uint64_t* nodes_left,
                 uint64_t most_points);

  std::vector<Variant> variants_;
  std::vector<std::vector<Check>> checks_;  // by variant
  std::vector<uint64_t> raw_size_;
  bool enumerated_ = true;
  std::vector<Point> points_;
};

}  // namespace kev

#endif  // KEV_STAGES_PROPOSE_SEARCH_SPACE_H_
