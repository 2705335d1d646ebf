// Which CPU this machine has, as far as it decides how fast code can be: model, vector extensions,
// clock, caches.
//
// Threads: any; read anew at each call. Errors: what the machine does not tell is 0 or "".
#ifndef KEV_RUNNERS_ANALYSIS_CPU_IDENTITY_H_
#define KEV_RUNNERS_ANALYSIS_CPU_IDENTITY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kev {

struct CpuIdentity {
  std::string vendor;      // GenuineIntel
  std::string model_name;  // as the kernel prints it
  int family = 0, model = 0, stepping = 0;
  bool fma = false, avx2 = false, avx512 = false;
  bool matrix_unit = false;  // AMX: far more arithmetic than the vectors can do
  bool virtual_machine = false;
  int cpus = 0;                       // online
  double base_hz = 0;                 // nominal; 0: not told
  double highest_hz = 0;              // with turbo, by cpufreq or CPUID; 0: not told
  std::vector<uint64_t> cache_bytes;  // data caches, L1 first, as one core sees them

  // Widest floating-point vector in bits: 512, 256 or 128.
  int VectorBits() const { return avx512 ? 512 : avx2 ? 256 : 128; }
  // Name for files: letters, digits, '-'. Another microcode or number of CPUs is the same CPU,
  // other extensions or caches (as a virtual machine may have them) are another.
  std::string Key() const;
};

CpuIdentity ThisCpu();
// From the text of /proc/cpuinfo alone (the first CPU of it).
CpuIdentity ParseCpuInfo(std::string_view text);

}  // namespace kev

#endif  // KEV_RUNNERS_ANALYSIS_CPU_IDENTITY_H_
