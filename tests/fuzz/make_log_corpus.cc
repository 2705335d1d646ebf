// Writes the beginnings of fuzz_log's corpus: whole logs, snapshots and files of random runs.
// Needed again when a form changes: ninja -C build make_log_corpus && build/tests/make_log_corpus
// tests/fuzz/corpus/log
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "queue/archive.h"
#include "queue/archive_record.h"
#include "queue/blob_id.h"
#include "queue/log_file.h"
#include "tests/engine/support/random_run.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

std::string Part(std::string_view bytes) {
  std::string part;
  archive::PutLittle(bytes.size(), 2, &part);
  return part + std::string(bytes);
}

LogEntry EntryOf(const EventGroup& group) {
  LogEntry entry;
  entry.last_seq = group.last_seq();
  Encode(group, &entry.body);
  entry.digest = group.digest.Hex();
  entry.what = "for people";
  return entry;
}

std::string Content(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void Keep(const std::string& folder, const std::string& name, const std::string& bytes) {
  std::ofstream(folder + "/" + name, std::ios::binary) << bytes;
}

// A log, and a snapshot in its middle with what follows.
void MakeLog(const std::string& folder, uint64_t seed) {
  testing::RandomRun run(seed);
  std::string log = "l", tail;
  for (int turn = 0; turn < 40; ++turn) {
    if (turn != 0) run.Turn();
    std::string body;
    Encode(run.group(), &body);
    if (log.size() + body.size() > 6000) break;
    log += Part(body);
    if (turn == 12) tail = "s" + Part(run.core().Snapshot());
    if (turn > 12) tail += Part(body);
  }
  Keep(folder, "log-" + std::to_string(seed), log);
  if (!tail.empty() && tail.size() < 16000) Keep(folder, "snapshot-" + std::to_string(seed), tail);
}

// An archive and a log file as they are written, whole and cut off.
void MakeFiles(const std::string& folder) {
  const std::string path = folder + "/being-made";
  testing::RandomRun run(3);
  Value header;
  header.Set("run", "fuzz");
  auto writer = ArchiveWriter::Create(path);
  (void)(*writer)->AddHeader(header);
  (void)(*writer)->AddLog(EntryOf(run.group()));
  (void)(*writer)->AddBlob(RefOf("blob"), "blob");
  (void)(*writer)->AddSnapshot(run.core().last_seq(), run.core().Snapshot());
  (void)(*writer)->Finish();
  const std::string archive = Content(path);
  fs::remove(path);
  auto log = LogFile::Open(path, header);
  for (int i = 0; i < 3; ++i, run.Turn()) {
    (void)(*log)->Append(EntryOf(run.group()));
    (void)(*log)->Sync();
  }
  const std::string file = Content(path);
  fs::remove(path);
  Keep(folder, "archive", "f" + archive);
  Keep(folder, "archive-cut", "f" + archive.substr(0, archive.size() - 25));
  Keep(folder, "log-file", "f" + file);
  Keep(folder, "log-file-cut", "f" + file.substr(0, file.size() - 7));
}

void MakeRecords(const std::string& folder) {
  testing::RandomRun run(5);
  Value header;
  header.Set("run", "fuzz");
  const std::string sha256 = RefOf("blob").sha256;
  Value footer;
  footer.Set("log").Append(12);
  footer.Set("blobs").Set(sha256, Value(Value::List{41, 4}));
  footer.Set("snapshots").Append(Value(Value::List{1, 50}));
  std::string seq;
  archive::PutLittle(run.core().last_seq(), 8, &seq);
  const std::string records = "r\x01" + Part(EncodeCanonical(header)) + "\x02" +
                              Part(archive::PackEntries({EntryOf(run.group())})) + "\x03" +
                              Part(sha256 + "blob") + "\x05" + Part(seq + run.core().Snapshot());
  Keep(folder, "records", records);
  Keep(folder, "records-footer", records + "\x04" + Part(EncodeCanonical(footer)));
}

}  // namespace
}  // namespace kev

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  const std::string folder = argv[1];
  std::filesystem::create_directories(folder);
  for (const uint64_t seed : {1, 2, 3, 4, 5, 7, 11, 13, 17, 23}) kev::MakeLog(folder, seed);
  kev::MakeFiles(folder);
  kev::MakeRecords(folder);
  return 0;
}
