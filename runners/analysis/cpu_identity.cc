#include "runners/analysis/cpu_identity.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <sstream>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "engine/core/digest.h"
#include "runners/analysis/tool_process.h"

namespace kev {
namespace {

std::string Trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\n");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\n") + 1 - begin);
}

// "2048K" -> bytes.
uint64_t Bytes(const std::string& text) {
  char* end = nullptr;
  const uint64_t number = std::strtoull(text.c_str(), &end, 10);
  return *end == 'K' ? number << 10 : *end == 'M' ? number << 20 : number;
}

std::vector<uint64_t> Caches() {
  std::vector<uint64_t> bytes;
  const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index";
  for (int i = 0; i < 8; ++i) {
    const std::string index = folder + std::to_string(i);
    const std::string type = Trimmed(FileText(index + "/type"));
    const int level = std::atoi(FileText(index + "/level").c_str());
    if (level < 1 || level > 4 || type == "Instruction") continue;
    if (bytes.size() < static_cast<size_t>(level)) bytes.resize(static_cast<size_t>(level));
    bytes[static_cast<size_t>(level) - 1] = Bytes(FileText(index + "/size"));
  }
  return bytes;
}

// Base and highest clock by CPUID leaf 16h (Intel from Skylake on; often 0 in virtual machines).
void AskCpuid([[maybe_unused]] CpuIdentity* cpu) {
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_max(0, nullptr) < 0x16 || __get_cpuid_count(0x16, 0, &a, &b, &c, &d) == 0) return;
  cpu->base_hz = (a & 0xffff) * 1e6;
  cpu->highest_hz = (b & 0xffff) * 1e6;
#endif
}

}  // namespace

CpuIdentity ParseCpuInfo(std::string_view text) {
  CpuIdentity cpu;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line) && !line.empty();) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string key = Trimmed(line.substr(0, colon)), value = Trimmed(line.substr(colon + 1));
    if (key == "vendor_id" || key == "CPU implementer") cpu.vendor = value;
    if (key == "model name") cpu.model_name = value;
    if (key == "cpu family" || key == "CPU architecture") cpu.family = std::atoi(value.c_str());
    if (key == "model") cpu.model = std::atoi(value.c_str());
    if (key == "stepping") cpu.stepping = std::atoi(value.c_str());
    if (key != "flags" && key != "Features") continue;
    const std::string flags = " " + value + " ";
    const auto has = [&](const char* flag) { return flags.find(flag) != std::string::npos; };
    cpu.fma = has(" fma ");
    cpu.avx2 = has(" avx2 ");
    cpu.avx512 = has(" avx512f ") && has(" avx512vl ");
    cpu.matrix_unit = has(" amx_tile ");
    cpu.virtual_machine = has(" hypervisor ");
  }
  // "… @ 2.30GHz" is the nominal clock.
  if (const size_t at = cpu.model_name.find("@ "); at != std::string::npos)
    cpu.base_hz = std::strtod(cpu.model_name.c_str() + at + 2, nullptr) * 1e9;
  return cpu;
}

CpuIdentity ThisCpu() {
  CpuIdentity cpu = ParseCpuInfo(FileText("/proc/cpuinfo"));
  const double named_hz = cpu.base_hz;
  AskCpuid(&cpu);
  if (cpu.base_hz == 0) cpu.base_hz = named_hz;
  const std::string highest =
      FileText("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq");  // kHz
  if (!highest.empty()) cpu.highest_hz = std::max(cpu.highest_hz, std::atof(highest.c_str()) * 1e3);
  cpu.cpus = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  cpu.cache_bytes = Caches();
  return cpu;
}

std::string CpuIdentity::Key() const {
  std::string what = model_name + (fma ? " fma" : "") + (avx2 ? " avx2" : "") +
                     (avx512 ? " avx512" : "") + (virtual_machine ? " vm" : "");
  for (const uint64_t bytes : cache_bytes) what += " " + std::to_string(bytes);
  std::string key = vendor.empty() ? "cpu" : vendor;
  for (const int number : {family, model, stepping}) key += "-" + std::to_string(number);
  for (char& c : key) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '-';
  }
  return key + "-" + DigestOf(what).Hex().substr(0, 8);
}

}  // namespace kev
