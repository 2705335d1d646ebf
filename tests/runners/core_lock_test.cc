// Who may time on a core, and in which order.
#include "runners/measurement/core_lock.h"

#include <dirent.h>
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace kev {
namespace {

const std::atomic<bool> kGoOn = false;

// A core whose lock no run of this machine uses, nor another test at the same time.
struct NoSuchCore {
  ~NoSuchCore() {
    unlink(lock.c_str());
    rmdir(queue.c_str());
  }
  // Tickets in the line.
  size_t Waiting() const {
    size_t count = 0;
    if (DIR* listing = opendir(queue.c_str())) {
      while (const dirent* entry = readdir(listing)) count += entry->d_name[0] != '.' ? 1 : 0;
      closedir(listing);
    }
    return count;
  }
  void AwaitWaiting(size_t count) const {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (Waiting() < count && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(1ms);
    REQUIRE(Waiting() == count);
  }
  const int number = 100000 + getpid();
  const std::string lock = "/tmp/kevolve-core-" + std::to_string(number) + ".lock";
  const std::string queue = "/tmp/kevolve-core-" + std::to_string(number) + ".queue";
};

TEST_CASE("a core is timed on by one holder at a time") {
  const NoSuchCore core;
  const std::atomic<bool> cancelled = true;
  {
    const Result<CoreLock> first = CoreLock::Take(core.number, kGoOn);
    REQUIRE(first.ok());
    CHECK_FALSE(CoreLock::Take(core.number, cancelled).ok());
  }
  CHECK(CoreLock::Take(core.number, kGoOn).ok());
  CHECK(core.Waiting() == 0);
}

TEST_CASE("who came first is first to time") {
  const NoSuchCore core;
  for (int repeat = 0; repeat < 8; ++repeat) {
    std::mutex mutex;
    std::vector<int> order;
    std::vector<std::thread> threads;
    {
      const Result<CoreLock> first = CoreLock::Take(core.number, kGoOn);
      REQUIRE(first.ok());
      for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&, i] {
          const Result<CoreLock> mine = CoreLock::Take(core.number, kGoOn);
          const std::lock_guard<std::mutex> lock(mutex);
          order.push_back(mine.ok() ? i : -1);
        });
        core.AwaitWaiting(static_cast<size_t>(i) + 1);
      }
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(order == std::vector<int>{0, 1, 2, 3});
  }
}

TEST_CASE("a process that is killed while it waits, or while it times, is waited for no longer") {
  const NoSuchCore core;
  const auto take = [&] {
    const pid_t child = fork();
    if (child != 0) return child;
    const Result<CoreLock> mine = CoreLock::Take(core.number, kGoOn);
    for (;;) pause();
  };
  const auto kill_child = [](pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  };
  const pid_t holder = take();
  const std::atomic<bool> cancelled = true;
  while (CoreLock::Take(core.number, cancelled).ok()) std::this_thread::sleep_for(1ms);
  const pid_t waits = take();
  core.AwaitWaiting(1);
  kill_child(waits);
  CHECK(core.Waiting() == 1);  // its ticket is there, and nobody's
  kill_child(holder);
  CHECK(CoreLock::Take(core.number, kGoOn).ok());
  CHECK(core.Waiting() == 0);
}

TEST_CASE("who waits long is told for whom") {
  const NoSuchCore core;
  std::atomic<bool> cancelled = false;
  const Result<CoreLock> first = CoreLock::Take(core.number, kGoOn);
  REQUIRE(first.ok());
  std::string note;
  CHECK_FALSE(CoreLock::Take(core.number, cancelled, [&](const std::string& text) {
                note = text;
                cancelled = true;
              }).ok());
  CHECK(note.find("waiting for CPU " + std::to_string(core.number)) == 0);
  CHECK(note.find("process " + std::to_string(getpid()) + " has it") != std::string::npos);
}

TEST_CASE("a target names its core as last or by number") {
  CHECK(LastCpu("0-3,6") == 6);
  CHECK(LastCpu("0-15") == 15);
  CHECK(TimingCore("2-3").value() == 2);
  CHECK(TimingCore("last").value() >= 0);
  CHECK_FALSE(TimingCore("first").ok());
}

}  // namespace
}  // namespace kev
