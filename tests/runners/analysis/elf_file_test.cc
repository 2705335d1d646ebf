#include "runners/analysis/elf_file.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "engine/core/random.h"

namespace kev {
namespace {

// Some ELF file that is always there: this program.
std::string ThisProgram() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

}  // namespace

TEST_CASE("code size of a program is found and smaller than its file") {
  std::string file = ThisProgram();
  std::optional<ElfFacts> facts = ReadElf(file);
  REQUIRE(facts);
  CHECK(facts->code_bytes > 1000);
  CHECK(facts->code_bytes < file.size());
}

TEST_CASE("text, emptiness and cut files are no ELF file") {
  CHECK_FALSE(ReadElf(""));
  CHECK_FALSE(ReadElf("#!/bin/sh\n"));
  CHECK_FALSE(ReadElf(ThisProgram().substr(0, 200)));
}

TEST_CASE("damaged headers never lead outside the file") {
  // Headers of the file's begin and of its end (where the section table is) get random bytes.
  const std::string whole = ThisProgram();
  CounterRandom random(1, "elf");
  for (int round = 0; round < 300; ++round) {
    std::string file = whole.substr(0, 4096) + whole.substr(whole.size() - 4096);
    for (int i = 0; i < 8; ++i) file[16 + random.Below(48)] = static_cast<char>(random.Next());
    uint64_t table = 4096 + random.Below(1024);
    for (int b = 0; b < 8; ++b) file[40 + b] = static_cast<char>(table >> (8 * b));
    file[58] = 64;
    file[59] = 0;
    file[61] = 0;
    if (std::optional<ElfFacts> facts = ReadElf(file)) CHECK(facts->functions.size() < file.size());
  }
}

}  // namespace kev
