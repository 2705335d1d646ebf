#include "tools/live/disk_watch.h"

#include "tools/live/file_system.h"

namespace kev {
namespace {

std::string MiB(uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

Status DiskWatch::Check() const {
  const auto free = FreeBytes(path_);
  if (!free || *free >= reserve_) return {};
  return Error{Code::kDiskFull, "only " + MiB(*free) + " are free in " + path_ +
                                    ", and a run needs " + MiB(reserve_) +
                                    ": make room, or set KEVOLVE_HOME to another disk"};
}

bool DiskWatch::Low() {
  const auto free = FreeBytes(path_);
  if (!free) return low_;
  // Going on needs a little more than stopping, so that it does not flutter.
  const bool low = low_ ? *free < reserve_ + reserve_ / 8 : *free < reserve_;
  if (low && !low_) {
    note_("the disk is nearly full: " + MiB(*free) + " are left for " + path_ +
          ", the reserve is " + MiB(reserve_) + "; nothing new is given out until there is room");
  } else if (!low && low_) {
    note_("there is room again in " + path_ + " (" + MiB(*free) + "); going on");
  }
  return low_ = low;
}

}  // namespace kev
