#include "queue/random_name.h"

#include <cstdio>
#include <random>

namespace kev {

std::string RandomName() {
  std::random_device device;
  std::string name;
  for (int i = 0; i < 4; ++i) {
    char part[9];
    std::snprintf(part, sizeof part, "%08x", device());
    name += part;
  }
  return name;
}

}  // namespace kev
