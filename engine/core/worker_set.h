// WorkerSet: a set of workers' places as bits, so that "who of those that fit has room" is one
// `and` for each 64 workers. Iteration goes by place.
//
// Threads: one at a time. Errors: none.
#ifndef KEV_ENGINE_CORE_WORKER_SET_H_
#define KEV_ENGINE_CORE_WORKER_SET_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kev {

class WorkerSet {
 public:
  void Set(uint32_t place, bool in) {
    const size_t word = place / 64;
    if (word >= words_.size()) {
      if (!in) return;
      words_.resize(word + 1);
    }
    const uint64_t bit = uint64_t{1} << (place % 64);
    words_[word] = in ? words_[word] | bit : words_[word] & ~bit;
  }
  bool Has(uint32_t place) const {
    return place / 64 < words_.size() && (words_[place / 64] >> (place % 64) & 1) != 0;
  }
  bool Any() const {
    return std::any_of(words_.begin(), words_.end(), [](uint64_t word) { return word != 0; });
  }
  bool Meets(const WorkerSet& other) const {
    const size_t words = std::min(words_.size(), other.words_.size());
    for (size_t i = 0; i < words; ++i) {
      if ((words_[i] & other.words_[i]) != 0) return true;
    }
    return false;
  }
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (size_t i = 0; i < words_.size(); ++i) Bits(i, words_[i], visit);
  }
  template <typename Visit>
  void ForEachCommon(const WorkerSet& other, Visit visit) const {
    const size_t words = std::min(words_.size(), other.words_.size());
    for (size_t i = 0; i < words; ++i) Bits(i, words_[i] & other.words_[i], visit);
  }

 private:
  template <typename Visit>
  static void Bits(size_t word, uint64_t bits, Visit& visit) {
    for (; bits != 0; bits &= bits - 1) {
      visit(static_cast<uint32_t>(word * 64 + static_cast<size_t>(std::countr_zero(bits))));
    }
  }

  std::vector<uint64_t> words_;
};

}  // namespace kev

#endif  // KEV_ENGINE_CORE_WORKER_SET_H_
