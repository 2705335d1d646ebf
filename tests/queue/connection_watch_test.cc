#include "queue/connection_watch.h"

#include <doctest/doctest.h>

#include "queue/attempt_set.h"
#include "queue/prefetch.h"

using namespace kev;

// File descriptors are used again: a closed connection that is read about late must never cost the
// session that has its descriptor now.
TEST_CASE("a descriptor that is used again stands for another connection") {
  ConnectionWatch watch;
  watch.Accepted(12);
  const uint64_t first = watch.NumberOf(12);
  watch.Closed(12);
  watch.Accepted(12);
  const uint64_t second = watch.NumberOf(12);
  CHECK(first != second);
  CHECK(watch.TakeClosed() == std::vector<uint64_t>{first});
  watch.Closed(12);
  watch.Closed(12);  // reported once
  CHECK(watch.TakeClosed() == std::vector<uint64_t>{second});
  CHECK(watch.NumberOf(13) == 0);
}

TEST_CASE("a session that begins on a connection that is closed already is told so") {
  ConnectionWatch watch;
  watch.Accepted(12);
  watch.Closed(12);
  const std::vector<uint64_t> closed = watch.TakeClosed();
  CHECK(watch.NumberOf(12) == closed.front());
  CHECK(watch.TakeClosed() == closed);
}

TEST_CASE("the attempts of a session are found until they are answered, whatever their order") {
  AttemptSet set;
  const auto of = [](uint32_t n) {
    return Fingerprint("run", {{SubjectKind::kCandidate, n}, 1, 0}, 1);
  };
  for (uint32_t n = 0; n < 5000; ++n) set.Add(of(n));
  set.Add(of(7));  // twice
  CHECK(set.size() == 5000);
  for (uint32_t n = 0; n < 5000; n += 3) CHECK(set.Remove(of(n)));
  for (uint32_t n = 0; n < 5000; ++n) CHECK(set.Contains(of(n)) == (n % 3 != 0));
  CHECK_FALSE(set.Remove(of(0)));
  for (uint32_t n = 0; n < 5000; ++n) CHECK(set.Remove(of(n)) == (n % 3 != 0));
  CHECK(set.size() == 0);
}

TEST_CASE("a worker takes ahead what it does in a round trip, and nothing of what is long") {
  const auto count = [](double job_us, double round_trip_us, uint32_t slots) {
    Prefetch prefetch(std::nullopt);
    if (job_us >= 0) prefetch.JobTook(job_us);
    if (round_trip_us >= 0) prefetch.RoundTripTook(round_trip_us);
    return prefetch.Count(slots);
  };
  CHECK(count(-1, 5000, 2) == 0);         // nothing known yet
  CHECK(count(1000, 5000, 1) == 5);       // five jobs in a round trip
  CHECK(count(1000, 5000, 4) == 20);      // on each slot
  CHECK(count(3, 5000, 1) == 256);        // at most
  CHECK(count(50'000, 5000, 1) == 1);     // one, so that the slot does not idle
  CHECK(count(100'000, 50'000, 4) == 0);  // could run elsewhere
  CHECK(count(100, -1, 1) == 10);         // no round trip seen: a millisecond
  CHECK(Prefetch(17).Count(2) == 17);
}
