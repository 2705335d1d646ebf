// The stage contract table: what each stage takes, gives and can be told. Validation, docs
// (stages/CONTRACT.md) and the JSON schema come from this one table. Each stage's part stands in
// its own file, configs/contracts/<stage>.cc.
#ifndef KEV_CONFIGS_CONTRACT_H_
#define KEV_CONFIGS_CONTRACT_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/plan.h"
#include "engine/core/value.h"

namespace kev {

enum class FieldType { kInt, kDouble, kBool, kString, kDuration, kStringList, kMap };
const char* Name(FieldType type);

struct Setting {  // one key of `with`
  std::string name;
  FieldType type = FieldType::kString;
  Value otherwise = {};  // default; null: none, the key is needed. Durations are in ms
  std::vector<std::string> choices = {};  // strings only; empty: any
  double least = 0;                       // numbers: bounds, when least < most
  double most = 0;
  std::string about;
  std::string form = {};  // strings: what `accepts` wants, for messages
  bool (*accepts)(std::string_view text) = nullptr;
};
struct Fact {  // one field of a result, which conditions can read as <step>.<name>
  std::string name;
  FieldType type = FieldType::kDouble;
  std::string unit;  // "", "ratio", "ns", "1/s", "bytes", …
  std::string about;
};
struct StageContract {
  std::string name;  // as in `uses`
  StageKind kind;
  std::string about;
  std::vector<Setting> settings;
  std::vector<Fact> facts;
  uint32_t batch = 1;  // propose: most candidates one job may give
  bool stateful = false;
  std::string program;  // the stage process that does it: "propose", "compile", …
};

const std::vector<StageContract>& StageContracts();
const StageContract* FindContract(std::string_view stage);
// The facts as a step of a plan declares them.
std::map<std::string, FactKind> FactKinds(const StageContract& contract);
// stages/CONTRACT.md, generated.
std::string ContractMarkdown();

}  // namespace kev

#endif  // KEV_CONFIGS_CONTRACT_H_
