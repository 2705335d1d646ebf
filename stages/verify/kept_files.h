// A folder of files by key that costs time when it is lost, and nothing else.
//
// Threads: any; files are written by rename. Errors: what cannot be read or written is passed over.
#ifndef KEV_STAGES_VERIFY_KEPT_FILES_H_
#define KEV_STAGES_VERIFY_KEPT_FILES_H_

#include <optional>
#include <string>

namespace kev {

class KeptFiles {
 public:
  // When there are more than `most`, the older half goes.
  KeptFiles(std::string folder, size_t most) : folder_(std::move(folder)), most_(most) {}
  std::optional<std::string> Read(const std::string& key) const;
  void Write(const std::string& key, const std::string& bytes) const;

 private:
  void Prune() const;
  std::string folder_;
  size_t most_;
};

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_KEPT_FILES_H_
