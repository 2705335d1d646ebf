#include "queue/log_file.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/queue/scratch_folder.h"

namespace kev {
namespace {

LogEntry EntryOf(uint64_t seq) {
  return {seq, "body of " + std::to_string(seq) + std::string(seq % 7 * 1000, 'x'),
          std::string(32, 'a'), "what " + std::to_string(seq)};
}

std::vector<uint64_t> SeqsIn(LogFile& file, uint64_t from, uint64_t to) {
  std::vector<uint64_t> seqs;
  const Status s = file.ForEach(from, to, [&](LogEntry entry) {
    CHECK(entry.body == EntryOf(entry.last_seq).body);
    CHECK(entry.what == EntryOf(entry.last_seq).what);
    seqs.push_back(entry.last_seq);
    return Status();
  });
  CHECK(s.ok());
  return seqs;
}

std::unique_ptr<LogFile> Opened(const std::string& path) {
  auto file = LogFile::Open(path, Value(Value::Map{{"run", Value("R")}}));
  REQUIRE(file.ok());
  return std::move(*file);
}

TEST_CASE("what was appended is read back, in parts, also by another one and as an archive") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/log.kevrun";
  auto file = Opened(path);
  CHECK(file->last_seq() == 0);
  // Entries of several events: 3, 6, 9, …
  for (uint64_t seq = 3; seq <= 3000; seq += 3) REQUIRE(file->Append(EntryOf(seq)).ok());
  CHECK(file->last_seq() == 3000);
  CHECK(SeqsIn(*file, 1, 7) == std::vector<uint64_t>{3, 6, 9});
  CHECK(SeqsIn(*file, 4, 6) == std::vector<uint64_t>{6});
  CHECK(SeqsIn(*file, 2999, 5000) == std::vector<uint64_t>{3000});
  CHECK(SeqsIn(*file, 1, UINT64_MAX).size() == 1000);
  REQUIRE(file->Sync().ok());
  auto reader = LogFile::Read(path);
  REQUIRE(reader.ok());
  CHECK(SeqsIn(**reader, 1, UINT64_MAX).size() == 1000);
  auto archive = ArchiveReader::Open(path);
  REQUIRE(archive.ok());
  CHECK((*archive)->CutTail());
  CHECK((*archive)->Log().size() == 1000);
  CHECK((*archive)->Header()["run"].AsString() == "R");
  file.reset();
  file = Opened(path);
  CHECK(file->last_seq() == 3000);
  REQUIRE(file->Append(EntryOf(3003)).ok());
  CHECK(SeqsIn(*file, 3000, 3003) == std::vector<uint64_t>{3000, 3003});
}

TEST_CASE("a file that was cut anywhere keeps whole records and goes on") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/log.kevrun";
  {
    auto file = Opened(path);
    for (uint64_t seq = 1; seq <= 40; ++seq) {
      REQUIRE(file->Append(EntryOf(seq)).ok());
      if (seq % 10 == 0) REQUIRE(file->Sync().ok());
    }
  }
  std::ifstream in(path, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  size_t kept_some = 0;
  for (size_t size = 0; size <= whole.size(); size += size < 200 ? 1 : 37) {
    CAPTURE(size);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << whole.substr(0, size);
    // Who reads it beside its writer may meet it at any length, its first lines included.
    const auto looked = LogFile::Read(path);
    REQUIRE_MESSAGE(looked.ok(), (looked.ok() ? "" : looked.error().message));
    CHECK((*looked)->last_seq() % 10 == 0);
    auto file = LogFile::Open(path, Value(Value::Map{{"run", Value("R")}}));
    REQUIRE(file.ok());
    const uint64_t last = (*file)->last_seq();
    CHECK((*looked)->last_seq() == last);
    CHECK(last % 10 == 0);
    kept_some += last > 0;
    CHECK(SeqsIn(**file, 1, UINT64_MAX).size() == last);
    REQUIRE((*file)->Append(EntryOf(last + 1)).ok());
    REQUIRE((*file)->Sync().ok());
    auto again = LogFile::Read(path);
    REQUIRE(again.ok());
    CHECK((*again)->last_seq() == last + 1);
  }
  CHECK(kept_some > 10);
}

TEST_CASE("damage in the middle is an error that names the byte; what is no log file is refused") {
  const ScratchFolder folder;
  const std::string path = folder.path() + "/log.kevrun";
  {
    auto file = Opened(path);
    for (uint64_t seq = 1; seq <= 20; ++seq) {
      REQUIRE(file->Append(EntryOf(seq)).ok());
      REQUIRE(file->Sync().ok());
    }
  }
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(std::filesystem::file_size(path) / 2));
  file.put('\x7f');
  file.close();
  const auto damaged = LogFile::Read(path);
  if (damaged.ok()) {  // the byte was the same, or the length was hit and cuts the rest off
    CHECK((*damaged)->last_seq() < 20);
  } else {
    CHECK(damaged.error().code == Code::kCorrupt);
    CHECK(damaged.error().message.find("at byte") != std::string::npos);
  }
  std::ofstream(folder.path() + "/other") << "this is not a log file at all, but long enough";
  CHECK(LogFile::Read(folder.path() + "/other").error().code == Code::kCorrupt);
  CHECK(LogFile::Read(folder.path() + "/none").error().code == Code::kNotFound);
}

}  // namespace
}  // namespace kev
