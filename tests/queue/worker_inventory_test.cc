// What a worker holds, where the sessions of a contract test cannot get it into the state wanted.
#include "queue/worker_inventory.h"

#include <doctest/doctest.h>

#include "tests/queue/support/rigs.h"

using namespace kev;

namespace {

InFlight Named(uint64_t job_digest) { return {"R", AttemptOf(1).key, 1, job_digest}; }

}  // namespace

TEST_CASE("what was dropped while it ran is no result of another job of the same name") {
  WorkerInventory inventory;
  REQUIRE(inventory.Add(Named(7), "of a history that the store lost"));
  const auto before = inventory.Begin(0);
  inventory.KeepOnly({}, /*kill_at_us=*/2'000'000);
  CHECK(before->flags->cancelled.load());

  REQUIRE(inventory.Add(Named(8), "what the log asks for now"));
  const auto after = inventory.Begin(0);
  CHECK(after->payload == "what the log asks for now");
  inventory.Finish(FinishedOf(before->id), 10);
  CHECK(inventory.finished.empty());
  CHECK(inventory.running() == 1);
  inventory.Finish(FinishedOf(after->id), 20);
  REQUIRE(inventory.finished.size() == 1);
  CHECK(inventory.finished[0]->id.job_digest == 8);
}
