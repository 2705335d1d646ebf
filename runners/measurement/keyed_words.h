// Random words that tell nothing of each other: AES-256 in counter mode under a key of this
// process.
//
// What a kernel sees of some words lets it find neither the others nor the draw that they were made
// from: the key is drawn from the kernel when first needed and kept in this process alone, and
// kernels run in processes that were started by exec. The same draw and stream give the same words
// as long as the process lives, and other words in another process. About half a nanosecond a word.
// Threads: an object is for one thread; several may have their own at once.
#ifndef KEV_RUNNERS_MEASUREMENT_KEYED_WORDS_H_
#define KEV_RUNNERS_MEASUREMENT_KEYED_WORDS_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace kev {

class KeyedWords {
 public:
  // The words of a draw's stream; streams are told apart by their lower 16 bits.
  KeyedWords(uint64_t draw, uint64_t stream) : draw_(draw), stream_(stream) {}

  uint64_t Next() {
    if (next_ == words_.size()) Refill();
    return words_[next_++];
  }

 private:
  void Refill();

  const uint64_t draw_, stream_;
  uint64_t blocks_ = 0;              // of the cipher, used so far
  std::array<uint64_t, 256> words_;  // 2 KiB at once
  size_t next_ = words_.size();
};

}  // namespace kev

#endif  // KEV_RUNNERS_MEASUREMENT_KEYED_WORDS_H_
