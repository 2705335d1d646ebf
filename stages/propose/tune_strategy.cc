#include "stages/propose/tune_strategy.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "stages/select/ranking.h"

namespace kev {
namespace {

constexpr size_t kElites = 5;
constexpr double kLocalPart = 0.7;  // of what mode auto draws after the spread
// Draws before a space too large to enumerate counts as having nothing more.
constexpr int kRejections = 200'000;

}  // namespace

TuneMode TuneModeFrom(std::string_view name) {
  if (name == "random") return TuneMode::kRandom;
  if (name == "local") return TuneMode::kLocal;
  return TuneMode::kAuto;
}

TuneStrategy::TuneStrategy(const SearchSpace& space, TuneMode mode, uint64_t seed, uint64_t spread,
                           const std::vector<Tried>& tried)
    : space_(space),
      mode_(mode),
      seed_(seed),
      spread_(spread),
      seen_by_variant_(space.variants().size(), 0) {
  for (const Tried& one : tried) {
    if (seen_.insert(one.point).second) ++seen_by_variant_[one.point.variant];
    if (one.speedup > 0) elites_.push_back(one);
  }
  std::sort(elites_.begin(), elites_.end(), [](const Tried& a, const Tried& b) {
    return a.speedup != b.speedup ? a.speedup > b.speedup : a.number < b.number;
  });
  if (elites_.size() > kElites) elites_.resize(kElites);
}

// Fisher-Yates, keyed by the seed alone: the order is the same for every request of a run.
void TuneStrategy::Shuffle() {
  order_.resize(space_.points().size());
  std::iota(order_.begin(), order_.end(), 0u);
  CounterRandom random(seed_, "tune/order");
  for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.Below(i)]);
}

Pick TuneStrategy::Mark(Pick pick) {
  seen_.insert(pick.point);
  ++seen_by_variant_[pick.point.variant];
  return pick;
}

bool TuneStrategy::Exhausted() const {
  return space_.enumerated() && seen_.size() >= space_.points().size();
}

std::vector<Pick> TuneStrategy::Draw(const TuneWish& wish) {
  CounterRandom random(seed_, wish.stream);
  std::vector<Pick> picks;
  for (uint32_t i = 0; i < wish.count && !Exhausted(); ++i) {
    std::optional<Pick> pick;
    if (wish.near && i < wish.near_count) pick = Around(*wish.near, wish.near_number, random);
    if (!pick && mode_ == TuneMode::kAuto && seen_.size() < spread_) pick = Spread(random);
    bool local =
        mode_ == TuneMode::kLocal || (mode_ == TuneMode::kAuto && random.Unit() < kLocalPart);
    if (!pick && local) pick = Local(random);
    if (!pick) pick = Random(std::nullopt, random);
    if (!pick) break;
    picks.push_back(Mark(*pick));
  }
  return picks;
}

// The next unseen point in the seeded order, of one variant or of any.
std::optional<Pick> TuneStrategy::Random(std::optional<uint32_t> variant, CounterRandom& random) {
  if (space_.enumerated()) {
    if (order_.empty()) Shuffle();
    size_t& at = cursor_[variant ? static_cast<int64_t>(*variant) : -1];
    for (; at < order_.size(); ++at) {
      const Point& point = space_.points()[order_[at]];
      if ((!variant || point.variant == *variant) && !seen_.contains(point)) return Pick{point};
    }
    return std::nullopt;
  }
  for (int i = 0; i < kRejections; ++i) {
    auto v = variant.value_or(static_cast<uint32_t>(random.Below(space_.variants().size())));
    if (space_.RawSize(v) == 0) continue;
    Point point{v, random.Below(space_.RawSize(v))};
    if (!seen_.contains(point) && space_.Valid(point)) return Pick{point};
  }
  return std::nullopt;
}

// The variant of which least has been seen comes first.
std::optional<Pick> TuneStrategy::Spread(CounterRandom& random) {
  std::vector<uint32_t> variants(space_.variants().size());
  std::iota(variants.begin(), variants.end(), 0u);
  std::sort(variants.begin(), variants.end(), [&](uint32_t a, uint32_t b) {
    return std::pair(seen_by_variant_[a], a) < std::pair(seen_by_variant_[b], b);
  });
  for (uint32_t variant : variants)
    if (std::optional<Pick> pick = Random(variant, random)) return pick;
  return std::nullopt;
}

std::optional<Pick> TuneStrategy::RingOf(const Point& point, uint32_t number, int changes,
                                         CounterRandom& random) {
  std::vector<Point> ring = space_.Neighbours(point, changes);
  std::erase_if(ring, [&](const Point& p) { return seen_.contains(p); });
  if (ring.empty()) return std::nullopt;
  return Pick{ring[random.Below(ring.size())], number, point};
}

std::optional<Pick> TuneStrategy::Around(const Point& point, uint32_t number,
                                         CounterRandom& random) {
  std::optional<Pick> pick = RingOf(point, number, 1, random);
  return pick ? pick : RingOf(point, number, 2, random);
}

// A neighbour of an elite drawn by rank, else of any other. Two steps at once only when no single
// step is left: ridges that constraints make (WIDTH * UNROLL == 32) have no single steps.
std::optional<Pick> TuneStrategy::Local(CounterRandom& random) {
  if (elites_.empty()) return std::nullopt;
  size_t first = PickByRank(elites_.size(), random.Unit());
  for (int changes : {1, 2}) {
    for (size_t i = 0; i < elites_.size(); ++i) {
      const Tried& elite = elites_[(first + i) % elites_.size()];
      std::optional<Pick> pick = RingOf(elite.point, elite.number, changes, random);
      if (pick) return pick;
    }
  }
  return std::nullopt;
}

}  // namespace kev
