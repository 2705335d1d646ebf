#include "stages/verify/fresh_picks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "stages/verify/values.h"

namespace kev {
namespace {

constexpr int kTries = 64;  // for a value that is not in a table
constexpr double kBeyond = 8;

uint64_t Below(uint64_t word, uint64_t n) { return (word & 0xffffffff) * n >> 32; }

// Whether this one is of the table; the word's other bits are still free to say which.
bool IsOfTable(uint64_t word, const Picking& picking) { return word >> 40 < picking.rate; }

void Copy(std::span<const char> table, uint64_t from, uint64_t bytes, char* to) {
  std::memcpy(to, table.data() + from * bytes, bytes);
}

// The values of a table, to ask of many whether they are among them.
class Members {
 public:
  explicit Members(const std::vector<double>& values)
      : shift_(63 - static_cast<int>(std::bit_width(values.size()))),
        slots_(uint64_t{1} << (64 - shift_), kFree) {
    for (const double value : values) slots_[PlaceOf(Bits(value))] = Bits(value);
  }
  bool Has(double value) const { return slots_[PlaceOf(Bits(value))] != kFree; }

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};  // the bits of a NaN, which no table has

  static uint64_t Bits(double value) { return std::bit_cast<uint64_t>(value + 0.0); }  // no -0
  // Where it is, or would be: from half to three quarters of the slots are free.
  uint64_t PlaceOf(uint64_t bits) const {
    uint64_t place = bits * 0x9e3779b97f4a7c15 >> shift_;
    while (slots_[place] != kFree && slots_[place] != bits) place = (place + 1) % slots_.size();
    return place;
  }

  const int shift_;
  std::vector<uint64_t> slots_;  // a power of 2, at least twice the values
};

}  // namespace

uint64_t LargestInteger(DType dtype) {
  const uint64_t bits = SizeOf(dtype) * 8 - (IsSigned(dtype) ? 1 : 0);
  return bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
}

void PickFromSorted(const Picking& picking, std::span<const char> table, KeyedWords& words,
                    std::span<char> to) {
  const uint64_t bytes = SizeOf(picking.dtype), count = table.size() / bytes;
  const uint64_t most = LargestInteger(picking.dtype);
  const auto at = [&](uint64_t i) {
    int64_t value = 0;
    Copy(table, i, bytes, reinterpret_cast<char*>(&value));
    return value;
  };
  for (uint64_t i = 0; i < to.size() / bytes; ++i) {
    const uint64_t word = words.Next();
    if (count > 0 && IsOfTable(word, picking)) {
      Copy(table, Below(word, count), bytes, to.data() + i * bytes);
      continue;
    }
    // Behind which element it lies, the first at 8 below the table, and how far behind.
    int64_t value = 0;
    for (int tried = 0; tried < kTries; ++tried) {
      const uint64_t where = words.Next();
      const uint64_t place = Below(where, count + 1);
      const int64_t offset = 1 + static_cast<int64_t>(where >> 61);
      const int64_t least = count == 0 ? 0 : std::max<int64_t>(at(0) - 9, -1);
      value = (place == 0 ? least : at(place - 1)) + offset;
      const bool free = place == count || value < at(place);
      if (free && static_cast<uint64_t>(value) <= most) break;
    }
    std::memcpy(to.data() + i * bytes, &value, bytes);
  }
}

void PickFromAny(const Picking& picking, std::span<const char> table, KeyedWords& words,
                 std::span<char> to) {
  const uint64_t bytes = SizeOf(picking.dtype), count = table.size() / bytes;
  const bool always = count > 0 && picking.rate >> 24 != 0;
  std::vector<double> values(always ? 0 : count);
  if (!always) ToDoubles(picking.dtype, {table.data(), table.size()}, values.data());
  const Members members(values);
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  const Limits limits = LimitsOf(picking.dtype);
  double low = std::max(values.empty() ? 0 : *least - kBeyond, limits.least);
  double high = std::min(values.empty() ? kBeyond : *most + kBeyond, limits.most);
  if (!IsFloat(picking.dtype)) low = std::ceil(low), high = std::floor(high) + 1;
  for (uint64_t i = 0; i < to.size() / bytes; ++i) {
    char* const place = to.data() + i * bytes;
    const uint64_t word = words.Next();
    if (count > 0 && IsOfTable(word, picking)) {
      Copy(table, Below(word, count), bytes, place);
      continue;
    }
    for (int tried = 0; tried < kTries; ++tried) {
      const double value = low + (high - low) * (static_cast<double>(words.Next() >> 11) * 0x1p-53);
      FromDouble(picking.dtype, IsFloat(picking.dtype) ? value : std::floor(value), place);
      if (!members.Has(ToDouble(picking.dtype, place))) break;
    }
  }
}

}  // namespace kev
