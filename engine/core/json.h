// JSON text appended piece by piece, for records that are written often. ToJson (value.h) gives the
// whole of a Value.
#ifndef KEV_ENGINE_CORE_JSON_H_
#define KEV_ENGINE_CORE_JSON_H_

#include <string>
#include <string_view>

#include "engine/core/value.h"

namespace kev {

void AppendJson(const Value& value, std::string* out);
void AppendJsonString(std::string_view text, std::string* out);

}  // namespace kev

#endif  // KEV_ENGINE_CORE_JSON_H_
