#include "tools/live/run_archive.h"

#include <filesystem>
#include <iostream>

#include "queue/codec.h"
#include "tools/live/engine_folder.h"
#include "tools/live/named_blobs.h"
#include "tools/live/run_log.h"
#include "tools/live/stored_blobs.h"

namespace kev {

namespace fs = std::filesystem;

namespace {

// `last`: of the entry before.
Status NameBlobs(const LogEntry& entry, uint64_t* last, std::map<std::string, BlobRef>* blobs) {
  auto group = DecodeGroup(entry.body, entry.digest);
  if (!group) return group.error();
  if (group->first_seq != *last + 1 || group->last_seq() != entry.last_seq) {
    return Error{Code::kCorrupt, "event " + std::to_string(*last + 1) +
                                     " must follow in the log, and an entry has events " +
                                     std::to_string(group->first_seq) + " to " +
                                     std::to_string(group->last_seq())};
  }
  *last = entry.last_seq;
  ForEachNamedBlob(*group, [&](const BlobRef& ref) { (*blobs)[ref.sha256] = ref; });
  return {};
}

}  // namespace

Result<std::map<std::string, BlobRef>> BlobsNamedBy(const std::vector<LogEntry>& log) {
  std::map<std::string, BlobRef> blobs;
  uint64_t last = 0;
  for (const LogEntry& entry : log) {
    if (Status s = NameBlobs(entry, &last, &blobs); !s.ok()) return s.error();
  }
  return blobs;
}

EachEntry EntriesOf(const std::vector<LogEntry>& log) {
  return [&log](const std::function<Status(LogEntry)>& each) {
    for (const LogEntry& entry : log) {
      if (Status s = each(entry); !s.ok()) return s;
    }
    return Status();
  };
}

Status WriteArchive(const std::string& path, const std::string& run, const Value& about,
                    const EachEntry& each_entry, const ReadBlob& read_blob) {
  auto writer = ArchiveWriter::Create(path);
  if (!writer) return writer.error();
  Value header;
  header.Set("run", run);
  header.Set("format", "kevrun");
  header.Set("about", about);
  header.Set("decision_version", kDecisionVersion);
  if (Status s = (*writer)->AddHeader(header); !s.ok()) return s;
  // One pass over a log that may be long: entries are written as they come.
  std::map<std::string, BlobRef> blobs;
  uint64_t last = 0;
  const Status added = each_entry([&](LogEntry entry) {
    if (Status s = NameBlobs(entry, &last, &blobs); !s.ok()) return s;
    return (*writer)->AddLog(entry);
  });
  if (!added.ok()) return added;
  for (const auto& [sha, ref] : blobs) {
    auto bytes = read_blob(sha);
    if (!bytes) {
      if (bytes.error().code == Code::kNotFound)
        continue;  // damaged, or cut off with the file that the run was read from
      return bytes.error();
    }
    if (Status s = (*writer)->AddBlob(ref, *bytes); !s.ok()) return s;
  }
  return (*writer)->Finish();
}

Closing ClosingOf(const RunCore& core, const RunFolder& folder) {
  Closing closing{folder, core.about(), {}, "", core.last_seq()};
  if (!core.best()) return closing;
  const Candidate& c = core.candidates()[core.best()->candidate.number - 1];
  closing.best = c.view.source;
  closing.best_file =
      folder.Best() + "/" + core.plan().task + fs::path(c.view.source_name).extension().string();
  return closing;
}

Status SaveBest(RedisStore& store, const Closing& closing) {
  if (closing.best.empty()) return {};
  const auto engine = EngineOf(closing.folder);
  if (!engine) return engine.error();
  auto source = StoredBlobs(&store, *engine).Read(closing.best.sha256);
  if (!source) return source.error();
  std::error_code error;
  fs::create_directories(closing.folder.Best(), error);
  return WriteFile(closing.best_file, *source);
}

Status PutStoreAway(StoreKeeper& store, const RunFolder& folder) {
  Status status;
  if (!store.own()) {
    auto admin = store.Admin();
    status = admin ? (*admin)->DropRun(folder.id) : Status(admin.error());
  }
  const Status closed = store.Close();
  if (!closed.ok()) status = closed;
  const EngineFolder engine{folder.path};
  std::error_code ignored;
  fs::remove_all(engine.Redis(), ignored);
  fs::remove(engine.Blobs(), ignored);
  fs::remove(engine.Blobs() + ".index", ignored);
  fs::remove(engine.Socket(), ignored);
  fs::remove(folder.Log(), ignored);  // the archive has it
  // There is no store any more that could be the wrong one.
  fs::remove(engine.StoreName(), ignored);
  fs::remove(folder.Epoch(), ignored);
  fs::remove(folder.Confirmed(), ignored);
  fs::remove(folder.Archive() + ".before", ignored);  // of a run that went on after its end
  return status;
}

Status ArchiveFrom(RedisStore& store, const Closing& closing) {
  const RunFolder& folder = closing.folder;
  const auto engine = EngineOf(folder);
  if (!engine) return engine.error();
  StoredBlobs blobs(&store, *engine);
  size_t without = 0;
  std::string first;
  const Status s = WriteArchive(
      folder.Archive(), folder.id, closing.about,
      [&](const std::function<Status(LogEntry)>& each) {
        uint64_t last = 0;
        const Status all = ForEachEntry(folder.id, folder.Log(), store, [&](LogEntry entry) {
          last = entry.last_seq;
          return each(std::move(entry));
        });
        if (!all.ok() || last == closing.last_seq) return all;
        return Status(Error{Code::kCorrupt, "the log in the store ends at event " +
                                                std::to_string(last) + ", not at event " +
                                                std::to_string(closing.last_seq)});
      },
      [&](const std::string& sha256) {
        auto bytes = blobs.Read(sha256);
        if (!bytes &&
            (bytes.error().code == Code::kCorrupt || bytes.error().code == Code::kNotFound)) {
          if (without++ == 0) first = bytes.error().message;
          bytes = Error{Code::kNotFound, bytes.error().message};
        }
        return bytes;
      });
  if (s.ok() && without > 0) {
    std::cerr << "kevolve: warning: the archive of run " << folder.id << " is without " << without
              << " blob(s) that its log names: " << first << std::endl;
  }
  return s;
}

}  // namespace kev
