#include "stages/compile/artefact_cache.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

#include "tests/stages/support/fake_stage_context.h"

namespace kev {

TEST_CASE("workers that write one key at the same time leave one whole entry") {
  FakeStageContext folders;
  ArtefactCache cache(folders.CacheFolder());
  CompiledOnce entry{true, 0.25, std::string(100'000, 'a'), "warning\n"};
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i)
    writers.emplace_back([&] {
      for (int k = 0; k < 20; ++k) {
        std::string key = ArtefactCache::KeyOf(std::to_string(k));
        CHECK(cache.Store(key, entry).ok());
        CHECK(cache.Load(key).has_value());
      }
    });
  for (std::thread& writer : writers) writer.join();
  auto entries = std::distance(std::filesystem::directory_iterator(folders.CacheFolder()), {});
  CHECK(entries == 20);
  std::optional<CompiledOnce> loaded = cache.Load(ArtefactCache::KeyOf("3"));
  REQUIRE(loaded);
  CHECK(loaded->compiled);
  CHECK(loaded->seconds == 0.25);
  CHECK(loaded->artefact == entry.artefact);
  CHECK(loaded->output == "warning\n");
}

TEST_CASE("a folder that cannot be written is said, and nothing is loaded") {
  ArtefactCache cache("/proc/no/such/folder");
  Status stored = cache.Store("k", CompiledOnce{});
  REQUIRE(!stored.ok());
  CHECK(stored.error().message.find("/proc/no/such/folder") != std::string::npos);
  CHECK_FALSE(cache.Load("k").has_value());
}

}  // namespace kev
