// Waits for answers of a store. Threads: one at a time.
#ifndef KEV_TESTS_QUEUE_AWAIT_STORE_H_
#define KEV_TESTS_QUEUE_AWAIT_STORE_H_

#include <doctest/doctest.h>
#include <poll.h>

#include <vector>

#include "engine/host/store.h"

namespace kev {

// Waits for `n` completions on the descriptor, as the host does; the test's own time limit bounds
// it.
inline std::vector<Completion> Await(Store& store, size_t n) {
  std::vector<Completion> all;
  while (all.size() < n) {
    for (Completion& c : store.Poll()) all.push_back(std::move(c));
    if (all.size() >= n || store.Descriptor() < 0) break;
    pollfd item{store.Descriptor(), static_cast<short>(POLLIN | (store.WantsWrite() ? POLLOUT : 0)),
                0};
    poll(&item, 1, 1000);
  }
  REQUIRE(all.size() == n);
  return all;
}

}  // namespace kev

#endif  // KEV_TESTS_QUEUE_AWAIT_STORE_H_
