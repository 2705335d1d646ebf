// An expression that stands in a YAML scalar: compiled, with errors at their place in the file.
// Threads: functions on values. Errors: go to the Report.
#ifndef KEV_CONFIGS_EXPRESSION_FIELD_H_
#define KEV_CONFIGS_EXPRESSION_FIELD_H_

#include "configs/diagnostics.h"
#include "configs/expression_parser.h"
#include "configs/yaml_tree.h"

namespace kev {

enum class Wanted { kInteger, kNumber, kBool };

// False (and an error in `report`) when `node` is no expression of the wanted type.
bool ReadExpression(const YamlNode& node, const Symbols& symbols, Wanted wanted, Report& report,
                    Program* out, const ExplainName& explain = nullptr);

}  // namespace kev

#endif  // KEV_CONFIGS_EXPRESSION_FIELD_H_
