#include "tools/bench/resident.h"

#include <cstdlib>
#include <fstream>
#include <string>

namespace kev {

double ResidentMb(int pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::atof(line.c_str() + 6) / 1024;
  }
  return 0;
}

}  // namespace kev
