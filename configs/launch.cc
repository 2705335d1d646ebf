#include "configs/launch.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <string_view>

#include "configs/expression_field.h"
#include "configs/section_reader.h"
#include "configs/task_sections.h"

namespace kev {
namespace {

constexpr uint64_t kMostGridX = INT32_MAX, kMostGridOther = 65535;
constexpr uint64_t kMostThreads = 1024, kMostBlockZ = 64;
constexpr uint64_t kMostSharedBytes = 1 << 20;  // the driver knows what its device has

Result<uint64_t> Whole(const Program& program, const char* what, const Axes& axes) {
  const Result<double> value = EvaluateOver(program, axes);
  if (!value) return value.error();
  if (*value < 0 || *value > 1e15 || *value != static_cast<double>(static_cast<uint64_t>(*value)))
    return Error{Code::kInvalid, std::string(what) + " `" + program.text + "` is " +
                                     ToJson(Value(*value)) + ", not a whole number from 0"};
  return static_cast<uint64_t>(*value);
}

Error Outside(const char* what, const std::string& formula, uint64_t value, uint64_t most) {
  return Error{Code::kInvalid, std::string(what) + " `" + formula + "` is " +
                                   std::to_string(value) + "; it must be from 1 to " +
                                   std::to_string(most)};
}

bool InName(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// What the source defines as a whole number, by name.
using Numbers = std::map<std::string, std::string, std::less<>>;
void NoteDefinition(std::string_view line, Numbers* numbers) {
  constexpr std::string_view kDefine = "#define ";
  if (!line.starts_with(kDefine)) return;
  line.remove_prefix(kDefine.size());
  const auto word = [&line](auto in) {
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    const auto end = std::find_if_not(line.begin(), line.end(), in);
    const std::string_view taken(line.begin(), end);
    line.remove_prefix(taken.size());
    return taken;
  };
  const std::string_view name = word(InName);
  const std::string_view number = word([](char c) { return c >= '0' && c <= '9'; });
  while (!line.empty() && (line.front() == ' ' || line.front() == '\t' || line.front() == '\r'))
    line.remove_prefix(1);
  if (!name.empty() && !number.empty() && (line.empty() || line.starts_with("/")))
    numbers->emplace(name, number);
}

std::string WithNumbers(std::string_view text, const Numbers& numbers) {
  std::string out;
  while (!text.empty()) {
    const auto end = std::find_if_not(text.begin(), text.end(), InName);
    const std::string_view name(text.begin(), end);
    const auto found = numbers.find(name);
    out += found == numbers.end() ? name : std::string_view(found->second);
    text.remove_prefix(name.size());
    if (text.empty()) break;
    out += text.front();
    text.remove_prefix(1);
  }
  return out;
}

}  // namespace

Result<std::string> LaunchTextOf(const std::string& source) {
  constexpr std::string_view kMark = "launch:";
  Numbers numbers;
  std::string found;
  size_t lines = 0;
  for (size_t at = 0; at < source.size();) {
    const size_t end = std::min(source.find('\n', at), source.size());
    std::string_view line = std::string_view(source).substr(at, end - at);
    at = end + 1;
    const auto skip = [&line](std::string_view what) {
      while (!line.empty() && what.find(line.front()) != std::string_view::npos)
        line.remove_prefix(1);
    };
    skip(" \t");
    NoteDefinition(line, &numbers);
    if (!line.starts_with("//") && !line.starts_with("#")) continue;
    skip("/# \t");
    if (!line.starts_with(kMark)) continue;
    found = line.substr(kMark.size());
    ++lines;
  }
  if (lines == 1) return WithNumbers(found, numbers);
  if (lines > 1)
    return Error{Code::kInvalid, "the source has " + std::to_string(lines) +
                                     " lines `// launch: …`; one says how the kernel is launched"};
  return Error{
      Code::kNotFound,
      "the source has no line like `// launch: { grid: [rows], block: [256] }`, which says "
      "how the kernel is launched, in formulas over the task's axes"};
}

Result<LaunchForm> ParseLaunch(const std::string& text, const Task& task) {
  Report report("the launch line", text);
  const std::optional<YamlNode> root = ParseYaml(text, &report);
  LaunchForm form;
  const Symbols symbols = AxisSymbols(task);
  const auto three = [&](std::vector<Program>* out) {
    return [&symbols, out](const YamlNode& node, Report& r) {
      if (!node.IsList() || node.items.empty() || node.items.size() > 3)
        return r.Error(node.at, "must be a list of 1 to 3 formulas, not " + Describe(node));
      for (const YamlNode& item : node.items)
        ReadExpression(item, symbols, Wanted::kInteger, r, &out->emplace_back());
    };
  };
  if (root) {
    ReadSection(*root, "a launch",
                {{"grid", three(&form.grid), true},
                 {"block", three(&form.block), true},
                 {"shared",
                  [&](const YamlNode& node, Report& r) {
                    ReadExpression(node, symbols, Wanted::kInteger, r, &form.shared);
                  }}},
                report);
  }
  if (!report.HasErrors()) return form;
  std::string errors = Format(report.Take());
  while (errors.ends_with('\n')) errors.pop_back();
  return Error{Code::kInvalid, errors};
}

Result<LaunchNumbers> LaunchFor(const LaunchForm& form, const Axes& axes) {
  LaunchNumbers numbers;
  uint64_t threads = 1;
  for (size_t i = 0; i < form.grid.size(); ++i) {
    const Result<uint64_t> blocks = Whole(form.grid[i], "grid", axes);
    if (!blocks) return blocks.error();
    const uint64_t most = i == 0 ? kMostGridX : kMostGridOther;
    if (*blocks < 1 || *blocks > most) return Outside("grid", form.grid[i].text, *blocks, most);
    numbers.grid[i] = static_cast<uint32_t>(*blocks);
  }
  for (size_t i = 0; i < form.block.size(); ++i) {
    const Result<uint64_t> size = Whole(form.block[i], "block", axes);
    if (!size) return size.error();
    const uint64_t most = i == 2 ? kMostBlockZ : kMostThreads;
    if (*size < 1 || *size > most) return Outside("block", form.block[i].text, *size, most);
    numbers.block[i] = static_cast<uint32_t>(*size);
    threads *= *size;
  }
  if (threads > kMostThreads)
    return Error{Code::kInvalid, "a block would have " + std::to_string(threads) + " threads; " +
                                     std::to_string(kMostThreads) + " are the most"};
  if (form.shared.empty()) return numbers;
  const Result<uint64_t> shared = Whole(form.shared, "shared", axes);
  if (!shared) return shared.error();
  if (*shared > kMostSharedBytes)
    return Error{Code::kInvalid, "shared `" + form.shared.text + "` is " + std::to_string(*shared) +
                                     " bytes, more than a block can have"};
  numbers.shared_bytes = static_cast<uint32_t>(*shared);
  return numbers;
}

}  // namespace kev
