#include "runners/analysis/x86_decode.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <sstream>

#include "runners/analysis/elf_file.h"
#include "tests/runners/analysis/support/compiled.h"

namespace kev {
namespace {

struct Known {
  const char* what;
  std::string bytes;
  int relative_at;
};

std::string B(std::initializer_list<int> values) {
  std::string bytes;
  for (const int v : values) bytes += static_cast<char>(v);
  return bytes;
}

// Begins of the instructions of .text as objdump has them.
std::vector<uint64_t> KnownStarts(const std::string& path) {
  ToolLimits limits;
  limits.deadline = std::chrono::seconds(60);
  limits.output_bytes = 1u << 30;
  const auto text =
      RunTool({"objdump", "-d", "-w", "--no-show-raw-insn", "-j", ".text", path}, "", limits);
  REQUIRE(text);
  REQUIRE(text->Succeeded());
  std::vector<uint64_t> starts;
  std::istringstream lines(text->out);
  for (std::string line; std::getline(lines, line);) {
    char* end = nullptr;
    const uint64_t at = std::strtoull(line.c_str(), &end, 16);
    if (line[0] == ' ' && *end == ':') starts.push_back(at);
  }
  return starts;
}

}  // namespace

TEST_CASE("instructions have the lengths and displacements of the manual") {
  const std::vector<Known> known = {
      {"ret", B({0xc3}), 0},
      {"endbr64", B({0xf3, 0x0f, 0x1e, 0xfa}), 0},
      {"mov 0x10(%rip),%eax", B({0x8b, 0x05, 0x10, 0, 0, 0}), 2},
      {"movl $1,0x10(%rip)", B({0xc7, 0x05, 0x10, 0, 0, 0, 1, 0, 0, 0}), 2},
      {"movabs $1,%rax", B({0x48, 0xb8, 1, 0, 0, 0, 0, 0, 0, 0}), 0},
      {"call", B({0xe8, 1, 0, 0, 0}), 1},
      {"je near", B({0x0f, 0x84, 1, 0, 0, 0}), 2},
      {"testb $1,(%rax)", B({0xf6, 0x00, 0x01}), 0},
      {"notb (%rax)", B({0xf6, 0x10}), 0},
      {"vmovups (%rsi,%rax),%zmm1", B({0x62, 0xf1, 0x7c, 0x48, 0x10, 0x0c, 0x06}), 0},
      {"vbroadcastss 0x10(%rip),%ymm0", B({0xc4, 0xe2, 0x7d, 0x18, 0x05, 0x10, 0, 0, 0}), 5},
      {"vpshufd $1,%xmm0,%xmm0", B({0xc5, 0xf9, 0x70, 0xc0, 1}), 0},
      {"vzeroupper", B({0xc5, 0xf8, 0x77}), 0},
      {"roundss $1,%xmm0,%xmm0", B({0x66, 0x0f, 0x3a, 0x0a, 0xc0, 1}), 0},
  };
  for (const Known& k : known) {
    INFO(k.what);
    const auto got = DecodeX86(k.bytes + "\x90\x90\x90\x90");
    REQUIRE(got);
    CHECK(got->length == k.bytes.size());
    CHECK(got->relative_at == k.relative_at);
  }
}

TEST_CASE("targets are counted from the instruction's begin") {
  CHECK(DecodeX86(B({0xeb, 0xfe}))->target == 0);
  CHECK(DecodeX86(B({0xe9, 0x10, 0, 0, 0}))->target == 0x15);
  CHECK(DecodeX86(B({0x8b, 0x05, 0x10, 0, 0, 0}))->target == 0x16);
}

TEST_CASE("what is cut or no instruction is not decoded") {
  CHECK_FALSE(DecodeX86(""));
  CHECK_FALSE(DecodeX86(B({0xe8, 1, 0})));
  CHECK_FALSE(DecodeX86(B({0x06})));
  CHECK_FALSE(DecodeX86(std::string(20, '\x66')));
}

TEST_CASE("a whole library decodes as objdump has it, AVX-512 and all") {
  // libmvec: vector functions for SSE4, AVX2 and AVX-512 in one file.
  const std::string path = "/lib/x86_64-linux-gnu/libmvec.so.1";
  const std::string file = FileText(path);
  if (file.empty() || FindTool({"objdump"}).empty()) {
    MESSAGE("SKIPPED: no libmvec.so.1 or no objdump (packages libc6, binutils)");
    return;
  }
  const auto elf = ParseElf(file);
  REQUIRE(elf);
  const ElfSection* text = elf->Find(".text");
  REQUIRE(text != nullptr);
  std::vector<uint64_t> starts;
  for (size_t at = 0; at < text->bytes.size();) {
    starts.push_back(text->address + at);
    const auto got = DecodeX86(text->bytes.substr(at));
    REQUIRE(got);
    at += got->length;
  }
  CHECK(starts.size() > 20'000);
  CHECK(starts == KnownStarts(path));
}

}  // namespace kev
