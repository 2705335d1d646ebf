#include "runners/harness/region.h"

#include <cstring>

#include "engine/core/random.h"

namespace kev {
namespace {

// Odd number of cache lines, so that arrays of 4096·n bytes do not alias each other in the
// first-level cache.
constexpr uint64_t kRedZone = 17 * 64;
constexpr uint64_t kLargestRegion = uint64_t{2} << 30;

uint64_t AlignUp(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

void PutPattern(char* at, uint64_t bytes, uint64_t seed) {
  for (uint64_t i = 0; i < bytes; i += 8) {
    const uint64_t word = Mix64(seed + i);
    std::memcpy(at + i, &word, bytes - i < 8 ? bytes - i : 8);
  }
}

template <typename T, typename Make>
void PutElements(char* at, uint64_t count, Make make) {
  for (uint64_t i = 0; i < count; ++i) {
    const T value = make(i);
    std::memcpy(at + i * sizeof(T), &value, sizeof(T));
  }
}

// Values such as a kernel might give: a poisoned element must not stand out as NaN or zero.
void PutPlausible(ElementType type, char* at, uint64_t count, uint64_t seed) {
  const auto bits = [seed](uint64_t i) { return Mix64(seed + i) >> 40; };
  const auto unit = [&](uint64_t i) { return static_cast<float>(bits(i)) * 0x1p-24f + 0.25f; };
  switch (type) {
    case ElementType::kF32:
      PutElements<float>(at, count, unit);
      break;
    case ElementType::kF64:
      PutElements<double>(at, count, unit);
      break;
    case ElementType::kI32:
      PutElements<int32_t>(at, count,
                           [&](uint64_t i) { return static_cast<int32_t>(bits(i) & 1023); });
      break;
    case ElementType::kI64:
      PutElements<int64_t>(at, count,
                           [&](uint64_t i) { return static_cast<int64_t>(bits(i) & 1023); });
      break;
    case ElementType::kU8:
      PutElements<uint8_t>(at, count, [&](uint64_t i) { return static_cast<uint8_t>(bits(i)); });
      break;
  }
}

}  // namespace

uint32_t SizeOf(ElementType type) {
  switch (type) {
    case ElementType::kF32:
    case ElementType::kI32:
      return 4;
    case ElementType::kF64:
    case ElementType::kI64:
      return 8;
    case ElementType::kU8:
      return 1;
  }
  return 0;
}

Result<RegionImage> RegionImage::Make(std::vector<CallSpec> calls, uint64_t seed) {
  RegionImage image;
  if (calls.size() > harness::kMaxCalls) {
    return Error{Code::kInvalid,
                 "at most " + std::to_string(harness::kMaxCalls) + " calls fit in one process"};
  }
  uint64_t size = 0;
  for (const CallSpec& call : calls) {
    if (call.arguments.empty() || call.arguments.size() > harness::kMaxArguments) {
      return Error{Code::kInvalid,
                   "a function must have 1 to " + std::to_string(harness::kMaxArguments) +
                       " arguments, this one has " + std::to_string(call.arguments.size())};
    }
    std::vector<uint64_t>& offsets = image.offsets_.emplace_back();
    for (const CallArgument& argument : call.arguments) {
      if (argument.kind == CallArgument::Kind::kScalar) {
        offsets.push_back(0);
        continue;
      }
      if (argument.count > kLargestRegion) {
        return Error{Code::kInvalid, "argument " + argument.name + " has " +
                                         std::to_string(argument.count) +
                                         " elements; all arrays together may take 2 GiB"};
      }
      size += kRedZone;
      offsets.push_back(size);
      size = AlignUp(size + argument.count * SizeOf(argument.type));
    }
  }
  size += kRedZone;
  if (size > kLargestRegion) {
    return Error{Code::kInvalid, "the arrays take " + std::to_string(size) +
                                     " bytes; use smaller workloads, 2 GiB is the most"};
  }
  image.calls_ = std::move(calls);
  image.bytes_.resize(size);
  // The pattern is written around the arrays: from the end of one to the start of the next.
  uint64_t end = 0;
  for (size_t c = 0; c < image.calls_.size(); ++c) {
    for (size_t a = 0; a < image.calls_[c].arguments.size(); ++a) {
      const CallArgument& argument = image.calls_[c].arguments[a];
      if (argument.kind == CallArgument::Kind::kScalar) continue;
      const uint64_t begin = image.offsets_[c][a];
      PutPattern(image.bytes_.data() + end, begin - end, Mix64(seed ^ end));
      end = begin + argument.count * SizeOf(argument.type);
    }
  }
  PutPattern(image.bytes_.data() + end, size - end, Mix64(seed ^ end));
  image.PoisonOutputs(seed);
  return image;
}

char* RegionImage::MutableArray(size_t call, size_t argument) {
  return bytes_.data() + offsets_[call][argument];
}

std::string_view RegionImage::Array(const std::string& region, size_t call, size_t argument) const {
  const CallArgument& spec = calls_[call].arguments[argument];
  return std::string_view(region).substr(offsets_[call][argument], spec.count * SizeOf(spec.type));
}

void RegionImage::PoisonOutputs(uint64_t seed) {
  for (size_t c = 0; c < calls_.size(); ++c) {
    for (size_t a = 0; a < calls_[c].arguments.size(); ++a) {
      const CallArgument& argument = calls_[c].arguments[a];
      if (argument.kind != CallArgument::Kind::kOut) continue;
      PutPlausible(argument.type, MutableArray(c, a), argument.count, Mix64(seed ^ offsets_[c][a]));
    }
  }
}

harness::ArgumentSlot RegionImage::Slot(size_t call, size_t argument) const {
  const CallArgument& spec = calls_[call].arguments[argument];
  harness::ArgumentSlot slot;
  slot.element = spec.type;
  slot.count = spec.count;
  slot.is_array = spec.kind != CallArgument::Kind::kScalar;
  slot.disturb = spec.kind == CallArgument::Kind::kOut;
  slot.value = slot.is_array != 0 ? static_cast<int64_t>(offsets_[call][argument]) : spec.scalar;
  return slot;
}

std::string RegionImage::Violation(const std::string& region, size_t call) const {
  if (region.size() != bytes_.size()) return "the shared region was resized";
  const auto same = [&](uint64_t begin, uint64_t end) {
    return std::memcmp(region.data() + begin, bytes_.data() + begin, end - begin) == 0;
  };
  for (size_t a = 0; a < calls_[call].arguments.size(); ++a) {
    const CallArgument& argument = calls_[call].arguments[a];
    if (argument.kind == CallArgument::Kind::kScalar) continue;
    const uint64_t begin = offsets_[call][a];
    const uint64_t end = begin + argument.count * SizeOf(argument.type);
    // Neighbours share a red zone: each half belongs to the array beside it.
    const uint64_t low = begin == kRedZone ? 0 : begin - kRedZone / 2;
    const uint64_t zone_end = AlignUp(end) + kRedZone;
    const uint64_t high = zone_end == bytes_.size() ? zone_end : zone_end - kRedZone / 2;
    if (!same(low, begin)) return "wrote before the start of " + argument.name;
    if (!same(end, high)) return "wrote past the end of " + argument.name;
    if (argument.kind == CallArgument::Kind::kIn && !same(begin, end))
      return "changed its input " + argument.name;
  }
  return "";
}

}  // namespace kev
