#include "configs/expression_field.h"

#include <algorithm>
#include <utility>

namespace kev {
namespace {

bool Fits(FieldType type, Wanted wanted) {
  switch (wanted) {
    case Wanted::kInteger:
      return type == FieldType::kInt;
    case Wanted::kNumber:
      return type == FieldType::kInt || type == FieldType::kDouble;
    case Wanted::kBool:
      return type == FieldType::kBool;
  }
  return false;
}

const char* Name(Wanted wanted) {
  switch (wanted) {
    case Wanted::kInteger:
      return "an integer";
    case Wanted::kNumber:
      return "a number";
    case Wanted::kBool:
      return "true or false";
  }
  return "";
}

// Where byte `offset` of the scalar's text stands in the file (for scalars in one line).
Position Inside(const YamlNode& node, size_t offset) {
  const std::string_view before = std::string_view(node.text).substr(0, offset);
  const auto characters = std::count_if(before.begin(), before.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  });
  return {node.at.line, node.at.column + static_cast<int>(characters) + (node.quoted ? 1 : 0)};
}

}  // namespace

bool ReadExpression(const YamlNode& node, const Symbols& symbols, Wanted wanted, Report& report,
                    Program* out, const ExplainName& explain) {
  if (!node.IsScalar() || node.text.empty()) {
    report.Error(node.at, "must be an expression, not " + Describe(node));
    return false;
  }
  CompiledExpression compiled = CompileExpression(node.text, symbols, explain);
  if (compiled.error) {
    report.Error(Inside(node, compiled.error->offset), compiled.error->message);
    return false;
  }
  if (!Fits(compiled.type, wanted)) {
    report.Error(node.at,
                 std::string("this expression must give ") + Name(wanted) + ", it gives " +
                     (compiled.type == FieldType::kBool ? "true or false" : Name(compiled.type)));
    return false;
  }
  *out = std::move(compiled.program);
  return true;
}

}  // namespace kev
