// kevolve-bench: benchmarks of kevolve itself. Each prints figures; none is a test.
#include <charconv>
#include <cstring>
#include <iostream>
#include <string>

#include "tools/bench/frame.h"
#include "tools/live/exit_code.h"

namespace {

constexpr const char* kUsage =
    "usage: kevolve-bench frame [--candidates N] [--in-flight N] [--durability strict|normal|fast] "
    "[--json]\n"
    "  frame   candidates per second through all five steps with null stages, real Redis and real "
    "ZeroMQ\n";

bool ParseCount(const char* text, uint64_t* out) {
  const char* end = text + std::strlen(text);
  const auto [at, error] = std::from_chars(text, end, *out);
  return error == std::errc() && at == end && *out > 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc >= 2 && std::strcmp(argv[1], "--help") == 0) {
    std::cout << kUsage;
    return kev::kExitDone;
  }
  if (argc < 2 || std::strcmp(argv[1], "frame") != 0) {
    std::cerr << kUsage;
    return kev::kExitBadInput;
  }
  kev::FrameOptions options;
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    uint64_t count = 0;
    if (word == "--json") {
      options.json = true;
    } else if (word == "--candidates" && i + 1 < argc && ParseCount(argv[i + 1], &count)) {
      options.candidates = count;
      ++i;
    } else if (word == "--in-flight" && i + 1 < argc && ParseCount(argv[i + 1], &count)) {
      options.in_flight = static_cast<uint32_t>(count);
      ++i;
    } else if (word == "--durability" && i + 1 < argc &&
               (std::string(argv[i + 1]) == "strict" || std::string(argv[i + 1]) == "normal" ||
                std::string(argv[i + 1]) == "fast")) {
      options.durability = argv[++i];
    } else {
      std::cerr << "kevolve-bench: cannot take '" << word << "'\n" << kUsage;
      return kev::kExitBadInput;
    }
  }
  return kev::FrameBenchmark(options);
}
