// Scratch: a folder for one measurement, under $TMPDIR; gone with it. path() is empty when it could
// not be made.
#ifndef KEV_TOOLS_BENCH_SCRATCH_H_
#define KEV_TOOLS_BENCH_SCRATCH_H_

#include <cstdlib>
#include <filesystem>
#include <string>

namespace kev {

class Scratch {
 public:
  Scratch() {
    const char* base = std::getenv("TMPDIR");
    std::string pattern = std::string(base != nullptr ? base : "/tmp") + "/kevolve-bench.XXXXXX";
    if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace kev

#endif  // KEV_TOOLS_BENCH_SCRATCH_H_
