// What the compiler says of vectorisation: the few lines that matter of its remarks.
//
// Threads: functions on values. Errors: none; what cannot be read is no remark.
#ifndef KEV_RUNNERS_ANALYSIS_REMARKS_H_
#define KEV_RUNNERS_ANALYSIS_REMARKS_H_

#include <string>
#include <string_view>
#include <vector>

namespace kev {

struct Remark {
  int line = 0;  // of the kernel's source
  bool vectorized = false;
  std::string text;
  bool operator==(const Remark&) const = default;
};

// Remarks of gcc (-fopt-info-vec-all) and clang (-Rpass…) about the file whose path ends with
// `source`: what was vectorised and why something was not, each once, by line, at most `most`.
std::vector<Remark> ParseRemarks(std::string_view output, std::string_view source,
                                 size_t most = 12);

// Words for a compiler's command line that make it say what it vectorised, chosen by what it prints
// of itself for --version: gcc writes it to `file`, clang among its messages. None for others.
std::vector<std::string> RemarkWords(const std::string& version, const std::string& file);

// Takes clang's remarks, with the source lines that it shows below each, out of its messages.
std::string TakeRemarks(std::string* messages);

// A line for each, "LINE: vectorized: TEXT" or "LINE: missed: TEXT", and back; what is no remark is
// left out.
std::string ToText(const std::vector<Remark>& remarks);
std::vector<Remark> RemarksFrom(std::string_view text);

// The words of a compilation for counting: the same code without AVX-512, which valgrind does not
// know (-march=x86-64-v3 for whatever -march said).
std::vector<std::string> TwinArguments(std::vector<std::string> argv);

}  // namespace kev

#endif  // KEV_RUNNERS_ANALYSIS_REMARKS_H_
