#include "configs/diagnostics.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace kev {

Report::Report(std::string file, std::string_view text) : file_(std::move(file)) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    lines_.emplace_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void Report::Add(Diagnostic::Severity severity, Position at, std::string message) {
  Diagnostic diagnostic{severity, file_, at.line, at.column, std::move(message), ""};
  if (at.line >= 1 && static_cast<size_t>(at.line) <= lines_.size()) {
    diagnostic.source_line = lines_[static_cast<size_t>(at.line - 1)];
  }
  if (severity == Diagnostic::Severity::kError) ++errors_;
  own_.emplace(std::pair(at.line, at.column), std::move(diagnostic));
}

void Report::Error(Position at, std::string message) {
  Add(Diagnostic::Severity::kError, at, std::move(message));
}
void Report::Warning(Position at, std::string message) {
  Add(Diagnostic::Severity::kWarning, at, std::move(message));
}
void Report::Append(std::vector<Diagnostic> others) {
  others_.insert(others_.end(), std::make_move_iterator(others.begin()),
                 std::make_move_iterator(others.end()));
}

bool Report::HasErrors() const { return errors_ > 0 || kev::HasErrors(others_); }

std::vector<Diagnostic> Report::Take() {
  std::vector<Diagnostic> all;
  for (auto& [at, diagnostic] : own_) all.push_back(std::move(diagnostic));
  all.insert(all.end(), std::make_move_iterator(others_.begin()),
             std::make_move_iterator(others_.end()));
  own_.clear();
  others_.clear();
  errors_ = 0;
  return all;
}

bool HasErrors(const std::vector<Diagnostic>& diagnostics) {
  return std::any_of(diagnostics.begin(), diagnostics.end(), [](const Diagnostic& d) {
    return d.severity == Diagnostic::Severity::kError;
  });
}

std::string Format(const Diagnostic& diagnostic) {
  std::string out = diagnostic.file;
  if (diagnostic.line > 0) {
    out += ':' + std::to_string(diagnostic.line) + ':' + std::to_string(diagnostic.column);
  }
  out += diagnostic.severity == Diagnostic::Severity::kError ? ": error: " : ": warning: ";
  out += diagnostic.message + '\n';
  if (diagnostic.line <= 0 || diagnostic.source_line.empty()) return out;
  out += "    " + diagnostic.source_line + "\n    ";
  // Columns count characters, not bytes; tabs stay tabs so that the caret stands under its place.
  int column = 1;
  for (const char c : diagnostic.source_line) {
    if (column >= diagnostic.column) break;
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80) continue;
    out += c == '\t' ? '\t' : ' ';
    ++column;
  }
  return out + "^\n";
}

std::string Format(const std::vector<Diagnostic>& diagnostics) {
  std::string out;
  for (const Diagnostic& diagnostic : diagnostics) out += Format(diagnostic);
  return out;
}

}  // namespace kev
