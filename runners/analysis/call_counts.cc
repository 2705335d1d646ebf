#include "runners/analysis/call_counts.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "runners/sandbox/toolchain_process.h"

namespace kev {
namespace {

constexpr uint64_t kMemoryBytes = uint64_t{8} << 30;  // valgrind maps a lot
constexpr uint64_t kMostCountsBytes = 64 << 20;

// "Ir Dr …" -> position of each event.
std::map<std::string, size_t> Columns(const std::string& line) {
  std::map<std::string, size_t> columns;
  std::istringstream words(line.substr(line.find(':') + 1));
  std::string word;
  for (size_t i = 0; words >> word; ++i) columns[word] = i;
  return columns;
}

std::vector<double> Numbers(const std::string& text) {
  std::vector<double> numbers;
  std::istringstream words(text);
  for (double number; words >> number;) numbers.push_back(number);
  return numbers;
}

// "0x1170 12 375": address and executions of one instruction.
void AddExecuted(const std::string& line, std::map<uint64_t, uint64_t>* executed) {
  char* end = nullptr;
  const uint64_t address = std::strtoull(line.c_str(), &end, 16);
  std::strtoull(end, &end, 10);  // the source line
  (*executed)[address] += std::strtoull(end, nullptr, 10);
}

// How it ended, in our words: what was counted chooses its own output, and models read this.
std::string HowItEnded(const ToolOutput& done) {
  if (done.status <= 128) return "ended with status " + std::to_string(done.status);
  return "was ended by signal " + std::to_string(done.status - 128);
}

}  // namespace

bool SpeaksToValgrind(std::string_view file) {
  // rol $3, $13, $61 and $51 of %rdi: of x86-64; valgrind knows no other words there.
  constexpr std::string_view kPreamble(
      "\x48\xC1\xC7\x03\x48\xC1\xC7\x0D\x48\xC1\xC7\x3D\x48\xC1\xC7\x33", 16);
  return file.find(kPreamble) != std::string_view::npos;
}

Result<CallCounts> ParseCallgrind(std::string_view text, std::string_view library, double calls) {
  CallCounts counts;
  std::map<std::string, size_t> columns;
  std::vector<double> totals;
  bool ours = false, inclusive = false;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("events:")) columns = Columns(line);
    if (line.starts_with("totals:") || line.starts_with("summary:"))
      totals = Numbers(line.substr(line.find(':') + 1));
    if (line.starts_with("ob=")) ours = line.ends_with(library);
    if (line.starts_with("calls=")) {
      inclusive = true;  // the next line is what the call cost, not the instruction
      continue;
    }
    if (ours && !inclusive && line.starts_with("0x")) AddExecuted(line, &counts.executed);
    inclusive = false;
  }
  const auto total = [&](const char* event) {
    const auto it = columns.find(event);
    return it != columns.end() && it->second < totals.size() ? totals[it->second] : 0.0;
  };
  if (columns.empty() || total("Ir") <= 0 || calls <= 0)
    return Error{Code::kInvalid, "callgrind counted nothing: the function was never called"};
  counts.instructions = total("Ir") / calls;
  counts.reads = total("Dr") / calls;
  counts.writes = total("Dw") / calls;
  counts.d1_misses = (total("D1mr") + total("D1mw")) / calls;
  counts.ll_misses = (total("DLmr") + total("DLmw")) / calls;
  return counts;
}

Result<CallCounts> CountCalls(const std::vector<std::string>& argv, const std::string& library,
                              const std::string& function, double calls, ToolLimits limits) {
  if (FindTool({"valgrind"}).empty())
    return Error{Code::kNotFound, "no valgrind in PATH; counts need package valgrind"};
  if (SpeaksToValgrind(FileText(library)))
    return Error{Code::kInvalid, "the kernel speaks to valgrind itself"};
  const ToolFolder folder;
  const std::string file = folder.path() + "/callgrind.out";
  std::vector<std::string> words = {"valgrind",
                                    "-q",
                                    "--tool=callgrind",
                                    "--vgdb=no",
                                    "--cache-sim=yes",
                                    "--dump-instr=yes",
                                    "--compress-pos=no",
                                    "--compress-strings=no",
                                    "--toggle-collect=" + function,
                                    "--callgrind-out-file=" + file};
  words.insert(words.end(), argv.begin(), argv.end());
  limits.folder = folder.path();
  limits.address_space_bytes = kMemoryBytes;
  limits.proc = true;
  limits.forks = false;
  const auto done = RunTool(words, "", limits);
  if (!done) return done.error();
  if (done->timed_out)
    return Error{Code::kInvalid, "counting " + function + " took longer than its deadline"};
  if (done->err.find("Illegal opcode") != std::string::npos)
    return Error{Code::kInvalid,
                 "valgrind does not know an instruction of " + function +
                     " (AVX-512 or newer): compile the twin with -march=x86-64-v3, and the kernel "
                     "without intrinsics beyond AVX2"};
  if (done->folder_full)
    return Error{Code::kInvalid, "the program wrote more than " +
                                     std::to_string(limits.folder_bytes >> 20) +
                                     " MiB under valgrind"};
  if (!done->Succeeded())
    return Error{Code::kInvalid, "the program " + HowItEnded(*done) + " under valgrind"};
  return ParseCallgrind(ReadWritten(file, kMostCountsBytes), library.substr(library.rfind('/') + 1),
                        calls);
}

}  // namespace kev
