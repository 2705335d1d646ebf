// Libraries compiled for a test from a source in it.
#ifndef KEV_TESTS_RUNNERS_ANALYSIS_SUPPORT_COMPILED_H_
#define KEV_TESTS_RUNNERS_ANALYSIS_SUPPORT_COMPILED_H_

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "runners/analysis/tool_process.h"

namespace kev::test {

// Bytes of the shared library that `compiler` makes of `source`; "" and a failed check when it does
// not. Flags come after -fPIC -shared. The file's name is `name`.
inline std::string Compiled(const std::string& source, std::vector<std::string> flags = {"-O3"},
                            const std::string& compiler = "cc",
                            const std::string& name = "kernel.c") {
  const ToolFolder folder;
  std::vector<std::string> argv = {compiler, "-fPIC", "-shared", "-o", "out.so"};
  argv.insert(argv.end(), flags.begin(), flags.end());
  const auto path = folder.Write(name, source);
  REQUIRE(path);
  argv.push_back(name);
  ToolLimits limits;
  limits.folder = folder.path();
  limits.deadline = std::chrono::seconds(60);
  const auto done = RunTool(argv, "", limits);
  REQUIRE(done);
  INFO(done->err);
  CHECK(done->Succeeded());
  return FileText(folder.path() + "/out.so");
}

}  // namespace kev::test

#endif  // KEV_TESTS_RUNNERS_ANALYSIS_SUPPORT_COMPILED_H_
