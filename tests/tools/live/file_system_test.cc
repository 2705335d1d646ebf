#include "tools/live/file_system.h"

#include <doctest/doctest.h>

#include "tests/queue/scratch_folder.h"

using namespace kev;

TEST_CASE("sizes are read with their units, and what is none is refused") {
  CHECK(BytesFrom("64M") == 64ull << 20);
  CHECK(BytesFrom("1.5G") == 3ull << 29);
  CHECK(BytesFrom("2GiB") == 2ull << 30);
  CHECK(BytesFrom("0") == 0);
  CHECK(BytesFrom("800000") == 800000);
  for (const char* text : {"", "M", "-1", "12X", "1 M", "lots", "5MB5", "nan"})
    CHECK_FALSE(BytesFrom(text).has_value());
}

TEST_CASE("file systems of other machines are known by their magic number, local ones are not") {
  CHECK(NetworkFileSystemOf(0x6969) == "NFS");
  CHECK(NetworkFileSystemOf(0x0BD00BD0) == "Lustre");
  CHECK(NetworkFileSystemOf(0xFFFFFFFFFF534D42ull) == "CIFS");  // f_type is signed: extended
  CHECK_FALSE(NetworkFileSystemOf(0xEF53).has_value());         // ext4
  CHECK_FALSE(NetworkFileSystemOf(0x01021994).has_value());     // tmpfs
}

TEST_CASE("a small file is there as a whole, or an error says why not") {
  ScratchFolder folder;
  CHECK(WriteDurably(folder / "epoch", "7\n").ok());
  CHECK(WriteDurably(folder / "epoch", "8\n").ok());
  CHECK(FolderBytes(folder / "") == 2);
  const Status missing = WriteDurably(folder / "none/epoch", "7\n");
  REQUIRE_FALSE(missing.ok());
  CHECK(missing.error().message.find("none/epoch") != std::string::npos);
}
