#include "runners/analysis/remarks.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <sstream>
#include <tuple>

namespace kev {
namespace {

constexpr std::string_view kDone = ": vectorized: ", kMissed = ": missed: ";

struct Line {
  int number = 0;
  std::string kind;  // optimized, missed, note, remark
  std::string text;
};

// "path:LINE:COLUMN: kind: text"; number is 0 when it is something else or of another file.
Line Split(const std::string& line, std::string_view source) {
  const size_t end = line.find(':');
  if (end == std::string::npos || !std::string_view(line).substr(0, end).ends_with(source))
    return {};
  Line split;
  char* rest = nullptr;
  split.number = static_cast<int>(std::strtol(line.c_str() + end + 1, &rest, 10));
  const size_t kind = line.find(": ", static_cast<size_t>(rest - line.c_str()));
  if (kind == std::string::npos) return {};
  const size_t text = line.find(": ", kind + 2);
  if (text == std::string::npos) return {};
  split.kind = line.substr(kind + 2, text - kind - 2);
  split.text = line.substr(text + 2);
  // clang says with which option the remark is switched on.
  if (const size_t option = split.text.rfind(" [-R"); option != std::string::npos)
    split.text.resize(option);
  split.text.erase(split.text.begin(),
                   std::find_if(split.text.begin(), split.text.end(),
                                [](unsigned char c) { return std::isspace(c) == 0; }));
  return split;
}

// A reason that can be acted on. gcc's "couldn't vectorize loop" only announces it.
bool SaysWhy(const Line& line) {
  if (line.kind == "missed")
    return line.text.find("couldn't vectorize loop") == std::string::npos &&
           line.text.find("***") == std::string::npos;
  return line.kind == "remark" && line.text.starts_with("loop not vectorized:");
}

bool SaysVectorized(const Line& line) {
  return (line.kind == "optimized" && line.text.find("vectorized") != std::string::npos) ||
         (line.kind == "remark" && line.text.starts_with("vectorized loop"));
}

int RankOf(const Remark& remark) {
  if (remark.vectorized) return 0;
  return remark.text.find("not vectorized") != std::string::npos ? 1 : 2;
}

}  // namespace

std::vector<Remark> ParseRemarks(std::string_view output, std::string_view source, size_t most) {
  std::vector<Remark> remarks;
  std::istringstream lines{std::string(output)};
  for (std::string line; std::getline(lines, line);) {
    const Line split = Split(line, source);
    if (split.number <= 0 || (!SaysWhy(split) && !SaysVectorized(split))) continue;
    Remark remark{split.number, SaysVectorized(split), split.text};
    if (std::find(remarks.begin(), remarks.end(), remark) == remarks.end())
      remarks.push_back(std::move(remark));
  }
  // What was done says most; then reasons by loops (gcc repeats them for each vector size).
  std::vector<Remark> kept;
  for (const int rank : {0, 1, 2}) {
    for (const Remark& remark : remarks) {
      if (RankOf(remark) == rank && kept.size() < most) kept.push_back(remark);
    }
  }
  std::sort(kept.begin(), kept.end(), [](const Remark& a, const Remark& b) {
    return std::tie(a.line, b.vectorized, a.text) < std::tie(b.line, a.vectorized, b.text);
  });
  return kept;
}

std::vector<std::string> RemarkWords(const std::string& version, const std::string& file) {
  if (version.find("clang version") != std::string::npos)
    return {"-Rpass=loop-vectorize", "-Rpass-missed=loop-vectorize",
            "-Rpass-analysis=loop-vectorize"};
  if (version.find("Free Software Foundation") != std::string::npos)
    return {"-fopt-info-vec-all=" + file};
  return {};
}

std::string TakeRemarks(std::string* messages) {
  std::string kept, remarks;
  bool below = false;  // a remark: the source that it is about follows, indented
  std::istringstream lines{*messages};
  for (std::string line; std::getline(lines, line);) {
    below = line.find(": remark: ") != std::string::npos || (below && line.starts_with(' '));
    (below ? remarks : kept) += line + "\n";
  }
  if (!remarks.empty()) *messages = kept;
  return remarks;
}

std::string ToText(const std::vector<Remark>& remarks) {
  std::string text;
  for (const Remark& remark : remarks)
    text += std::to_string(remark.line) + std::string(remark.vectorized ? kDone : kMissed) +
            remark.text + "\n";
  return text;
}

std::vector<Remark> RemarksFrom(std::string_view text) {
  std::vector<Remark> remarks;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    const std::string_view rest =
        std::string_view(line).substr(std::min(line.find(':'), line.size()));
    const bool vectorized = rest.starts_with(kDone);
    const int number = std::atoi(line.c_str());
    if (number <= 0 || (!vectorized && !rest.starts_with(kMissed))) continue;
    remarks.push_back(
        {number, vectorized, std::string(rest.substr((vectorized ? kDone : kMissed).size()))});
  }
  return remarks;
}

std::vector<std::string> TwinArguments(std::vector<std::string> argv) {
  std::vector<std::string> twin;
  for (std::string& word : argv) {
    const bool target = word.starts_with("-march=") || word.starts_with("-mcpu=") ||
                        word.starts_with("-mtune=") || word.starts_with("-mavx512") ||
                        word.starts_with("-mprefer-vector-width=512") || word.starts_with("-mamx");
    if (!target) twin.push_back(std::move(word));
  }
  if (!twin.empty()) twin.insert(twin.begin() + 1, {"-march=x86-64-v3"});
  return twin;
}

}  // namespace kev
