// kevolve-truth: repetitions for tests/performance/timing_truth/run.sh.
#include <charconv>
#include <iostream>
#include <sstream>
#include <string>

#include "tools/live/exit_code.h"
#include "tools/truth/truth.h"

namespace {

constexpr const char* kUsage =
    "usage: kevolve-truth [--tasks FOLDER] [--cells \"chain 1.02,stream 2,...\"]\n"
    "                     [--repetitions N] [--launches N] [--seed N] [--core CPU]\n"
    "Measures kernels of known ratio against each other and prints one JSON line for each\n"
    "repetition; tests/performance/timing_truth/run.sh counts how often they are true.\n";

template <class T>
bool Parse(const std::string& text, T* out) {
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, *out);
  return error == std::errc() && at == end && *out > 0;
}

}  // namespace

int main(int argc, char** argv) {
  kev::TruthOptions options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help") {
      std::cout << kUsage;
      return kev::kExitDone;
    }
    const std::string value = i + 1 < argc ? argv[++i] : "";
    bool good = !value.empty();
    if (name == "--tasks") {
      options.tasks = value;
    } else if (name == "--cells") {
      std::istringstream list(value);
      for (std::string cell; std::getline(list, cell, ',');) options.cells.push_back(cell);
    } else if (name == "--repetitions") {
      good = Parse(value, &options.repetitions);
    } else if (name == "--launches") {
      good = Parse(value, &options.launches);
    } else if (name == "--seed") {
      good = Parse(value, &options.seed);
    } else if (name == "--core") {
      options.core = value;
      good = good && value.find_first_not_of("0123456789") == std::string::npos;
    } else {
      good = false;
    }
    if (!good) {
      std::cerr << "kevolve-truth: bad option " << name << " " << value << "\n" << kUsage;
      return kev::kExitBadInput;
    }
  }
  return kev::MeasureTruth(options);
}
