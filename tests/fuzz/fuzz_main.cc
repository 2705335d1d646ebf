// Runs a fuzz target without libFuzzer: each file of a corpus once (the CTest test), and, with
// --seconds N, changed copies of them. Built with -fsanitize-coverage=trace-pc (KEVOLVE_FUZZ=ON and
// g++) it keeps the copies that reach new code, as libFuzzer does.
//
// usage: fuzz_x [--seconds N] [--seed N] CORPUS-FOLDER-OR-FILE...
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "engine/core/random.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

namespace fs = std::filesystem;
constexpr size_t kMapSize = 1 << 16;
uint8_t g_reached[kMapSize];  // by the input that runs
uint8_t g_ever[kMapSize];
size_t g_new = 0;

void Run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

// Whether the last run reached what none did before: code, or the same code much more often.
bool ReachedNew() {
  bool any = false;
  for (size_t i = 0; i < kMapSize; ++i) {
    if (g_reached[i] == 0) continue;
    uint8_t bucket = 1;
    for (uint8_t n = g_reached[i]; n > 1; n = static_cast<uint8_t>(n / 2))
      bucket = static_cast<uint8_t>(bucket * 2);
    if ((g_ever[i] & bucket) == 0) {
      g_ever[i] = static_cast<uint8_t>(g_ever[i] | bucket);
      any = true;
    }
  }
  std::memset(g_reached, 0, sizeof g_reached);
  return any;
}

std::string Mutate(std::string bytes, const std::vector<std::string>& pool,
                   kev::CounterRandom* random) {
  static constexpr unsigned char kOdd[] = {0,    1,    0x7f, 0x80, 0x81, 0x90, 0x9f,
                                           0xc0, 0xc1, 0xc4, 0xca, 0xcb, 0xcf, 0xd3,
                                           0xd9, 0xdc, 0xdd, 0xdf, 0xff};
  for (uint64_t n = 1 + random->Below(6); n > 0; --n) {
    const size_t at = random->Below(bytes.size() + 1);
    switch (random->Below(7)) {
      case 0:
        if (at < bytes.size()) bytes[at] = static_cast<char>(random->Next());
        break;
      case 1:
        if (at < bytes.size()) bytes[at] = static_cast<char>(kOdd[random->Below(sizeof kOdd)]);
        break;
      case 2:
        bytes.insert(at, 1, static_cast<char>(random->Next()));
        break;
      case 3:
        bytes.erase(at, random->Below(8));
        break;
      case 4:
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << random->Below(8)));
        break;
      case 5:
        bytes.insert(at, bytes, random->Below(bytes.size() + 1), random->Below(64));
        break;
      default: {
        const std::string& other = pool[random->Below(pool.size())];
        const size_t from = random->Below(other.size() + 1);
        bytes.insert(at, other, from, random->Below(256));
      }
    }
  }
  if (bytes.size() > 8192) bytes.resize(8192);
  return bytes;
}

}  // namespace

// Called by code that was built with -fsanitize-coverage=trace-pc.
extern "C" void __sanitizer_cov_trace_pc() {
  const auto pc = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  uint8_t& count = g_reached[(pc ^ pc >> 16) % kMapSize];
  if (count < 128) ++count;
}

int main(int argc, char** argv) {
  int64_t seconds = 0;
  uint64_t seed = 1;
  std::vector<std::string> pool;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--seconds" && i + 1 < argc) {
      seconds = std::atoll(argv[++i]);
      continue;
    }
    if (word == "--seed" && i + 1 < argc) {
      seed = static_cast<uint64_t>(std::atoll(argv[++i]));
      continue;
    }
    std::vector<fs::path> files;
    if (fs::is_directory(word)) {
      for (const auto& entry : fs::directory_iterator(word)) files.push_back(entry.path());
    } else {
      files.emplace_back(word);
    }
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) {
      std::ifstream in(file, std::ios::binary);
      if (!in) {
        std::fprintf(stderr, "cannot read %s\n", file.c_str());
        return 2;
      }
      pool.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
  }
  if (pool.empty()) {
    std::fprintf(stderr, "usage: %s [--seconds N] [--seed N] CORPUS...\n", argv[0]);
    return 2;
  }
  for (const std::string& input : pool) {
    Run(input);
    ReachedNew();
  }
  std::printf("%zu inputs of the corpus ran\n", pool.size());
  kev::CounterRandom random(seed, "fuzz");
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  uint64_t runs = 0;
  while (std::chrono::steady_clock::now() < until) {
    for (int i = 0; i < 100; ++i, ++runs) {
      std::string input = Mutate(pool[random.Below(pool.size())], pool, &random);
      // Left behind when it crashes.
      if (FILE* f = std::fopen("fuzz-last-input", "wb")) {
        std::fwrite(input.data(), 1, input.size(), f);
        std::fclose(f);
      }
      Run(input);
      if (!ReachedNew()) continue;
      ++g_new;
      pool.push_back(std::move(input));
    }
  }
  if (seconds > 0) {
    std::printf("%llu changed inputs ran, %zu of them reached new code\n",
                static_cast<unsigned long long>(runs), g_new);
    if (const char* out = std::getenv("FUZZ_KEEP")) {  // folder for what was found
      for (size_t i = 0; i < pool.size(); ++i)
        std::ofstream(fs::path(out) / ("f" + std::to_string(i)), std::ios::binary) << pool[i];
    }
  }
  return 0;
}
