// A disk that is quickly full: a tmpfs of its own, filled and emptied on demand. Needs the right to
// mount. Threads: one. Errors: Mount's says why there is none.
#ifndef KEV_TESTS_CHAOS_SMALL_DISK_H_
#define KEV_TESTS_CHAOS_SMALL_DISK_H_

#include <cstdint>
#include <memory>
#include <string>

#include "engine/core/result.h"

namespace kev::chaos {

class SmallDisk {
 public:
  static Result<std::unique_ptr<SmallDisk>> Mount(const std::string& folder, uint64_t bytes);
  ~SmallDisk();  // unmounted, also while somebody still has files there
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  // Leaves so many bytes free (a page more or less).
  Status Fill(uint64_t leave_bytes);
  void Empty();
  uint64_t FreeBytes() const;
  bool filled() const { return filled_; }

 private:
  explicit SmallDisk(std::string folder) : folder_(std::move(folder)) {}
  std::string Filler() const { return folder_ + "/filler"; }
  std::string folder_;
  bool filled_ = false;
};

}  // namespace kev::chaos

#endif  // KEV_TESTS_CHAOS_SMALL_DISK_H_
