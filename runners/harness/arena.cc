#include "runners/harness/arena.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "engine/core/random.h"
#include "runners/harness/lift_fd.h"

namespace kev {
namespace {

constexpr uint64_t kLine = 64;
constexpr uint64_t kZone = harness::kZoneBytes;
constexpr uint64_t kJitter = 48;  // further cache lines, so that no two slots lie alike
constexpr uint64_t kPage = 4096;

uint64_t AlignUp(uint64_t bytes, uint64_t unit) { return (bytes + unit - 1) / unit * unit; }

// The canary repeats with a period that no alignment has: what is moved by whole elements, lines or
// pages does not fit.
constexpr uint64_t kPeriod = 4093;

// The canary's bytes at `begin`, up to `end` or to where it begins anew.
std::string_view CanaryAt(const std::string& canary, uint64_t begin, uint64_t end) {
  const uint64_t from = begin % kPeriod;
  return std::string_view(canary).substr(from, end - begin);
}

Status Check(const std::vector<CallSpec>& calls, const std::vector<uint32_t>& slots) {
  if (calls.empty() || calls.size() > harness::kMaxCalls) {
    return Error{Code::kInvalid, "one process can be given 1 to " +
                                     std::to_string(harness::kMaxCalls) + " calls, not " +
                                     std::to_string(calls.size())};
  }
  for (size_t c = 0; c < calls.size(); ++c) {
    const size_t count = calls[c].arguments.size();
    if (count == 0 || count > harness::kMaxArguments) {
      return Error{Code::kInvalid, "a function must have 1 to " +
                                       std::to_string(harness::kMaxArguments) +
                                       " arguments, this one has " + std::to_string(count)};
    }
    if (slots[c] == 0 || slots[c] > harness::kMaxSlots) {
      return Error{Code::kInvalid, "a call can have 1 to " + std::to_string(harness::kMaxSlots) +
                                       " slots, not " + std::to_string(slots[c])};
    }
    for (const CallArgument& argument : calls[c].arguments) {
      if (argument.count > Arena::kMostBytes / std::max(argument.element_bytes, 1u)) {
        return Error{Code::kInvalid, "argument " + argument.name + " has " +
                                         std::to_string(argument.count) +
                                         " elements; all arrays together may take 4 GiB, use "
                                         "smaller workloads"};
      }
    }
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Arena>> Arena::Make(std::vector<CallSpec> calls, std::vector<uint32_t> slots,
                                           Protection protection, uint64_t seed) {
  if (Status fits = Check(calls, slots); !fits.ok()) return fits.error();
  std::unique_ptr<Arena> made(new Arena);
  made->calls_ = std::move(calls);
  made->slots_ = std::move(slots);
  made->Place(protection, seed);
  if (made->bytes_ > kMostBytes) {
    return Error{Code::kInvalid, "the arrays take " + std::to_string(made->bytes_ >> 20) +
                                     " MiB; use smaller workloads, 4 GiB is the most"};
  }
  // One range of addresses for both files.
  void* map =
      mmap(nullptr, made->bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED)
    return Error{Code::kUnavailable, std::string("addresses for the arrays: ") + strerror(errno)};
  made->map_ = static_cast<char*>(map);
  Status mapped = made->MapFile(0, "inputs", 0, made->input_bytes_);
  if (mapped.ok())
    mapped = made->MapFile(1, "arrays", made->input_bytes_, made->bytes_ - made->input_bytes_);
  if (!mapped.ok()) return mapped.error();
  made->Wipe(Mix64(seed));
  return made;
}

Status Arena::MapFile(int which, const char* name, uint64_t offset, uint64_t bytes) {
  const auto failed = [&](const char* what) {
    return Error{Code::kUnavailable, std::string(what) + " of " + std::to_string(bytes_ >> 20) +
                                         " MiB for the arrays: " + strerror(errno)};
  };
  int& file = files_[which];
  file = LiftFd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (file < 0) return failed("memory file");
  if (bytes > 0) {
    if (posix_fallocate(file, 0, static_cast<off_t>(bytes)) != 0) return failed("allocation");
    if (mmap(map_ + offset, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE | MAP_FIXED,
             file, 0) == MAP_FAILED)
      return failed("mapping");
  }
  // A child must not shrink what the judge reads, nor write what is its alone to write.
  const int inputs = which == 0 ? F_SEAL_FUTURE_WRITE : 0;
  if (fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | inputs) != 0)
    return failed("sealing");
  return {};
}

Arena::~Arena() {
  if (map_ != nullptr) munmap(map_, bytes_);
  for (const int file : files_) {
    if (file >= 0) close(file);
  }
}

Arena::Range Arena::PlaceArray(uint64_t* at, uint64_t bytes, bool guarded, uint64_t jitter) {
  Range range;
  if (guarded) {  // its last line ends where a page that cannot be touched begins
    const uint64_t padded = AlignUp(std::max<uint64_t>(bytes, 1), kLine);
    const uint64_t stop = AlignUp(*at + kZone + padded, kPage);
    range = {stop - padded, stop - padded + bytes};
    guards_.push_back(stop);
    *at = stop + kPage;
  } else {
    range.begin = *at + kZone + jitter * kLine;
    range.end = range.begin + bytes;
    *at = AlignUp(range.end, kLine);
  }
  ranges_.push_back(range);
  return range;
}

// What is only read comes first.
void Arena::Place(Protection protection, uint64_t seed) {
  const bool guarded = protection == Protection::kGuards;
  CounterRandom random(seed, "arena");
  for (size_t c = 0; c < calls_.size(); ++c)
    offsets_.emplace_back(slots_[c] * calls_[c].arguments.size(), 0);
  uint64_t at = 0;
  const auto place = [&](bool read_only) {
    for (size_t c = 0; c < calls_.size(); ++c) {
      const std::vector<CallArgument>& arguments = calls_[c].arguments;
      for (uint32_t s = 0; s < slots_[c]; ++s) {
        for (size_t a = 0; a < arguments.size(); ++a) {
          const bool constant = arguments[a].kind == CallArgument::Kind::kConstant;
          if (!constant && !arguments[a].per_slot()) continue;
          if (arguments[a].output() == read_only) continue;
          uint64_t& offset = offsets_[c][s * arguments.size() + a];
          offset =
              constant && s > 0
                  ? offsets_[c][a]
                  : PlaceArray(&at, arguments[a].bytes(), guarded, random.Below(kJitter)).begin;
        }
      }
    }
    at = AlignUp(at + kZone, kPage);
  };
  place(true);
  if (protection != Protection::kNone) input_bytes_ = at;
  place(false);
  bytes_ = at;
}

uint64_t Arena::Offset(size_t call, uint32_t slot, size_t argument) const {
  return offsets_[call][slot * calls_[call].arguments.size() + argument];
}

char* Arena::Array(size_t call, uint32_t slot, size_t argument) const {
  const uint64_t offset = Offset(call, slot, argument);
  return offset == 0 ? nullptr : map_ + offset;
}

void Arena::Wipe(uint64_t seed) {
  canary_.resize(kPeriod);
  for (uint64_t i = 0; i < kPeriod; ++i) canary_[i] = static_cast<char>(Mix64(seed + 1 + i));
  uint64_t end = 0;
  for (const Range& range : ranges_) {
    PutCanary(end, range.begin);
    std::memset(map_ + range.begin, static_cast<int>(seed & 0x3f) + 1, range.end - range.begin);
    end = range.end;
  }
  PutCanary(end, bytes_);
}

void Arena::PutCanary(uint64_t begin, uint64_t end) {
  while (begin < end) {
    const std::string_view piece = CanaryAt(canary_, begin, end);
    std::memcpy(map_ + begin, piece.data(), piece.size());
    begin += piece.size();
  }
}

bool Arena::WholeBetween(uint64_t begin, uint64_t end) const {
  while (begin < end) {
    const std::string_view piece = CanaryAt(canary_, begin, end);
    if (std::memcmp(map_ + begin, piece.data(), piece.size()) != 0) return false;
    begin += piece.size();
  }
  return true;
}

std::string Arena::BrokenCanary(size_t call, uint32_t slot) const {
  const std::vector<CallArgument>& arguments = calls_[call].arguments;
  for (size_t a = 0; a < arguments.size(); ++a) {
    const uint64_t begin = Offset(call, slot, a);
    if (begin == 0) continue;
    const auto range = std::lower_bound(ranges_.begin(), ranges_.end(), begin,
                                        [](const Range& r, uint64_t at) { return r.begin < at; });
    const uint64_t low = range == ranges_.begin() ? 0 : std::prev(range)->end;
    const uint64_t high = std::next(range) == ranges_.end() ? bytes_ : std::next(range)->begin;
    // Neighbours share a zone: each half belongs to the array beside it.
    if (!WholeBetween(begin - (begin - low) / 2, begin))
      return "wrote before the start of " + arguments[a].name;
    if (!WholeBetween(range->end, range->end + (high - range->end + 1) / 2))
      return "wrote past the end of " + arguments[a].name;
  }
  return "";
}

bool Arena::AnyBrokenCanary() const {
  uint64_t end = 0;
  for (const Range& range : ranges_) {
    if (!WholeBetween(end, range.begin)) return true;
    end = range.end;
  }
  return !WholeBetween(end, bytes_);
}

}  // namespace kev
