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
constexpr uint64_t kLeastPieceBytes = 1024;  // of integers: 16 pieces, each from 8192 places
constexpr uint64_t kLeastOrdered = 32;  // elements of a table or permutation that is never the same
constexpr int kTries = 64;              // for a value that is not in a table

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

bool InPieces(const Task& task, const Argument& argument) {
  return IsInput(argument) && !argument.constant &&
         (argument.fill.kind == Fill::Kind::kUniform ||
          argument.fill.kind == Fill::Kind::kNormal) &&
         !IsSourceOfAnother(task, argument);
}

uint64_t LargestInteger(DType dtype) {
  const uint64_t bits = SizeOf(dtype) * 8 - (IsSigned(dtype) ? 1 : 0);
  return bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
}

int64_t ElementAt(const char* array, uint64_t i, uint64_t element_bytes) {
  int64_t value = 0;
  std::memcpy(&value, array + i * element_bytes, element_bytes);  // never negative
  return value;
}

void PutElement(char* array, uint64_t i, uint64_t element_bytes, int64_t value) {
  std::memcpy(array + i * element_bytes, &value, element_bytes);
}

uint64_t Below(uint64_t state, uint64_t n) { return (state & 0xffffffff) * n >> 32; }

// Distinct and ascending, with gaps of 1 to `gap`.
void FillSorted(uint64_t state, uint64_t gap, uint64_t element_bytes, std::span<char> to) {
  int64_t value = 0;
  uint64_t word = 0;
  for (uint64_t i = 0; i < to.size() / element_bytes; ++i, word >>= 8) {
    if (i % 8 == 0) word = state = Mix64(state);
    value += static_cast<int64_t>(1 + ((word & 0xff) * gap >> 8));
    PutElement(to.data(), i, element_bytes, value);
  }
}

void FillPermuted(uint64_t state, uint64_t element_bytes, std::span<char> to) {
  const uint64_t count = to.size() / element_bytes;
  for (uint64_t i = 0; i < count; ++i) {
    state = Mix64(state);
    const uint64_t other = Below(state, i + 1);
    if (other != i)
      PutElement(to.data(), i, element_bytes, ElementAt(to.data(), other, element_bytes));
    PutElement(to.data(), other, element_bytes, static_cast<int64_t>(i));
  }
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
  bool pieces = false;
  for (size_t a = 0; a < task.arguments.size(); ++a) {
    const Argument& argument = task.arguments[a];
    if (!IsInput(argument) || argument.constant) continue;
    Result<uint64_t> count = ElementCount(argument, like.axes);
    if (!count.ok()) return count.error();
    Source& source = made.sources_[a];
    source.element_bytes = SizeOf(argument.dtype);
    source.count = *count;
    source.most = LargestInteger(argument.dtype);
    if (InPieces(task, argument)) {
      source.how = How::kPieces;
      source.mask = MaskFor(argument.dtype);
      pieces = true;
    } else if (IsFloat(argument.dtype)) {
      continue;
    } else if (argument.fill.kind == Fill::Kind::kSortedUnique) {
      source.how = How::kSorted;
      source.gap = std::clamp<uint64_t>(source.most / std::max<uint64_t>(*count, 1), 1, 8);
    } else if (argument.fill.kind == Fill::Kind::kPermutation &&
               !IsSourceOfAnother(task, argument)) {
      source.how = How::kPermuted;
    }
  }
  for (size_t a = 0; a < task.arguments.size(); ++a) {
    const Argument& argument = task.arguments[a];
    if (!IsInput(argument) || argument.fill.kind != Fill::Kind::kPickFrom) continue;
    for (size_t from = 0; from < task.arguments.size(); ++from) {
      const Source& table = made.sources_[from];
      if (task.arguments[from].name != argument.fill.argument || table.how != How::kSorted)
        continue;
      Source& source = made.sources_[a];
      source.how = How::kPicked;
      source.from = from;
      source.rate = static_cast<uint64_t>(std::clamp(argument.fill.a, 0.0, 1.0) * (1 << 24));
    }
  }
  if (pieces) {
    if (Status s = made.AddPieces(task, like, secret_seed); !s.ok()) return s.error();
  }
  return made;
}

Status FreshInputs::AddPieces(const Task& task, const Case& like, uint64_t secret_seed) {
  // Small arrays need more seeds for as many values.
  Case one = like;
  for (uint32_t seed = 0;; ++seed) {
    one.seed = like.seed + seed;
    Result<Arrays> arrays = InputArrays(task, one, secret_seed);
    if (!arrays.ok()) return arrays.error();
    bool enough = seed + 1 >= kSeeds;
    const bool last = seed + 1 >= kMostSeeds;
    for (size_t a = 0; a < task.arguments.size(); ++a) {
      if (!InPieces(task, task.arguments[a]) || (*arrays)[a].empty()) continue;
      Source& source = sources_[a];
      const bool full =
          seed >= kSeeds && source.bytes.size() >= kLeastValues * source.element_bytes;
      if (!full) source.bytes += (*arrays)[a];
      enough = enough && source.bytes.size() >= kLeastValues * source.element_bytes;
    }
    if (enough || last) break;
  }
  for (size_t a = 0; a < task.arguments.size(); ++a)
    KeepInRange(task.arguments[a], sources_[a].mask, &sources_[a].bytes);
  CounterRandom random(secret_seed, "fresh/" + like.workload);
  for (uint64_t i = 0; i < kNoiseWords; ++i) noise_.push_back(random.Next());
  return {};
}

bool FreshInputs::Any() const {
  return std::any_of(sources_.begin(), sources_.end(), [](const Source& source) {
    switch (source.how) {
      case How::kPieces:
        return source.count > 0 &&
               (source.mask != 0 || source.count * source.element_bytes >= kLeastPieceBytes);
      case How::kSorted:
        return source.gap > 1 && source.count >= kLeastOrdered;
      case How::kPermuted:
        return source.count >= kLeastOrdered;
      default:
        return false;
    }
  });
}

void FreshInputs::Fill(uint64_t draw, const std::vector<std::span<char>>& arrays) const {
  const auto state_of = [&](size_t a) { return Mix64(draw ^ Mix64(a + 1)); };
  for (size_t a = 0; a < sources_.size(); ++a) {
    const Source& source = sources_[a];
    if (source.how == How::kPieces) FillPieces(source, state_of(a), arrays[a]);
    if (source.how == How::kSorted)
      FillSorted(state_of(a), source.gap, source.element_bytes, arrays[a]);
    if (source.how == How::kPermuted) FillPermuted(state_of(a), source.element_bytes, arrays[a]);
  }
  for (size_t a = 0; a < sources_.size(); ++a) {
    if (sources_[a].how == How::kPicked)
      FillPicked(sources_[a], state_of(a), arrays[sources_[a].from], arrays[a]);
  }
}

// Values of the table at the source's rate, else values that are not in it, from 8 below to 8 above
// it; where hardly any are not, a value that is.
void FreshInputs::FillPicked(const Source& source, uint64_t state, std::span<const char> table,
                             std::span<char> to) {
  const uint64_t bytes = source.element_bytes, count = table.size() / bytes;
  const auto at = [&](uint64_t i) { return ElementAt(table.data(), i, bytes); };
  for (uint64_t i = 0; i < to.size() / bytes; ++i) {
    state = Mix64(state);
    if (count > 0 && state >> 40 < source.rate) {
      PutElement(to.data(), i, bytes, at(Below(state, count)));
      continue;
    }
    // Behind which element it lies, the first at 8 below the table, and how far behind.
    int64_t value = 0;
    for (int tried = 0; tried < kTries; ++tried) {
      state = Mix64(state);
      const uint64_t place = Below(state, count + 1);
      const int64_t offset = 1 + static_cast<int64_t>(state >> 61);
      const int64_t least = count == 0 ? 0 : std::max<int64_t>(at(0) - 9, -1);
      value = (place == 0 ? least : at(place - 1)) + offset;
      const bool free = place == count || value < at(place);
      if (free && static_cast<uint64_t>(value) <= source.most) break;
    }
    PutElement(to.data(), i, bytes, value);
  }
}

void FreshInputs::FillPieces(const Source& source, uint64_t state, std::span<char> to) const {
  const uint64_t longest = source.mask == 0 ? kIntegerPieceWords : kPieceWords;
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
