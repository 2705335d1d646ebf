// What a kernel runs on, and what a device is told to launch it. Threads: plain values.
#ifndef KEV_RUNNERS_HARNESS_DEVICE_H_
#define KEV_RUNNERS_HARNESS_DEVICE_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace kev {

struct DeviceLaunch {
  std::array<uint32_t, 3> grid = {1, 1, 1};
  std::array<uint32_t, 3> block = {1, 1, 1};
  uint32_t shared_bytes = 0;  // per block, beside what the kernel declares
};

struct DeviceCode {
  // kCuda: the code is a cubin, which holds nothing that runs on the host.
  enum class Kind { kCpu, kCuda } kind = Kind::kCpu;
  std::string form;                    // of the launch, for who knows the task (configs/launch.h)
  std::vector<DeviceLaunch> launches;  // by call of the arena
  bool on_host() const { return kind == Kind::kCpu; }
};

}  // namespace kev

#endif  // KEV_RUNNERS_HARNESS_DEVICE_H_
