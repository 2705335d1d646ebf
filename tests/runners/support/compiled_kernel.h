// Compiles a few lines of C with the machine's compiler, for tests that need a real kernel.
// Requires cc in PATH.
#ifndef KEV_TESTS_RUNNERS_SUPPORT_COMPILED_KERNEL_H_
#define KEV_TESTS_RUNNERS_SUPPORT_COMPILED_KERNEL_H_

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace kev::test {

// A folder that is removed with its content.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    char name[] = "/tmp/kevolve-test-XXXXXX";
    if (mkdtemp(name) == nullptr) std::abort();
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Path of a shared library made from `source`; "" (and the compiler's words on stderr) when it does
// not compile.
inline std::string CompileKernel(const TemporaryFolder& folder, const std::string& name,
                                 const std::string& source, const std::string& flags = "-O2") {
  const std::string file = folder.path() + "/" + name;
  std::ofstream(file + ".c")
      << "#include <stdint.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
      << "#include <unistd.h>\n"
      << source;
  const std::string command = "cc " + flags + " -shared -fPIC -o " + file + ".so " + file + ".c";
  return std::system(command.c_str()) == 0 ? file + ".so" : "";
}

inline std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace kev::test

#endif  // KEV_TESTS_RUNNERS_SUPPORT_COMPILED_KERNEL_H_
