// Compiles the expression language of engine/core/expression.h: text and a table of names to
// checked byte code.
//
// Types are checked here, so that a condition that loads cannot fail by type when it runs. A
// duration counts as a double. Threads: functions on values. Errors: the first one, with its place
// in the text.
#ifndef KEV_CONFIGS_EXPRESSION_PARSER_H_
#define KEV_CONFIGS_EXPRESSION_PARSER_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "configs/contract.h"
#include "engine/core/expression.h"

namespace kev {

// Dotted name -> type (kInt, kDouble, kBool, kString or kDuration).
using Symbols = std::map<std::string, FieldType, std::less<>>;

struct ExpressionError {
  size_t offset = 0;  // in bytes, from the start of the text
  std::string message;
};

struct CompiledExpression {
  Program program;
  FieldType type = FieldType::kBool;
  std::optional<ExpressionError> error;  // set: program is empty
};

// What to say of a name that is not in the table; "" leaves it to the parser ("unknown name", "did
// you mean").
using ExplainName = std::function<std::string(std::string_view name)>;

CompiledExpression CompileExpression(std::string_view text, const Symbols& symbols,
                                     const ExplainName& explain = nullptr);

}  // namespace kev

#endif  // KEV_CONFIGS_EXPRESSION_PARSER_H_
