#include "tools/live/budget_text.h"

#include <doctest/doctest.h>

using namespace kev;

TEST_CASE("budgets are read as people write them, in the units of the signal") {
  const auto data = BudgetFromWords({"candidates=500", "wall=10m", "tokens=2M", "usd=2.5",
                                     "device=90s", "plateau=0"});
  REQUIRE(data.ok());
  CHECK(ToJson(*data) ==
        R"({"candidates":500,"device_s":90.0,"plateau":0,"tokens":2000000,"usd":2.5,"wall_ms":600000})");
}

TEST_CASE("what is no budget is refused with key and form") {
  const auto message = [](const std::vector<std::string>& words) {
    const auto data = BudgetFromWords(words);
    return data.ok() ? "" : data.error().message;
  };
  CHECK(message({"500"}).find("KEY=LIMIT") != std::string::npos);
  CHECK(message({"wall=10"}).find("a duration") != std::string::npos);
  CHECK(message({"usd=-1"}).find("a number") != std::string::npos);
  CHECK(message({"candidats=5"}).find("did you mean 'candidates'?") != std::string::npos);
  CHECK(message({}).find("no budget") != std::string::npos);
}
