#include "configs/contract.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "configs/load.h"

namespace kev {
namespace {

std::string SourceFolder() {
  const char* folder = std::getenv("KEVOLVE_SOURCE_DIR");
  return folder != nullptr ? folder : ".";
}

TEST_CASE("stages/CONTRACT.md says what the table says") {
  const std::string path = SourceFolder() + "/stages/CONTRACT.md";
  if (std::getenv("KEVOLVE_WRITE_CONTRACT") != nullptr) std::ofstream(path) << ContractMarkdown();
  const Result<std::string> written = DiskFiles().Read(path);
  REQUIRE(written);
  // Not equal: run this program with KEVOLVE_WRITE_CONTRACT=1 and commit the file.
  CHECK(*written == ContractMarkdown());
}

TEST_CASE("every default is one that the setting would accept") {
  std::set<std::string> names;
  for (const StageContract& contract : StageContracts()) {
    CAPTURE(contract.name);
    CHECK(names.insert(contract.name).second);
    CHECK(FindContract(contract.name) == &contract);
    for (const Setting& setting : contract.settings) {
      CAPTURE(setting.name);
      const Value& value = setting.otherwise;
      if (setting.type == FieldType::kInt) CHECK(value.IsInt());
      if (setting.type == FieldType::kDouble) CHECK(value.IsDouble());
      if (setting.type == FieldType::kString) CHECK(value.IsString());
      if (setting.least < setting.most) {
        CHECK(value.AsDouble() >= setting.least);
        CHECK(value.AsDouble() <= setting.most);
      }
      if (!setting.choices.empty()) {
        CHECK(std::set<std::string>(setting.choices.begin(), setting.choices.end())
                  .count(value.AsString()) == 1);
      }
      if (setting.accepts != nullptr) CHECK(setting.accepts(value.AsString()));
    }
  }
}

TEST_CASE("a stage that is not in the table has no contract") {
  CHECK(FindContract("propose") == nullptr);
}

}  // namespace
}  // namespace kev
