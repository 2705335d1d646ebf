// A YAML document as a plain tree with positions, so that no other file needs the YAML library.
//
// Keys keep their order and duplicates; a scalar knows whether it was quoted. Aliases are copies.
// Depth and number of nodes are bounded. Threads: plain values. Errors: syntax errors are reported
// with their position.
#ifndef KEV_CONFIGS_YAML_TREE_H_
#define KEV_CONFIGS_YAML_TREE_H_

#include <optional>
#include <string>
#include <vector>

#include "configs/diagnostics.h"
#include "engine/core/value.h"

namespace kev {

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kList, kMap } kind = Kind::kNull;
  std::string text;     // scalars
  bool quoted = false;  // scalars; a quoted one is always a string
  Position at;
  std::vector<YamlNode> items;     // lists
  std::vector<YamlEntry> entries;  // maps

  bool IsScalar() const { return kind == Kind::kScalar; }
  bool IsList() const { return kind == Kind::kList; }
  bool IsMap() const { return kind == Kind::kMap; }
  // The first value of `key`, or nullptr.
  const YamlNode* Find(std::string_view key) const;
};

struct YamlEntry {
  YamlNode first;   // key
  YamlNode second;  // value
};

// "a number", "the text 'abc'", "a list", … for messages.
std::string Describe(const YamlNode& node);
// null, bool, int, double or string by form; lists and maps by element.
Value ToValue(const YamlNode& node);

// The one document in `text`; nothing when it could not be read (then `report` says why).
std::optional<YamlNode> ParseYaml(const std::string& text, Report* report);

}  // namespace kev

#endif  // KEV_CONFIGS_YAML_TREE_H_
