// DiskWatch: whether the disk has its reserve; says once when that changes. What holds work back is
// the caller. Threads: one. Errors: a disk that cannot be asked counts as good.
#ifndef KEV_TOOLS_LIVE_DISK_WATCH_H_
#define KEV_TOOLS_LIVE_DISK_WATCH_H_

#include <cstdint>
#include <functional>
#include <string>

#include "engine/core/result.h"

namespace kev {

class DiskWatch {
 public:
  DiskWatch(std::string path, uint64_t reserve, std::function<void(const std::string&)> note)
      : path_(std::move(path)), reserve_(reserve), note_(std::move(note)) {}
  Status Check() const;  // kDiskFull, in words, when there is too little to begin
  bool Low();            // looks

 private:
  std::string path_;
  uint64_t reserve_;
  std::function<void(const std::string&)> note_;
  bool low_ = false;
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_DISK_WATCH_H_
