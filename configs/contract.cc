#include "configs/contract.h"

#include <algorithm>
#include <iterator>

#include "configs/contracts/contracts.h"

namespace kev {
namespace {

std::vector<StageContract> Collect() {
  std::vector<StageContract> all;
  for (auto* part : {ProposeContracts, CompileContracts, VerifyContracts, ProfileContracts,
                     SelectContracts, NullContracts}) {
    std::vector<StageContract> contracts = part();
    std::move(contracts.begin(), contracts.end(), std::back_inserter(all));
  }
  return all;
}

constexpr const char* kPreface = R"(# Stage contracts

Generated from the table in `configs/contracts/` (a test compares; `KEVOLVE_WRITE_CONTRACT=1` in the environment of
`configs_contract_test` writes it anew). What a stage is told stands in `with`; what it finds are its facts, which conditions
read as `<step>.<fact>`.

A job names its run, subject, step, attempt, settings, target and seed; with it come the candidate (variant, parameters,
source, facts so far), a list of artefacts (candidate, incumbent, rivals, baselines, reference), or a request. A result has a
verdict or a failure, a message, facts, usage (tokens, usd, device ms, wall ms), artefacts, proposals or requests, and named
blobs (`engine/core/job.h`). An artefact says its kind and how it is launched, so a shared library and a device binary have
the same shape.
)";

std::string Bounds(const Setting& setting) {
  if (!setting.choices.empty()) {
    std::string out;
    for (const std::string& choice : setting.choices) out += (out.empty() ? "" : ", ") + choice;
    return out;
  }
  if (setting.least < setting.most) {
    if (setting.type == FieldType::kInt) {
      return std::to_string(static_cast<int64_t>(setting.least)) + " to " +
             std::to_string(static_cast<int64_t>(setting.most));
    }
    return FormatDouble(setting.least) + " to " + FormatDouble(setting.most);
  }
  return setting.form;
}

std::string Default(const Setting& setting) {
  if (setting.otherwise.IsNull()) return "needed";
  if (setting.otherwise.IsString()) {
    return setting.otherwise.AsString().empty() ? "empty" : setting.otherwise.AsString();
  }
  if (setting.type == FieldType::kDuration) return ToJson(setting.otherwise) + "ms";
  return ToJson(setting.otherwise);
}

std::string Section(const StageContract& contract) {
  std::string out = "\n## " + contract.name + "\n\n" + contract.about + "\n\n";
  out += "Program `" + contract.program + "`; " + std::string(Name(contract.kind)) + " stage";
  if (contract.batch > 1) out += "; up to " + std::to_string(contract.batch) + " candidates a job";
  if (contract.stateful) out += "; stateful (a fold over the event log)";
  out += ".\n";
  if (!contract.settings.empty()) {
    out += "\n| setting | type | default | allowed | |\n|---|---|---|---|---|\n";
    for (const Setting& s : contract.settings) {
      out += "| " + s.name + " | " + Name(s.type) + " | " + Default(s) + " | " + Bounds(s) + " | " +
             s.about + " |\n";
    }
  }
  if (!contract.facts.empty()) {
    out += "\n| fact | type | unit | |\n|---|---|---|---|\n";
    for (const Fact& f : contract.facts) {
      out += "| " + f.name + " | " + Name(f.type) + " | " + f.unit + " | " + f.about + " |\n";
    }
  }
  return out;
}

}  // namespace

namespace {

FactKind KindOf(FieldType type) {
  switch (type) {
    case FieldType::kInt:
    case FieldType::kDuration:
      return FactKind::kInt;
    case FieldType::kDouble:
      return FactKind::kNumber;
    case FieldType::kBool:
      return FactKind::kBool;
    case FieldType::kString:
      return FactKind::kText;
    case FieldType::kStringList:
      return FactKind::kList;
    case FieldType::kMap:
      break;
  }
  return FactKind::kMap;
}

}  // namespace

std::map<std::string, FactKind> FactKinds(const StageContract& contract) {
  std::map<std::string, FactKind> kinds;
  for (const Fact& fact : contract.facts) kinds[fact.name] = KindOf(fact.type);
  return kinds;
}

const char* Name(FieldType type) {
  switch (type) {
    case FieldType::kInt:
      return "integer";
    case FieldType::kDouble:
      return "number";
    case FieldType::kBool:
      return "bool";
    case FieldType::kString:
      return "string";
    case FieldType::kDuration:
      return "duration";
    case FieldType::kStringList:
      return "list of strings";
    case FieldType::kMap:
      return "map";
  }
  return "";
}

const std::vector<StageContract>& StageContracts() {
  static const std::vector<StageContract>* const kContracts =
      new std::vector<StageContract>(Collect());
  return *kContracts;
}

const StageContract* FindContract(std::string_view stage) {
  const std::vector<StageContract>& all = StageContracts();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const StageContract& c) { return c.name == stage; });
  return found == all.end() ? nullptr : &*found;
}

std::string ContractMarkdown() {
  std::string out = kPreface;
  for (const StageContract& contract : StageContracts()) out += Section(contract);
  return out;
}

}  // namespace kev
