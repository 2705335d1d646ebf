// Which points of a space to try next: random without replacement, hill climbing around good
// points, or a mix.
//
// A pure function of what has been tried, the seed and the request's name. Requests that are out
// and not yet answered are drawn first, as they would be drawn now, so that two requests in flight
// do not propose the same points. Threads: one object per decision. Errors: none; fewer points than
// wished for when the space has no more.
#ifndef KEV_STAGES_PROPOSE_TUNE_STRATEGY_H_
#define KEV_STAGES_PROPOSE_TUNE_STRATEGY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/random.h"
#include "stages/propose/search_space.h"

namespace kev {

enum class TuneMode { kRandom, kLocal, kAuto };
TuneMode TuneModeFrom(std::string_view name);  // anything unknown is kAuto

struct Tried {
  Point point;
  uint32_t number = 0;  // candidate
  double speedup = 0;   // 0: not measured, or refused
};

struct TuneWish {
  std::string stream;  // names the request: "r3/tune"
  uint32_t count = 1;
  std::optional<Point> near;  // begin around this point …
  uint32_t near_number = 0;   // … which is this candidate's …
  uint32_t near_count = 0;    // … with so many
};

struct Pick {
  Point point;
  uint32_t parent = 0;  // candidate that it is a neighbour of; 0: drawn at random
  Point parent_point = {};
};

class TuneStrategy {
 public:
  // `spread`: in mode auto, that many points are drawn at random, evenly over the variants, before
  // any other.
  TuneStrategy(const SearchSpace& space, TuneMode mode, uint64_t seed, uint64_t spread,
               const std::vector<Tried>& tried);
  // Draws and marks as seen.
  std::vector<Pick> Draw(const TuneWish& wish);
  // True when every valid point has been seen; never for a space that is too large to enumerate.
  bool Exhausted() const;
  uint64_t seen() const { return seen_.size(); }

 private:
  std::optional<Pick> Random(std::optional<uint32_t> variant, CounterRandom& random);
  std::optional<Pick> Around(const Point& point, uint32_t number, CounterRandom& random);
  std::optional<Pick> Local(CounterRandom& random);
  std::optional<Pick> Spread(CounterRandom& random);
  std::optional<Pick> RingOf(const Point& point, uint32_t number, int changes,
                             CounterRandom& random);
  Pick Mark(Pick pick);
  void Shuffle();

  const SearchSpace& space_;
  TuneMode mode_;
  uint64_t seed_;
  uint64_t spread_;
  std::vector<Tried> elites_;  // fastest first
  std::set<Point> seen_;
  std::vector<uint64_t> seen_by_variant_;
  std::vector<uint32_t> order_;       // seeded permutation of space_.points()
  std::map<int64_t, size_t> cursor_;  // by variant, -1 for any: place in order_
};

}  // namespace kev

#endif  // KEV_STAGES_PROPOSE_TUNE_STRATEGY_H_
