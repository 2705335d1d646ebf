// Target: a toolchain and a device, as loaded from configs/targets/*.yaml.
#ifndef KEV_CONFIGS_TARGET_H_
#define KEV_CONFIGS_TARGET_H_

#include <map>
#include <string>
#include <vector>

namespace kev {

struct Target {
  std::string name;
  std::string about;
  std::string artefact;  // kind of what compile gives: shared_library, cubin
  struct Language {
    // argv; "{output}" and "{source}" are replaced, "{flags}" and "{link}" by any number of words
    std::vector<std::string> compile;
    std::string artefact;  // kind of what it gives; "": the target's
  };
  std::map<std::string, Language> languages;  // by file suffix, ".c"
  std::string runner;                         // "cpu", "cuda"
  std::string cores;                          // CPUs: "last", or a list like "1" or "2-3"
  std::map<std::string, double>
      peaks;  // flops (1/s), bytes (1/s) of one core, datasheet; empty: not known
  std::map<std::string, std::string> environment;  // set where candidates run
};

}  // namespace kev

#endif  // KEV_CONFIGS_TARGET_H_
