#include "configs/settings_reader.h"

#include <utility>

#include "configs/section_reader.h"

namespace kev {
namespace {

std::string BoundsText(const Setting& setting) {
  if (setting.type == FieldType::kInt) {
    return std::to_string(static_cast<int64_t>(setting.least)) + " and " +
           std::to_string(static_cast<int64_t>(setting.most));
  }
  return FormatDouble(setting.least) + " and " + FormatDouble(setting.most);
}

bool InBounds(const Setting& setting, const YamlNode& node, double number, Report& report) {
  if (setting.least >= setting.most || (number >= setting.least && number <= setting.most))
    return true;
  report.Error(node.at,
               "'" + setting.name + "' lies between " + BoundsText(setting) + ", not " + node.text);
  return false;
}

void ReadText(const Setting& setting, const YamlNode& node, Report& report, Value* out) {
  std::string text = out->AsString();
  if (setting.choices.empty()) {
    Text (&text)(node, report);
  } else {
    TextIn(&text, setting.choices)(node, report);
  }
  if (node.IsScalar() && setting.accepts != nullptr && !setting.accepts(text)) {
    report.Error(node.at,
                 "'" + setting.name + "' must be " + setting.form + ", not " + Describe(node));
  }
  *out = std::move(text);
}

void ReadSetting(const Setting& setting, const YamlNode& node, Report& report, Value* out) {
  switch (setting.type) {
    case FieldType::kInt: {
      int64_t number = out->AsInt();
      Integer (&number)(node, report);
      if (InBounds(setting, node, static_cast<double>(number), report)) *out = number;
      return;
    }
    case FieldType::kDouble: {
      double number = out->AsDouble();
      Number(&number, -1.7e308)(node, report);
      if (InBounds(setting, node, number, report)) *out = number;
      return;
    }
    case FieldType::kBool: {
      bool flag = out->AsBool();
      Flag (&flag)(node, report);
      *out = flag;
      return;
    }
    case FieldType::kString:
      ReadText(setting, node, report, out);
      return;
    case FieldType::kDuration: {
      uint64_t ms = static_cast<uint64_t>(out->AsInt());
      DurationMs (&ms)(node, report);
      *out = ms;
      return;
    }
    case FieldType::kStringList: {
      std::vector<std::string> texts;
      Texts (&texts)(node, report);
      *out = Value(Value::List(texts.begin(), texts.end()));
      return;
    }
    case FieldType::kMap:
      if (!node.IsMap())
        report.Error(node.at, "'" + setting.name + "' must be a map, not " + Describe(node));
      *out = ToValue(node);
      return;
  }
}

}  // namespace

Value ReadSettings(const StageContract& contract, const YamlNode* with, Position at,
                   Report& report) {
  Value settings{Value::Map{}};
  std::vector<Field> fields;
  for (const Setting& setting : contract.settings) {
    settings.Set(setting.name, setting.otherwise);
    fields.push_back({setting.name,
                      [&](const YamlNode& node, Report& r) {
                        ReadSetting(setting, node, r, &settings.Set(setting.name));
                      },
                      setting.otherwise.IsNull()});
  }
  const YamlNode none{YamlNode::Kind::kMap, "", false, at, {}, {}};
  ReadSection(with != nullptr ? *with : none, "`with` of " + contract.name, fields, report);
  return settings;
}

}  // namespace kev
