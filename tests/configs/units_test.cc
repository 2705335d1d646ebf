#include "configs/units.h"

#include <doctest/doctest.h>

#include "configs/suggestion.h"

namespace kev {
namespace {

TEST_CASE("durations need a unit and may have a fraction") {
  CHECK(ParseDurationMs("250ms") == 250u);
  CHECK(ParseDurationMs("30s") == 30'000u);
  CHECK(ParseDurationMs("5m") == 300'000u);
  CHECK(ParseDurationMs("1.5h") == 5'400'000u);
  for (const char* const bad : {"30", "s", "", "-1s", "30 s", "3d", "1e400s", "nan"}) {
    CAPTURE(bad);
    CHECK(!ParseDurationMs(bad));
  }
}

TEST_CASE("counts take k, M and G and must be whole") {
  CHECK(ParseCount("400") == 400u);
  CHECK(ParseCount("10k") == 10'000u);
  CHECK(ParseCount("2M") == 2'000'000u);
  CHECK(ParseCount("1.5M") == 1'500'000u);
  CHECK(ParseCount("18446744073709551615") == UINT64_MAX);
  for (const char* const bad : {"1.5", "2m", "-1", "", "k", "10kk", "1e3"}) {
    CAPTURE(bad);
    CHECK(!ParseCount(bad));
  }
}

TEST_CASE("a limit is a multiple of at least 1, or a duration") {
  CHECK(IsMultipleOrDuration("3x"));
  CHECK(IsMultipleOrDuration("1.5x"));
  CHECK(IsMultipleOrDuration("20s"));
  CHECK(!IsMultipleOrDuration("0.5x"));
  CHECK(!IsMultipleOrDuration("3"));
  CHECK(!IsMultipleOrDuration("x"));
}

TEST_CASE("the nearest name is offered, a far one is not") {
  const std::vector<std::string> names = {"needs", "when", "with", "timeout"};
  CHECK(DidYouMean("need", names) == " (did you mean 'needs'?)");
  CHECK(DidYouMean("wiht", names) == " (did you mean 'with'?)");
  CHECK(DidYouMean("zebra", names) == " (there is: needs, when, with, timeout)");
  CHECK(DidYouMean("zebra", std::vector<std::string>(20, "name")) == "");
}

}  // namespace
}  // namespace kev
