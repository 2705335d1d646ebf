// kevolve worker: becomes the stage program, connected to an engine that may be on another machine.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <vector>

#include "tools/kevolve/commands.h"
#include "tools/live/exit_code.h"
#include "tools/live/home.h"

namespace kev {

int WorkerCommand(const WorkerOptions& options) {
  if (const Status s = CheckHome(); !s.ok()) return Complain(s.error());
  std::error_code error;
  const std::filesystem::path folder =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  const std::string program = (folder / ("kevolve-" + options.stage)).string();
  if (access(program.c_str(), X_OK) != 0) {
    std::cerr << "kevolve: there is no stage program " << program
              << "; --stage takes propose, compile, verify, profile or select" << std::endl;
    return kExitBadInput;
  }
  std::vector<std::string> words = {program, "--slots", std::to_string(options.slots), "--home",
                                    HomeFolder()};
  const auto pass = [&words](const char* name, const std::string& value) {
    if (value.empty()) return;
    words.emplace_back(name);
    words.push_back(value);
  };
  pass("--connect", options.connect);
  pass("--access", options.access);
  pass("--prefetch", options.prefetch);
  pass("--engine-lost-grace", options.lost_grace);
  for (const std::string& label : options.labels) pass("--label", label);
  for (const std::string& resource : options.resources) pass("--resource", resource);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  std::cerr << "kevolve: cannot start " << program << ": " << std::strerror(errno) << std::endl;
  return kExitInternal;
}

}  // namespace kev
