#include "tools/live/folder_lock.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/queue/scratch_folder.h"

using namespace kev;

TEST_CASE("a folder has one engine; who it is stands in the refusal, and goes with it") {
  ScratchFolder folder;
  auto first = FolderLock::Take(folder / "", "run r1");
  REQUIRE(first.ok());
  for (const bool reads : {true, false}) {
    const auto second =
        reads ? FolderLock::Read(folder / "", "run r1") : FolderLock::Take(folder / "", "run r1");
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().code == Code::kExists);
    const std::string& message = second.error().message;
    CHECK(message.find("run r1 is being driven by another engine") != std::string::npos);
    CHECK(message.find("pid " + std::to_string(getpid())) != std::string::npos);
    CHECK(message.find("since ") != std::string::npos);
  }
  first->reset();
  CHECK(FolderLock::Read(folder / "", "run r1").ok());
}

TEST_CASE("who reads is not in another reader's way, and an engine waits for all of them") {
  ScratchFolder folder;
  auto first = FolderLock::Read(folder / "", "run r1");
  auto second = FolderLock::Read(folder / "", "run r1");
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  std::atomic<bool> both_gone{false};
  std::atomic<int> notices{0};
  std::thread engine([&] {
    const auto lock = FolderLock::Take(folder / "", "run r1", [&](const std::string& text) {
      CHECK(text.find("another command that reads run r1") != std::string::npos);
      ++notices;
    });
    CHECK(lock.ok());
    CHECK(both_gone);
  });
  while (notices == 0) poll(nullptr, 0, 10);
  first->reset();
  poll(nullptr, 0, 100);
  both_gone = true;
  second->reset();
  engine.join();
  CHECK(notices == 1);
}

TEST_CASE("those who need the folder's store take turns") {
  ScratchFolder folder;
  auto first = FolderLock::TakeTurn(folder / "", "run r1");
  REQUIRE(first.ok());
  std::atomic<bool> over{false};
  std::thread other([&] {
    CHECK(FolderLock::TakeTurn(folder / "", "run r1").ok());
    CHECK(over);
  });
  poll(nullptr, 0, 100);
  over = true;
  first->reset();
  other.join();
}
