#include "configs/section_reader.h"

#include <algorithm>
#include <set>
#include <utility>

#include "configs/suggestion.h"
#include "configs/units.h"
#include "engine/core/value.h"

namespace kev {
namespace {

bool NeedMap(const YamlNode& node, const std::string& what, Report& report) {
  if (node.IsMap()) return true;
  report.Error(node.at, what + " must be a map (key: value), not " + Describe(node));
  return false;
}

// Calls `read` for each entry with a usable key that has not come before.
void EachEntry(const YamlNode& node, Report& report,
               const std::function<void(const YamlNode&, const YamlNode&)>& read) {
  std::map<std::string_view, int> seen;
  for (const auto& [key, value] : node.entries) {
    if (!key.IsScalar()) {
      report.Error(key.at, "a key must be plain text, not " + Describe(key));
      continue;
    }
    const auto [first, fresh] = seen.emplace(key.text, key.at.line);
    if (!fresh) {
      report.Error(key.at, "'" + key.text + "' stands here twice (first in line " +
                               std::to_string(first->second) + ")");
      continue;
    }
    read(key, value);
  }
}

bool Scalar(const YamlNode& node, const char* wanted, Report& report) {
  if (node.IsScalar()) return true;
  report.Error(node.at, std::string("must be ") + wanted + ", not " + Describe(node));
  return false;
}

template <typename Target, typename Source>
void Store(const YamlNode& node, Report& report, const char* wanted,
           const std::optional<Source>& parsed, Source least, Source most, Target* out) {
  if (!parsed || node.quoted) {
    report.Error(node.at, std::string("must be ") + wanted + ", not " + Describe(node));
  } else if (*parsed < least || *parsed > most) {
    const bool below = *parsed < least;
    report.Error(node.at, std::string("must be ") + (below ? "at least " : "at most ") +
                              ToJson(Value(below ? least : most)) + ", not " + node.text);
  } else {
    *out = static_cast<Target>(*parsed);
  }
}

constexpr const char* kCount = "a whole number (k, M and G may follow: 10k)";
constexpr const char* kDuration = "a duration with its unit, like 250ms, 30s, 5m or 2h";

}  // namespace

void ReadSection(const YamlNode& node, const std::string& what, const std::vector<Field>& fields,
                 Report& report, const std::vector<std::string>& later) {
  if (!NeedMap(node, what, report)) return;
  std::set<std::string_view> found;
  EachEntry(node, report, [&](const YamlNode& key, const YamlNode& value) {
    const auto field = std::find_if(fields.begin(), fields.end(),
                                    [&](const Field& f) { return f.key == key.text; });
    if (field != fields.end()) {
      found.insert(field->key);
      field->read(value, report);
    } else if (std::find(later.begin(), later.end(), key.text) != later.end()) {
      report.Error(key.at, "'" + key.text + "' is not supported by this version of kevolve");
    } else {
      std::vector<std::string> known;
      for (const Field& f : fields) known.push_back(f.key);
      report.Error(key.at,
                   "unknown key '" + key.text + "' in " + what + DidYouMean(key.text, known));
    }
  });
  for (const Field& field : fields) {
    if (field.needed && !found.count(field.key)) {
      report.Error(node.at, what + " needs the key '" + field.key + "'");
    }
  }
}

void ReadEach(const YamlNode& node, const std::string& what, Report& report,
              const std::function<void(const YamlNode&, const YamlNode&)>& read) {
  if (NeedMap(node, what, report)) EachEntry(node, report, read);
}

Reader Text(std::string* out) {
  return [out](const YamlNode& node, Report& report) {
    if (Scalar(node, "text", report)) *out = node.text;
  };
}

Reader TextIn(std::string* out, std::vector<std::string> choices) {
  return [out, choices = std::move(choices)](const YamlNode& node, Report& report) {
    if (!Scalar(node, "text", report)) return;
    if (std::find(choices.begin(), choices.end(), node.text) != choices.end()) {
      *out = node.text;
    } else {
      report.Error(node.at, "'" + node.text + "' is not one of the choices" +
                                DidYouMean(node.text, choices));
    }
  };
}

Reader Texts(std::vector<std::string>* out) {
  return [out](const YamlNode& node, Report& report) {
    if (!node.IsList()) {
      report.Error(node.at, "must be a list, like [a, b], not " + Describe(node));
      return;
    }
    for (const YamlNode& item : node.items) {
      if (Scalar(item, "text", report)) out->push_back(item.text);
    }
  };
}

Reader Flag(bool* out) {
  return [out](const YamlNode& node, Report& report) {
    if (node.IsScalar() && !node.quoted && (node.text == "true" || node.text == "false")) {
      *out = node.text == "true";
    } else {
      report.Error(node.at, "must be true or false, not " + Describe(node));
    }
  };
}

Reader Number(double* out, double least) {
  return [out, least](const YamlNode& node, Report& report) {
    Store(node, report, "a number", ParseNumber(node.text), least, 1.7e308, out);
  };
}

Reader Positive(double* out) {
  return [out](const YamlNode& node, Report& report) {
    double number = 0;
    Store(node, report, "a number", ParseNumber(node.text), -1.7e308, 1.7e308, &number);
    if (ParseNumber(node.text).value_or(1) <= 0) {
      report.Error(node.at, "must be above 0, not " + node.text);
    } else {
      *out = number;
    }
  };
}

Reader Integer(int64_t* out) {
  return [out](const YamlNode& node, Report& report) {
    Store(node, report, "a whole number", ParseInt(node.text), INT64_MIN, INT64_MAX, out);
  };
}

Reader Count(uint64_t* out, uint64_t least, uint64_t most) {
  return [=](const YamlNode& node, Report& report) {
    Store(node, report, kCount, ParseCount(node.text), least, most, out);
  };
}

Reader Count32(uint32_t* out, uint32_t least, uint32_t most) {
  return [=](const YamlNode& node, Report& report) {
    Store(node, report, kCount, ParseCount(node.text), uint64_t{least}, uint64_t{most}, out);
  };
}

Reader DurationMs(uint64_t* out) {
  return [out](const YamlNode& node, Report& report) {
    Store(node, report, kDuration, ParseDurationMs(node.text), uint64_t{1}, uint64_t{UINT64_MAX},
          out);
  };
}

Reader DurationMs32(uint32_t* out) {
  return [out](const YamlNode& node, Report& report) {
    Store(node, report, kDuration, ParseDurationMs(node.text), uint64_t{1}, uint64_t{UINT32_MAX},
          out);
  };
}

Reader TextMap(std::map<std::string, std::string>* out) {
  return [out](const YamlNode& node, Report& report) {
    ReadEach(node, "this", report, [&](const YamlNode& key, const YamlNode& value) {
      if (Scalar(value, "text", report)) (*out)[key.text] = value.text;
    });
  };
}

Reader Keep(const YamlNode** out) {
  return [out](const YamlNode& node, Report&) { *out = &node; };
}

Reader FormatVersion() {
  return [](const YamlNode& node, Report& report) {
    if (node.text != "1") {
      report.Error(node.at, "format version " + Describe(node) +
                                " is not known; this version of kevolve reads 1");
    }
  };
}

}  // namespace kev
