#include "tools/live/budget_text.h"

#include "configs/suggestion.h"
#include "configs/units.h"

namespace kev {

Result<Value> BudgetFrom(const std::map<std::string, std::string>& limits) {
  static const std::vector<std::string> kKeys{"candidates", "evaluations", "wall",    "device",
                                              "tokens",     "usd",         "plateau", "speedup"};
  Value data;
  for (const auto& [key, text] : limits) {
    const auto wrong = [&, k = key, t = text](const char* form) {
      return Error{Code::kInvalid, "budget " + k + "=" + t + ": write " + form};
    };
    if (key == "candidates" || key == "evaluations" || key == "tokens" || key == "plateau") {
      const auto count = ParseCount(text);
      if (!count) return wrong("a count, such as 500 or 2M (0: no limit)");
      data.Set(key, *count);
    } else if (key == "wall" || key == "device") {
      const auto ms = ParseDurationMs(text);
      if (!ms) return wrong("a duration, such as 90s, 10m or 2h");
      if (key == "wall")
        data.Set("wall_ms", *ms);
      else
        data.Set("device_s", static_cast<double>(*ms) / 1e3);
    } else if (key == "usd" || key == "speedup") {
      const auto number = ParseNumber(text);
      if (!number || *number < 0) return wrong("a number, such as 2.5 (0: no limit)");
      data.Set(key, *number);
    } else {
      return Error{Code::kInvalid, "there is no budget '" + key + "'" + DidYouMean(key, kKeys)};
    }
  }
  if (data.IsNull()) return Error{Code::kInvalid, "no budget was given; e.g. candidates=500"};
  return data;
}

Result<Value> BudgetFromWords(const std::vector<std::string>& words) {
  std::map<std::string, std::string> limits;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error{Code::kInvalid,
                   "'" + word + "': write KEY=LIMIT, e.g. candidates=500 or wall=10m"};
    }
    if (!limits.emplace(word.substr(0, equals), word.substr(equals + 1)).second)
      return Error{Code::kInvalid, "budget " + word.substr(0, equals) + " is given twice"};
  }
  return BudgetFrom(limits);
}

}  // namespace kev
