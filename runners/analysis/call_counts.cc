#include "runners/analysis/call_counts.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "runners/sandbox/toolchain_process.h"

namespace kev {
namespace {

constexpr uint64_t kMemoryBytes = uint64_t{8} << 30;  // valgrind maps a lot
constexpr uint64_t kMostCountsBytes = 64 << 20;
constexpr size_t kToldBytes = 200;  // of what valgrind said, the end

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

std::string Tail(const std::string& text, size_t most) {
  return text.substr(text.size() - std::min(text.size(), most));
}

}  // namespace

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
  const ToolFolder folder;
  const std::string file = folder.path() + "/callgrind.out";
  std::vector<std::string> words = {"valgrind",
                                    "-q",
                                    "--tool=callgrind",
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
  const auto done = RunTool(words, "", limits);
  if (!done) return done.error();
  if (done->timed_out)
    return Error{Code::kInvalid, "counting " + function + " took longer than its deadline"};
  if (done->err.find("Illegal opcode") != std::string::npos)
    return Error{Code::kInvalid,
                 "valgrind does not know an instruction of " + function +
                     " (AVX-512 or newer): compile the twin with -march=x86-64-v3, and the kernel "
                     "without intrinsics beyond AVX2"};
  if (!done->Succeeded())
    return Error{Code::kInvalid, "the program ended with status " + std::to_string(done->status) +
                                     " under valgrind: " + Tail(done->err, kToldBytes)};
  return ParseCallgrind(ReadWritten(file, kMostCountsBytes), library.substr(library.rfind('/') + 1),
                        calls);
}

}  // namespace kev
