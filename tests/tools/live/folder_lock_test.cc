#include "tools/live/folder_lock.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "tests/queue/scratch_folder.h"

using namespace kev;

TEST_CASE("a folder has one engine; who it is stands in the refusal, and goes with it") {
  ScratchFolder folder;
  auto first = FolderLock::Take(folder / "", "run r1");
  REQUIRE(first.ok());
  for (const auto take : {&FolderLock::Take, &FolderLock::Borrow}) {
    const auto second = take(folder / "", "run r1");
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().code == Code::kExists);
    const std::string& message = second.error().message;
    CHECK(message.find("run r1 is being driven by another engine") != std::string::npos);
    CHECK(message.find("pid " + std::to_string(getpid())) != std::string::npos);
    CHECK(message.find("since ") != std::string::npos);
  }
  first->reset();
  CHECK(FolderLock::Borrow(folder / "", "run r1").ok());
}
