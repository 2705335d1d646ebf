// A folder for one test case, removed at its end.
#ifndef KEV_TESTS_QUEUE_SCRATCH_FOLDER_H_
#define KEV_TESTS_QUEUE_SCRATCH_FOLDER_H_

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace kev {

class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kevtest-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~ScratchFolder() {
    std::error_code ec;
    std::filesystem::remove_all(path_, ec);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string operator/(const std::string& name) const {
    std::string path = path_;
    path.append(1, '/').append(name);
    return path;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace kev

#endif  // KEV_TESTS_QUEUE_SCRATCH_FOLDER_H_
