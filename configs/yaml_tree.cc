#include "configs/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "configs/units.h"

namespace kev {
namespace {

constexpr size_t kMostNodes = 200'000;  // also bounds what aliases can blow up to
constexpr size_t kMostBytes = 8'000'000;
constexpr size_t kDeepest = 64;

Position At(const YAML::Mark& mark) {
  if (mark.is_null()) return {};
  return {mark.line + 1, mark.column + 1};
}

struct TreeError {  // leaves the library's parser; caught in ParseYaml
  Position at;
  std::string message;
};

size_t CountNodes(const YamlNode& node) {
  size_t count = 1;
  for (const YamlNode& item : node.items) count += CountNodes(item);
  for (const auto& [key, value] : node.entries) count += CountNodes(key) + CountNodes(value);
  return count;
}

class TreeBuilder : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Leaf({YamlNode::Kind::kNull, "", false, At(mark), {}, {}}, anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Leaf({YamlNode::Kind::kScalar, value, tag == "!", At(mark), {}, {}}, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end()) throw TreeError{At(mark), "an alias to what it stands in"};
    nodes_ += CountNodes(known->second) - 1;
    Leaf(YamlNode(known->second), YAML::NullAnchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kList, mark, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kMap, mark, anchor);
  }
  void OnMapEnd() override { Close(); }

  YamlNode Take() { return std::move(root_); }

 private:
  struct Level {
    YamlNode node;
    YAML::anchor_t anchor;
    bool value_next = false;  // maps: a key is waiting for its value
  };

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (open_.size() >= kDeepest) throw TreeError{At(mark), "nested too deeply"};
    open_.push_back({{kind, "", false, At(mark), {}, {}}, anchor});
  }
  void Close() {
    Level level = std::move(open_.back());
    open_.pop_back();
    Leaf(std::move(level.node), level.anchor);
  }
  void Leaf(YamlNode node, YAML::anchor_t anchor) {
    if (++nodes_ > kMostNodes) throw TreeError{node.at, "too many values in one file"};
    if (anchor != YAML::NullAnchor) anchors_[anchor] = node;
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& level = open_.back();
    if (level.node.IsList()) {
      level.node.items.push_back(std::move(node));
    } else if (!level.value_next) {
      level.node.entries.push_back({std::move(node), YamlNode{}});
      level.value_next = true;
    } else {
      if (node.at.line == 0) node.at = level.node.entries.back().first.at;
      level.node.entries.back().second = std::move(node);
      level.value_next = false;
    }
  }

  std::vector<Level> open_;
  std::map<YAML::anchor_t, YamlNode> anchors_;
  YamlNode root_;
  size_t nodes_ = 0;
};

}  // namespace

const YamlNode* YamlNode::Find(std::string_view key) const {
  const auto entry = std::find_if(entries.begin(), entries.end(), [&](const auto& e) {
    return e.first.IsScalar() && e.first.text == key;
  });
  return entry == entries.end() ? nullptr : &entry->second;
}

std::string Describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
    case YamlNode::Kind::kScalar:
      return node.text.size() <= 40 ? "'" + node.text + "'"
                                    : "'" + node.text.substr(0, 37) + "...'";
  }
  return "";
}

Value ToValue(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return Value();
    case YamlNode::Kind::kList: {
      Value list{Value::List{}};
      for (const YamlNode& item : node.items) list.Append(ToValue(item));
      return list;
    }
    case YamlNode::Kind::kMap: {
      Value map{Value::Map{}};
      for (const auto& [key, value] : node.entries) map.Set(key.text, ToValue(value));
      return map;
    }
    case YamlNode::Kind::kScalar:
      break;
  }
  if (node.quoted) return Value(node.text);
  if (node.text == "true" || node.text == "false") return Value(node.text == "true");
  if (const auto integer = ParseInt(node.text)) return Value(*integer);
  if (const auto number = ParseNumber(node.text)) return Value(*number);
  return Value(node.text);
}

std::optional<YamlNode> ParseYaml(const std::string& text, Report* report) {
  if (text.size() > kMostBytes) {
    report->Error({}, "larger than 8 MB: this is no file of kevolve");
    return std::nullopt;
  }
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    TreeBuilder builder;
    if (!parser.HandleNextDocument(builder)) {
      report->Error({}, "the file is empty");
      return std::nullopt;
    }
    YamlNode root = builder.Take();
    TreeBuilder second;
    if (parser.HandleNextDocument(second)) {
      report->Error(second.Take().at, "a second document; one file holds one");
    }
    return root;
  } catch (const TreeError& error) {
    report->Error(error.at, error.message);
  } catch (const YAML::Exception& error) {
    report->Error(At(error.mark), "not valid YAML: " + error.msg);
  } catch (const std::exception& error) {
    report->Error({}, std::string("not valid YAML: ") + error.what());
  }
  return std::nullopt;
}

}  // namespace kev
