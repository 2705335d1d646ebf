// Reads a step's `with` by the contract table: types, choices, bounds, defaults.
// Threads: functions on values. Errors: go to the Report.
#ifndef KEV_CONFIGS_SETTINGS_READER_H_
#define KEV_CONFIGS_SETTINGS_READER_H_

#include "configs/contract.h"
#include "configs/diagnostics.h"
#include "configs/yaml_tree.h"
#include "engine/core/value.h"

namespace kev {

// All settings of `contract`, as a map; `with` may be nullptr. `at`: the place to name for a needed
// one that is missing.
Value ReadSettings(const StageContract& contract, const YamlNode* with, Position at,
                   Report& report);

}  // namespace kev

#endif  // KEV_CONFIGS_SETTINGS_READER_H_
