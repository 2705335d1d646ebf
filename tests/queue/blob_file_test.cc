#include "queue/blob_file.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "queue/blob_id.h"
#include "tests/queue/scratch_folder.h"

using namespace kev;
namespace fs = std::filesystem;

namespace {

std::string Text(int n) {
  return "blob " + std::to_string(n) + std::string(static_cast<size_t>(n % 50), 'x');
}
std::string NameOf(const std::string& text) { return RefOf(text).sha256; }

void Fill(BlobFile& file, int from, int to) {
  for (int n = from; n < to; ++n) REQUIRE(file.Append(NameOf(Text(n)), Text(n)).ok());
}

// How many of the first `count` are there, each as it was.
int Whole(const BlobFile& file, int count) {
  int there = 0;
  for (int n = 0; n < count; ++n) {
    const auto bytes = file.Get(NameOf(Text(n)));
    REQUIRE(bytes.ok());
    if (*bytes && **bytes == Text(n)) ++there;
  }
  return there;
}

std::unique_ptr<BlobFile> Opened(const std::string& path) {
  auto file = BlobFile::Open(path);
  REQUIRE_MESSAGE(file.ok(), (file ? "" : file.error().message));
  return std::move(*file);
}

}  // namespace

TEST_CASE("blobs are read back, before and after they are synced, and by others after it") {
  ScratchFolder folder;
  const std::string path = folder / "blobs";
  auto file = Opened(path);
  Fill(*file, 0, 1000);
  REQUIRE(file->Append(NameOf(""), "").ok());
  CHECK(file->size() == 1001);
  CHECK(Whole(*file, 1000) == 1000);
  CHECK_FALSE(file->Get(NameOf("none"))->has_value());
  CHECK((*BlobFile::Read(path))->size() == 0);
  REQUIRE(file->Sync().ok());
  Fill(*file, 500, 1500);  // half of them once more
  CHECK(file->size() == 1501);
  auto other = BlobFile::Read(path);
  REQUIRE(other.ok());
  CHECK(Whole(**other, 1500) == 1000);
  CHECK((*other)->Get(NameOf(""))->value().empty());
  REQUIRE(file->Sync().ok());
  CHECK(Whole(**BlobFile::Read(path), 1500) == 1500);
  REQUIRE(file->Clear().ok());
  CHECK(Whole(*file, 1500) == 0);
  Fill(*file, 7, 9);
  REQUIRE(file->Sync().ok());
  file.reset();
  CHECK(Whole(*Opened(path), 1500) == 2);
}

TEST_CASE("what was not synced when its engine died is dropped, and the rest is whole") {
  ScratchFolder folder;
  const std::string path = folder / "blobs";
  auto file = Opened(path);
  Fill(*file, 0, 100);
  REQUIRE(file->Sync().ok());
  const auto index = fs::file_size(path + ".index");
  Fill(*file, 100, 200);
  REQUIRE(file->Sync().ok());
  file.reset();
  int there = 100;
  SUBCASE("a torn index entry") { fs::resize_file(path + ".index", index + 51); }
  SUBCASE("an index entry of zeros") {
    fs::resize_file(path + ".index", index);
    fs::resize_file(path + ".index", index + 5200);
  }
  SUBCASE("bytes without an index entry") { fs::resize_file(path + ".index", index); }
  SUBCASE("an entry whose bytes are not there") {
    fs::resize_file(path, fs::file_size(path) - 1);
    there = 199;
  }
  CHECK(Whole(*Opened(path), 200) == there);
  auto again = Opened(path);
  Fill(*again, 0, 300);
  REQUIRE(again->Sync().ok());
  CHECK(Whole(*Opened(path), 300) == 300);
}

TEST_CASE("a damaged index costs the blobs whose entries are hit, and nothing else") {
  ScratchFolder folder;
  const std::string path = folder / "blobs";
  auto file = Opened(path);
  Fill(*file, 0, 100);
  REQUIRE(file->Sync().ok());
  file.reset();
  const auto data = fs::file_size(path);
  {
    std::fstream index(path + ".index", std::ios::in | std::ios::out | std::ios::binary);
    index.seekp(5 * 52 + 10);
    index.put('X');
    index.seekp(50 * 52 + 40);
    index.put('X');
  }
  CHECK(Whole(**BlobFile::Read(path), 100) == 98);
  file = Opened(path);
  CHECK(file->damaged() == 2);
  CHECK(Whole(*file, 100) == 98);
  CHECK(fs::file_size(path) == data);
  Fill(*file, 0, 200);
  REQUIRE(file->Sync().ok());
  CHECK(Whole(*Opened(path), 200) == 200);
}

TEST_CASE("a blob file without its index, or an index without its file, is refused unchanged") {
  ScratchFolder folder;
  const std::string path = folder / "blobs", index = path + ".index";
  Fill(*Opened(path), 0, 1);
  {
    auto file = Opened(path);
    Fill(*file, 0, 10);
    REQUIRE(file->Sync().ok());
  }
  std::string missing = index, other = path;
  SUBCASE("the index") {}
  SUBCASE("the file") { std::swap(missing, other); }
  fs::rename(missing, missing + ".away");
  const auto size = fs::file_size(other);
  const auto refused = BlobFile::Open(path);
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.error().code == Code::kCorrupt);
  CHECK(refused.error().message.find(missing + " is missing") != std::string::npos);
  CHECK(fs::file_size(other) == size);
  CHECK_FALSE(fs::exists(missing));
  fs::rename(missing + ".away", missing);
  CHECK(Whole(*Opened(path), 10) == 10);
}

TEST_CASE("a blob whose bytes have changed is damage, with its name and the file") {
  ScratchFolder folder;
  const std::string path = folder / "blobs";
  auto file = Opened(path);
  Fill(*file, 0, 3);
  REQUIRE(file->Sync().ok());
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).put('X');
  const auto bytes = file->Get(NameOf(Text(0)));
  REQUIRE_FALSE(bytes.ok());
  CHECK(bytes.error().code == Code::kCorrupt);
  CHECK(bytes.error().message.find(NameOf(Text(0))) != std::string::npos);
  CHECK(bytes.error().message.find(path) != std::string::npos);
  // Given again, it is whole again.
  Fill(*file, 0, 1);
  CHECK(*file->Get(NameOf(Text(0)))->value().c_str() == 'b');
  CHECK(BlobFile::Read(folder / "none").error().code == Code::kNotFound);
}
