#include "stages/propose/search_space.h"

#include <doctest/doctest.h>

#include "stages/propose/tune_strategy.h"
#include "tests/stages/support/small_task.h"

namespace kev {

TEST_CASE("every valid assignment is enumerated and found again by its values") {
  SearchSpace space(SmallVariants());
  REQUIRE(space.enumerated());
  CHECK(space.points().size() == 10);
  for (const Point& point : space.points()) {
    CHECK(space.Valid(point));
    CHECK(space.Find(space.variants()[point.variant].name, space.Assignment(point)) == point);
  }
}

TEST_CASE("values are found by number, whether written as integer or as double") {
  SearchSpace space(SmallVariants());
  Value values;
  values.Set("WIDTH", 8.0);
  values.Set("UNROLL", 2);
  CHECK(space.Find("vector", values).has_value());
  values.Set("UNROLL", 3);
  CHECK_FALSE(space.Find("vector", values).has_value());
  CHECK_FALSE(space.Find("no such variant", values).has_value());
}

TEST_CASE("neighbours are valid and one step away") {
  SearchSpace space(SmallVariants());
  Value at;
  at.Set("WIDTH", 8);
  at.Set("UNROLL", 4);
  std::vector<std::string> found;
  Point point = *space.Find("vector", at);
  for (const Point& neighbour : space.Neighbours(point, 1))
    found.push_back(space.Difference(point, neighbour));
  // WIDTH 16 with UNROLL 4 would break the constraint.
  CHECK(found == std::vector<std::string>{"WIDTH 8 -> 4", "UNROLL 4 -> 2"});
}

TEST_CASE("words have no order: every other one is a neighbour") {
  Variant variant;
  variant.name = "words";
  variant.parameters = {{"ORDER", {Value("ijk"), Value("ikj"), Value("kij"), Value("jik")}}};
  SearchSpace space({variant});
  CHECK(space.Neighbours({0, 0}, 1).size() == 3);
}

TEST_CASE("constraints cut branches: a sparse space of 2^60 assignments is enumerated") {
  Variant variant;
  variant.name = "sparse";
  std::vector<std::string> names;
  for (int i = 0; i < 60; ++i) {
    names.push_back("P" + std::to_string(i));
    variant.parameters.push_back(Numbers(names.back(), 2));
    if (i > 0)
      variant.constraints.push_back(
          Constraint(names[i] + " >= " + names[i - 1], {names[i], names[i - 1]}));
  }
  SearchSpace space({variant}, 1000);
  CHECK(space.enumerated());
  CHECK(space.points().size() == 61);
}

TEST_CASE("a space that is too large is sampled: valid points, none twice") {
  Variant variant;
  variant.name = "large";
  for (const char* name : {"A", "B", "C", "D", "E", "F", "G", "H"})
    variant.parameters.push_back(Numbers(name, 10));
  variant.constraints = {Constraint("A + B == 9", {"A", "B"})};
  SearchSpace space({variant}, 10'000);
  REQUIRE_FALSE(space.enumerated());
  TuneStrategy strategy(space, TuneMode::kRandom, 1, 16, {});
  std::set<Point> points;
  for (const Pick& pick : strategy.Draw({"tune/r2", 200, std::nullopt, 0, 0})) {
    CHECK(space.Valid(pick.point));
    points.insert(pick.point);
  }
  CHECK(points.size() == 200);
  CHECK_FALSE(strategy.Exhausted());
}

}  // namespace kev
