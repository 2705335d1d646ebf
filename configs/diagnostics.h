// Collects what is wrong in one file, with the text of the line beside each finding.
// Threads: one at a time. Errors: none.
#ifndef KEV_CONFIGS_DIAGNOSTICS_H_
#define KEV_CONFIGS_DIAGNOSTICS_H_

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "configs/load.h"

namespace kev {

struct Position {
  int line = 0;  // 1-based; 0: the whole file
  int column = 0;
};

class Report {
 public:
  Report(std::string file, std::string_view text);

  void Error(Position at, std::string message);
  void Warning(Position at, std::string message);
  // Findings of another file that this one led to.
  void Append(std::vector<Diagnostic> others);

  bool HasErrors() const;
  size_t ErrorCount() const { return errors_; }  // of this file, so far
  const std::string& file() const { return file_; }
  // In the order of the file; findings of other files follow.
  std::vector<Diagnostic> Take();

 private:
  void Add(Diagnostic::Severity severity, Position at, std::string message);

  std::string file_;
  std::vector<std::string> lines_;
  std::multimap<std::pair<int, int>, Diagnostic> own_;  // by line and column
  std::vector<Diagnostic> others_;
  size_t errors_ = 0;
};

bool HasErrors(const std::vector<Diagnostic>& diagnostics);

}  // namespace kev

#endif  // KEV_CONFIGS_DIAGNOSTICS_H_
