#include "stages/verify/fresh_inputs.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/core/random.h"
#include "stages/verify/values.h"

namespace kev {
namespace {

constexpr uint32_t kSeeds = 3;  // that the values come from
constexpr uint32_t kMostSeeds = 64;
constexpr uint64_t kLeastValues = 8192;  // of which pieces are taken, also of a small array
constexpr uint64_t kNoiseWords = 8192;
constexpr uint64_t kPieceWords = 512;  // of 8 bytes: longest piece
constexpr uint64_t kIntegerPieceWords = 8;

// Lowest bits of a significand that are drawn: few enough that values keep their distribution, far
// more than rounding errors take.
uint64_t LowBits(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return 28;
    case DType::kF32:
      return 9;
    case DType::kF16:
      return 3;
    case DType::kBF16:
      return 2;
    default:
      return 0;
  }
}

uint64_t MaskFor(DType dtype) {
  const uint64_t bits = SizeOf(dtype) * 8;
  const uint64_t one = LowBits(dtype) == 0 ? 0 : (uint64_t{1} << LowBits(dtype)) - 1;
  uint64_t mask = 0;
  for (uint64_t at = 0; at < 64; at += bits) mask |= one << at;
  return mask;
}

bool IsSourceOfAnother(const Task& task, const Argument& argument) {
  return std::any_of(task.arguments.begin(), task.arguments.end(), [&](const Argument& other) {
    return other.fill.kind == Fill::Kind::kPickFrom && other.fill.argument == argument.name;
  });
}

bool Independent(const Task& task, const Argument& argument) {
  return IsInput(argument) && !argument.constant &&
         (argument.fill.kind == Fill::Kind::kUniform ||
          argument.fill.kind == Fill::Kind::kNormal) &&
         !IsSourceOfAnother(task, argument);
}

// Values that thinning could take out of a range that does not reach to zero are replaced by one
// that stays.
void KeepInRange(const Argument& argument, uint64_t mask, std::string* bytes) {
  if (argument.fill.kind != Fill::Kind::kUniform || mask == 0) return;
  const double low = argument.fill.a, high = argument.fill.b;
  if (low <= 0 && high >= 0) return;
  const uint64_t size = SizeOf(argument.dtype);
  const auto stays = [&](const char* at) {
    uint64_t word = 0;
    std::memcpy(&word, at, size);
    word &= ~mask;
    const double least = ToDouble(argument.dtype, &word);
    return least >= low && least <= high;
  };
  const char* good = nullptr;
  for (uint64_t at = 0; at < bytes->size() && good == nullptr; at += size) {
    if (stays(bytes->data() + at)) good = bytes->data() + at;
  }
  if (good == nullptr) return;
  for (uint64_t at = 0; at < bytes->size(); at += size) {
    if (stays(bytes->data() + at)) good = bytes->data() + at;
    std::memmove(bytes->data() + at, good, size);
  }
}

}  // namespace

Result<FreshInputs> FreshInputs::Make(const Task& task, const Case& like, uint64_t secret_seed) {
  FreshInputs made;
  made.sources_.resize(task.arguments.size());
  bool any = false;
  for (size_t a = 0; a < task.arguments.size(); ++a) {
    if (!Independent(task, task.arguments[a])) continue;
    Source& source = made.sources_[a];
    source.element_bytes = SizeOf(task.arguments[a].dtype);
    source.mask = MaskFor(task.arguments[a].dtype);
    any = true;
  }
  if (!any) return made;
  // Small arrays need more seeds for as many values.
  Case one = like;
  for (uint32_t seed = 0;; ++seed) {
    one.seed = like.seed + seed;
    Result<Arrays> arrays = InputArrays(task, one, secret_seed);
    if (!arrays.ok()) return arrays.error();
    bool enough = seed + 1 >= kSeeds;
    const bool last = seed + 1 >= kMostSeeds;
    for (size_t a = 0; a < task.arguments.size(); ++a) {
      if (!Independent(task, task.arguments[a]) || (*arrays)[a].empty()) continue;
      Source& source = made.sources_[a];
      const bool full =
          seed >= kSeeds && source.bytes.size() >= kLeastValues * source.element_bytes;
      if (!full) source.bytes += (*arrays)[a];
      enough = enough && source.bytes.size() >= kLeastValues * source.element_bytes;
    }
    if (enough || last) break;
  }
  for (size_t a = 0; a < task.arguments.size(); ++a)
    KeepInRange(task.arguments[a], made.sources_[a].mask, &made.sources_[a].bytes);
  CounterRandom random(secret_seed, "fresh/" + like.workload);
  for (uint64_t i = 0; i < kNoiseWords; ++i) made.noise_.push_back(random.Next());
  return made;
}

bool FreshInputs::Any() const {
  return std::any_of(sources_.begin(), sources_.end(), [](const Source& source) {
    return !source.bytes.empty() && source.mask != 0;
  });
}

void FreshInputs::Fill(uint64_t draw, size_t argument, std::span<char> to) const {
  const Source& source = sources_[argument];
  const uint64_t longest = source.mask == 0 ? kIntegerPieceWords : kPieceWords;
  uint64_t state = Mix64(draw ^ Mix64(argument + 1));
  uint64_t at = 0;
  while (at < to.size()) {
    state = Mix64(state);
    const uint64_t words = 1 + longest / 2 + (state >> 40) % (longest / 2);
    const uint64_t bytes = std::min<uint64_t>(words * 8, to.size() - at);
    const uint64_t places = (source.bytes.size() - bytes) / source.element_bytes + 1;
    const char* from = source.bytes.data() + (state & 0xffffffffff) % places * source.element_bytes;
    char* into = to.data() + at;
    if (source.mask == 0) {
      std::memcpy(into, from, bytes);
    } else {
      const uint64_t* noise = noise_.data() + Mix64(state + 1) % (kNoiseWords - longest);
      const uint64_t keep = ~source.mask;
      uint64_t i = 0;
      for (; i < bytes / 8; ++i) {
        uint64_t word = 0;
        std::memcpy(&word, from + i * 8, 8);
        word &= noise[i] | keep;
        std::memcpy(into + i * 8, &word, 8);
      }
      uint64_t word = 0;
      std::memcpy(&word, from + i * 8, bytes % 8);
      word &= noise[i] | keep;
      std::memcpy(into + i * 8, &word, bytes % 8);
    }
    at += bytes;
  }
}

}  // namespace kev
