#include <algorithm>
#include <utility>

#include "configs/expression_field.h"
#include "configs/task_sections.h"

namespace kev {
namespace {

constexpr size_t kMostTried = 5'000;  // assignments that the constraints are tried on

// The one type of all values, or nothing; integers among doubles count as doubles.
std::optional<FieldType> TypeOf(const std::vector<Value>& values) {
  std::optional<FieldType> type;
  for (const Value& value : values) {
    FieldType own = FieldType::kString;
    if (value.IsBool()) own = FieldType::kBool;
    if (value.IsInt()) own = FieldType::kInt;
    if (value.IsDouble()) own = FieldType::kDouble;
    const bool numbers =
        type && value.IsNumber() && (*type == FieldType::kInt || *type == FieldType::kDouble);
    if (!type) {
      type = own;
    } else if (*type != own && numbers) {
      type = FieldType::kDouble;
    } else if (*type != own) {
      return std::nullopt;
    }
  }
  return type;
}

void ReadParameter(const YamlNode& key, const YamlNode& node, TaskContext& context,
                   Variant* variant, Symbols* symbols) {
  Report& report = context.report;
  if (!IsIdentifier(key.text)) report.Error(key.at, "a parameter's name must be a C identifier");
  if (!node.IsList() || node.items.empty()) {
    report.Error(node.at, "must be a list of values, like [1, 2, 4], not " +
                              (node.IsList() ? "an empty one" : Describe(node)));
    return;
  }
  Parameter parameter{key.text, {}};
  for (const YamlNode& item : node.items) {
    if (!item.IsScalar() || item.text.find('\n') != std::string::npos) {
      report.Error(item.at,
                   "a value is a number, true, false or text in one line, not " + Describe(item));
      continue;
    }
    Value value = ToValue(item);
    if (std::find(parameter.values.begin(), parameter.values.end(), value) !=
        parameter.values.end()) {
      report.Error(item.at, "the value " + item.text + " stands here twice");
      continue;
    }
    parameter.values.push_back(std::move(value));
  }
  const std::optional<FieldType> type = TypeOf(parameter.values);
  if (!type && !parameter.values.empty()) {
    report.Error(node.at, "all values of a parameter must be of one kind: numbers, bools or texts");
  }
  (*symbols)[key.text] = type.value_or(FieldType::kInt);
  variant->parameters.push_back(std::move(parameter));
}

// The constraints must have a value for every assignment and hold for one of them; looks at the
// first ones.
void CheckSatisfiable(const YamlNode& node, const Variant& variant, Report& report) {
  std::vector<size_t> choice(variant.parameters.size(), 0);
  bool any = false;
  for (size_t tried = 0; tried < kMostTried; ++tried) {
    Value assignment{Value::Map{}};
    for (size_t i = 0; i < choice.size(); ++i) {
      assignment.Set(variant.parameters[i].name, variant.parameters[i].values[choice[i]]);
    }
    const Result<bool> met = MeetsConstraints(variant, assignment);
    if (!met) {
      report.Error(node.at, met.error().message + " for " + ToJson(assignment));
      return;
    }
    any = any || *met;
    size_t i = 0;
    while (i < choice.size() && ++choice[i] == variant.parameters[i].values.size()) choice[i++] = 0;
    if (i < choice.size()) continue;
    if (!any) report.Error(node.at, "no assignment of the parameters meets these constraints");
    return;
  }
}

void ReadVariant(const YamlNode& node, TaskContext& context) {
  Report& report = context.report;
  Variant variant;
  const YamlNode *name = nullptr, *parameters = nullptr, *constraints = nullptr,
                 *libraries = nullptr;
  ReadSection(node, "a variant",
              {{"name", Keep(&name), true},
               {"source",
                [&](const YamlNode& file, Report&) {
                  ReadSourceFile(file, context, &variant.path, &variant.text);
                },
                true},
               {"parameters", Keep(&parameters)},
               {"constraints", Keep(&constraints)},
               {"flags", Texts(&variant.flags)},
               {"libraries",
                [&](const YamlNode& list, Report& r) {
                  libraries = &list;
                  Texts (&variant.libraries)(list, r);
                }}},
              report);
  if (name != nullptr) {
    Text (&variant.name)(*name, report);
    if (!IsIdentifier(variant.name))
      report.Error(name->at, "a variant's name must be an identifier");
    for (const Variant& other : context.task.variants) {
      if (other.name == variant.name)
        report.Error(name->at, "two variants are called '" + variant.name + "'");
    }
  }
  if (libraries != nullptr) CheckLibraries(*libraries, context);
  Symbols symbols;
  if (parameters != nullptr) {
    ReadEach(*parameters, "`parameters`", report, [&](const YamlNode& key, const YamlNode& value) {
      ReadParameter(key, value, context, &variant, &symbols);
    });
  }
  bool sound = std::none_of(variant.parameters.begin(), variant.parameters.end(),
                            [](const Parameter& p) { return p.values.empty(); });
  if (constraints != nullptr) {
    if (!constraints->IsList()) {
      report.Error(constraints->at, "must be a list of conditions, not " + Describe(*constraints));
    }
    for (const YamlNode& item : constraints->items) {
      Program program;
      const bool good = ReadExpression(item, symbols, Wanted::kBool, report, &program);
      if (good) variant.constraints.push_back(std::move(program));
      sound = sound && good;
    }
    if (sound && !variant.constraints.empty()) CheckSatisfiable(*constraints, variant, report);
  }
  context.task.variants.push_back(std::move(variant));
}

}  // namespace

void ReadVariants(const YamlNode& node, TaskContext& context) {
  if (!node.IsList()) {
    context.report.Error(node.at, "must be a list of variants, not " + Describe(node));
    return;
  }
  for (const YamlNode& item : node.items) ReadVariant(item, context);
}

}  // namespace kev
