#include "stages/verify/fresh_inputs.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runners/measurement/keyed_words.h"
#include "stages/verify/fresh_picks.h"

namespace kev {
namespace {

constexpr size_t kQuantiles = 4096;     // a power of 2
constexpr int kIndexBits = 12;          // of a number below it
constexpr uint64_t kLeastBytes = 1024;  // of integers and table values that are never the same
constexpr uint64_t kLeastOrdered = 32;  // elements of a table or permutation that is never the same

bool SameInAllDraws(const Argument& argument) {
  return argument.constant || argument.fill.kind == Fill::Kind::kNone ||
         argument.fill.kind == Fill::Kind::kZeros || argument.fill.kind == Fill::Kind::kOnes;
}

int64_t ElementAt(const char* array, uint64_t i, uint64_t element_bytes) {
  int64_t value = 0;
  std::memcpy(&value, array + i * element_bytes, element_bytes);  // never negative
  return value;
}

void PutElement(char* array, uint64_t i, uint64_t element_bytes, int64_t value) {
  std::memcpy(array + i * element_bytes, &value, element_bytes);
}

uint64_t Below(uint64_t word, uint64_t n) { return (word & 0xffffffff) * n >> 32; }

// Distinct and ascending, with gaps of 1 to `gap`.
void FillSorted(KeyedWords& words, uint64_t gap, uint64_t element_bytes, std::span<char> to) {
  int64_t value = 0;
  uint64_t word = 0;
  for (uint64_t i = 0; i < to.size() / element_bytes; ++i, word >>= 8) {
    if (i % 8 == 0) word = words.Next();
    value += static_cast<int64_t>(1 + ((word & 0xff) * gap >> 8));
    PutElement(to.data(), i, element_bytes, value);
  }
}

void FillPermuted(KeyedWords& words, uint64_t element_bytes, std::span<char> to) {
  const uint64_t count = to.size() / element_bytes;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t other = Below(words.Next(), i + 1);
    if (other != i)
      PutElement(to.data(), i, element_bytes, ElementAt(to.data(), other, element_bytes));
    PutElement(to.data(), other, element_bytes, static_cast<int64_t>(i));
  }
}

// z with P(normal < z) = p, by Newton's method from one close by.
double NormalQuantile(double p, double near) {
  for (int i = 0; i < 8; ++i) {
    const double density = std::exp(-near * near / 2) / std::sqrt(2 * 3.141592653589793);
    near -= (std::erfc(-near / std::sqrt(2.0)) / 2 - p) / density;
  }
  return near;
}

// Ascending, kQuantiles + 1; of a normal fill the outermost are those of a quarter of a step.
std::vector<double> QuantilesOf(const Fill& fill) {
  std::vector<double> quantiles(kQuantiles + 1);
  double z = 0;
  const auto normal = [&](size_t i) {
    const double p = std::max(static_cast<double>(i), 0.25) / kQuantiles;
    z = NormalQuantile(p, z);
    return z;
  };
  for (size_t i = kQuantiles / 2 + 1; i-- > 0;) {
    if (fill.kind == Fill::Kind::kNormal) {
      const double distance = -fill.b * normal(i);
      quantiles[i] = fill.a - distance;
      quantiles[kQuantiles - i] = fill.a + distance;
      continue;
    }
    for (const size_t at : {i, kQuantiles - i}) {
      const double share = static_cast<double>(at) / kQuantiles;
      quantiles[at] = fill.a + (fill.b - fill.a) * share;
    }
  }
  std::sort(quantiles.begin(), quantiles.end());
  return quantiles;
}

template <typename T>
T Between(const std::vector<T>& quantiles, size_t i, T share) {
  return quantiles[i] + (quantiles[i + 1] - quantiles[i]) * share;
}

void FillDoubles(KeyedWords& words, const std::vector<double>& quantiles, std::span<char> to) {
  for (uint64_t at = 0; at < to.size(); at += sizeof(double)) {
    const uint64_t word = words.Next();
    const double value = Between(quantiles, word >> (64 - kIndexBits),
                                 static_cast<double>(word & ((uint64_t{1} << 52) - 1)) * 0x1p-52);
    std::memcpy(to.data() + at, &value, sizeof(value));
  }
}

void FillFloats(KeyedWords& words, const std::vector<float>& quantiles, std::span<char> to) {
  for (uint64_t at = 0; at < to.size(); at += 2 * sizeof(float)) {
    const uint64_t word = words.Next();
    float pair[2];
    for (int half = 0; half < 2; ++half) {
      const auto bits = static_cast<uint32_t>(word >> (32 * half));
      pair[half] = Between(quantiles, bits >> (32 - kIndexBits),
                           static_cast<float>(bits & ((1u << 20) - 1)) * 0x1p-20f);
    }
    std::memcpy(to.data() + at, pair, std::min<uint64_t>(sizeof(pair), to.size() - at));
  }
}

void FillOfTable(KeyedWords& words, const std::string& table, uint64_t element_bytes,
                 std::span<char> to) {
  uint64_t word = 0;
  for (uint64_t i = 0; i < to.size() / element_bytes; ++i, word >>= kIndexBits) {
    if (i % 5 == 0) word = words.Next();
    std::memcpy(to.data() + i * element_bytes, table.data() + word % kQuantiles * element_bytes,
                element_bytes);
  }
}

void FillIntegers(KeyedWords& words, int64_t low, uint64_t span, uint64_t element_bytes,
                  std::span<char> to) {
  for (uint64_t i = 0; i < to.size() / element_bytes; ++i) {
    const uint64_t word = words.Next();
    // Of few values, without a division.
    const uint64_t above = span >> 32 == 0 ? (word >> 32) * span >> 32 : word % span;
    PutElement(to.data(), i, element_bytes, low + static_cast<int64_t>(above));
  }
}

}  // namespace

void FreshInputs::SetIndependent(const Argument& argument, Source* source) {
  const kev::Fill& fill = argument.fill;
  if (!IsFloat(argument.dtype) && fill.kind == kev::Fill::Kind::kUniform) {
    // As doubles have them: the values of the first fill, and none outside.
    const double low = std::ceil(fill.a), high = std::floor(fill.b);
    if (!(low >= -0x1p62 && high <= 0x1p62 && low <= high)) return;
    source->how = How::kInteger;
    source->low = static_cast<int64_t>(low);
    source->span = static_cast<uint64_t>(static_cast<int64_t>(high) - source->low) + 1;
    return;
  }
  const std::vector<double> quantiles = QuantilesOf(fill);
  source->how = How::kReal;
  if (argument.dtype == DType::kF64) {
    source->quantiles = quantiles;
  } else if (argument.dtype == DType::kF32) {
    source->narrow.assign(quantiles.begin(), quantiles.end());
  } else {
    source->how = How::kOfTable;
    source->table.resize(kQuantiles * source->element_bytes);
    for (size_t i = 0; i < kQuantiles; ++i)
      FromDouble(argument.dtype, Between(quantiles, i, 0.5),
                 source->table.data() + i * source->element_bytes);
  }
}

void FreshInputs::SetSource(const Argument& argument, Source* source) {
  switch (argument.fill.kind) {
    case Fill::Kind::kUniform:
    case Fill::Kind::kNormal:
      return SetIndependent(argument, source);
    case Fill::Kind::kSortedUnique: {
      source->how = How::kSorted;
      const uint64_t room = LargestInteger(argument.dtype) / std::max<uint64_t>(source->count, 1);
      source->gap = std::clamp<uint64_t>(room, 1, 8);
      return;
    }
    case Fill::Kind::kPermutation:
      source->how = How::kPermuted;
      return;
    default:
      return;
  }
}

// REQUIRES: what it may pick from is set.
void FreshInputs::SetPicked(const Task& task, const Argument& argument, Source* source) const {
  for (size_t from = 0; from < task.arguments.size(); ++from) {
    const Argument& table = task.arguments[from];
    if (table.name != argument.fill.argument || !IsInput(table)) continue;
    if (sources_[from].how == How::kNot && !SameInAllDraws(table)) return;
    source->how = How::kPicked;
    source->from = from;
    source->from_given = sources_[from].how == How::kNot;
    source->picking.dtype = argument.dtype;
    source->picking.rate = static_cast<uint64_t>(std::clamp(argument.fill.a, 0.0, 1.0) * (1 << 24));
    source->span = table.constant || sources_[from].how != How::kNot ? sources_[from].count : 1;
  }
}

Result<FreshInputs> FreshInputs::Make(const Task& task, const Axes& axes) {
  FreshInputs made;
  made.sources_.resize(task.arguments.size());
  // A pick may be made from an earlier one.
  for (const bool picking : {false, true}) {
    for (size_t a = 0; a < task.arguments.size(); ++a) {
      const Argument& argument = task.arguments[a];
      if (!IsInput(argument) || (argument.fill.kind == Fill::Kind::kPickFrom) != picking) continue;
      Result<uint64_t> count = ElementCount(argument, axes);
      if (!count.ok()) return count.error();
      Source& source = made.sources_[a];
      source.element_bytes = SizeOf(argument.dtype);
      source.count = *count;
      if (SameInAllDraws(argument)) continue;
      if (picking)
        made.SetPicked(task, argument, &source);
      else
        SetSource(argument, &source);
      made.all_ = made.all_ && source.how != How::kNot;
    }
  }
  return made;
}

bool FreshInputs::Any() const {
  return all_ && std::any_of(sources_.begin(), sources_.end(), [](const Source& source) {
           const uint64_t bytes = source.count * source.element_bytes;
           switch (source.how) {
             case How::kReal:
               return source.count > 0;
             case How::kOfTable:
               return bytes >= kLeastBytes;
             case How::kInteger:
             case How::kPicked:
               return source.span > 1 && bytes >= kLeastBytes;
             case How::kSorted:
               return source.gap > 1 && source.count >= kLeastOrdered;
             case How::kPermuted:
               return source.count >= kLeastOrdered;
             default:
               return false;
           }
         });
}

void FreshInputs::Fill(uint64_t draw, const std::vector<std::span<char>>& arrays,
                       const Arrays& given) const {
  for (size_t a = 0; a < sources_.size(); ++a) {
    const Source& source = sources_[a];
    KeyedWords words(draw, a);
    const uint64_t bytes = source.element_bytes;
    switch (source.how) {
      case How::kReal:
        if (source.narrow.empty())
          FillDoubles(words, source.quantiles, arrays[a]);
        else
          FillFloats(words, source.narrow, arrays[a]);
        break;
      case How::kOfTable:
        FillOfTable(words, source.table, bytes, arrays[a]);
        break;
      case How::kInteger:
        FillIntegers(words, source.low, source.span, bytes, arrays[a]);
        break;
      case How::kSorted:
        FillSorted(words, source.gap, bytes, arrays[a]);
        break;
      case How::kPermuted:
        FillPermuted(words, bytes, arrays[a]);
        break;
      default:
        break;
    }
  }
  for (size_t a = 0; a < sources_.size(); ++a) {
    const Source& source = sources_[a];
    if (source.how != How::kPicked) continue;
    KeyedWords words(draw, a);
    if (sources_[source.from].how == How::kSorted)
      PickFromSorted(source.picking, arrays[source.from], words, arrays[a]);
    else if (source.from_given)
      PickFromAny(source.picking, given[source.from], words, arrays[a]);
    else
      PickFromAny(source.picking, arrays[source.from], words, arrays[a]);
  }
}

}  // namespace kev
