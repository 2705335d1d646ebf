#include "queue/archive.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/core/random.h"
#include "queue/blob_id.h"
#include "tests/queue/scratch_folder.h"

using namespace kev;

namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void WriteAll(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}
const std::string kBlob = "a kernel, more or less";

void WriteSmall(const std::string& path) {
  Result<std::unique_ptr<ArchiveWriter>> writer = ArchiveWriter::Create(path);
  REQUIRE(writer.ok());
  REQUIRE((*writer)->AddHeader(Value::Map{{"run", "R"}}).ok());
  REQUIRE((*writer)->AddLog({3, "body one", "d1", "submitted"}).ok());
  REQUIRE((*writer)->AddBlob(RefOf(kBlob), kBlob).ok());
  REQUIRE((*writer)->AddBlob(RefOf(kBlob), kBlob).ok());  // twice: kept once
  REQUIRE((*writer)->AddLog({7, "body two", "d2", "result"}).ok());
  CHECK_FALSE(std::filesystem::exists(path));  // nothing under the final name before it is whole
  REQUIRE((*writer)->Finish().ok());
  CHECK_FALSE(std::filesystem::exists(path + ".part"));
}

}  // namespace

TEST_CASE("an archive gives back header, log and blobs") {
  ScratchFolder folder;
  const std::string path = folder / "r.kevrun";
  WriteSmall(path);
  Result<std::unique_ptr<ArchiveReader>> reader = ArchiveReader::Open(path);
  REQUIRE(reader.ok());
  CHECK((*reader)->Header()["run"].AsString() == "R");
  CHECK_FALSE((*reader)->CutTail());
  REQUIRE((*reader)->Log().size() == 2);
  CHECK((*reader)->Log()[0].body == "body one");
  CHECK((*reader)->Log()[1].last_seq == 7);
  CHECK((*reader)->Log()[1].digest == "d2");
  CHECK((*reader)->Log()[1].what == "result");
  CHECK(*(*reader)->Blob(RefOf(kBlob).sha256) == kBlob);
  CHECK((*reader)->Blob(std::string(64, '0')).error().code == Code::kNotFound);
}

TEST_CASE(
    "an archive cut anywhere is read up to its last whole record, or refused when not even the "
    "header is whole") {
  ScratchFolder folder;
  const std::string path = folder / "r.kevrun", cut = folder / "cut.kevrun";
  WriteSmall(path);
  const std::string whole = ReadAll(path);
  size_t logs_before = 0;
  for (size_t n = 0; n < whole.size(); ++n) {
    WriteAll(cut, whole.substr(0, n));
    Result<std::unique_ptr<ArchiveReader>> reader = ArchiveReader::Open(cut);
    if (!reader) {
      CHECK(reader.error().code == Code::kCorrupt);
      CHECK(logs_before == 0);  // once readable, more bytes never make it less readable
      continue;
    }
    CHECK((*reader)->CutTail());
    CHECK((*reader)->Log().size() >= logs_before);
    logs_before = (*reader)->Log().size();
  }
  CHECK(logs_before == 2);
}

TEST_CASE("of a short run's log, too, a cut takes only the end") {
  ScratchFolder folder;
  const std::string path = folder / "r.kevrun";
  CounterRandom random(1, "bodies");
  Result<std::unique_ptr<ArchiveWriter>> writer = ArchiveWriter::Create(path);
  REQUIRE(writer.ok());
  REQUIRE((*writer)->AddHeader(Value::Map{{"run", "R"}}).ok());
  for (uint64_t seq = 1; seq <= 200; ++seq) {
    std::string body(1000, 'x');
    for (char& c : body) c = static_cast<char>(random.Below(256));
    REQUIRE((*writer)->AddLog({seq, body, "d", "result"}).ok());
  }
  REQUIRE((*writer)->Finish().ok());
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  Result<std::unique_ptr<ArchiveReader>> reader = ArchiveReader::Open(path);
  REQUIRE(reader.ok());
  CHECK((*reader)->CutTail());
  CHECK((*reader)->Log().size() >= 60);
}

TEST_CASE("a flipped byte anywhere is noticed") {
  ScratchFolder folder;
  const std::string path = folder / "r.kevrun", bad = folder / "bad.kevrun";
  WriteSmall(path);
  const std::string whole = ReadAll(path);
  for (size_t n = 0; n < whole.size(); ++n) {
    std::string bytes = whole;
    bytes[n] = static_cast<char>(bytes[n] ^ 0x20);
    WriteAll(bad, bytes);
    Result<std::unique_ptr<ArchiveReader>> reader = ArchiveReader::Open(bad);
    const bool noticed =
        !reader || (*reader)->CutTail() || !(*reader)->Blob(RefOf(kBlob).sha256).ok();
    CHECK_MESSAGE(noticed, "byte " << n);
  }
}

TEST_CASE("an archive that cannot be made or found says so") {
  CHECK(ArchiveWriter::Create("/nonexistent/folder/r.kevrun")
            .error()
            .message.find("/nonexistent/folder") != std::string::npos);
  CHECK(ArchiveReader::Open("/nonexistent/r.kevrun").error().code == Code::kNotFound);
}
