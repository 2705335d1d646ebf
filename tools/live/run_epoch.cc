#include "tools/live/run_epoch.h"

#include <filesystem>
#include <fstream>

#include "tools/live/file_system.h"

namespace kev {

Result<uint64_t> KnownEpoch(const RunFolder& folder) {
  std::error_code error;
  if (!std::filesystem::exists(folder.Epoch(), error)) return uint64_t{0};
  std::ifstream in(folder.Epoch());
  uint64_t epoch = 0;
  if (in >> epoch && epoch > 0) return epoch;
  return Error{Code::kCorrupt, folder.Epoch() +
                                   " must hold a number, and does not; look with `redis-cli GET "
                                   "kev:{" +
                                   folder.id + "}:epoch` which it was, and write that"};
}

Status CheckEpoch(RedisAdmin& admin, const RunFolder& folder, const std::string& address) {
  const Result<uint64_t> known = KnownEpoch(folder);
  if (!known) return known.error();
  if (*known == 0) return {};
  const Result<uint64_t> stored = admin.Epoch(folder.id);
  if (!stored) return stored.error();
  if (*stored != 0) return {};
  const Result<std::vector<std::string>> runs = admin.Runs();
  const Result<uint64_t> keys = admin.Keys();
  std::string there = keys && *keys == 0 ? "it is empty" : "it has nothing of this run";
  if (runs && !runs->empty()) {
    there += "; it has run " + runs->front();
    if (runs->size() > 1) there += " and " + std::to_string(runs->size() - 1) + " more";
  }
  return Error{Code::kConflict,
               "the store at " + address + " is not the one that run " + folder.id +
                   " was in: " + folder.Epoch() + " says that " + std::to_string(*known) +
                   " engine(s) have driven the run, so kev:{" + folder.id +
                   "}:epoch and its log must be there, and " + there +
                   ". Nothing was changed. Give the store its files back, or name the right store; "
                   "if the data is gone for good, `" +
                   CommandName() + " rm " + folder.id + "` removes what is left of the run"};
}

Result<uint64_t> TakeRunEpoch(RedisStore& store, RedisAdmin& admin, const RunFolder& folder,
                              const std::string& address) {
  if (Status s = CheckEpoch(admin, folder, address); !s.ok()) return s.error();
  const Result<uint64_t> known = KnownEpoch(folder);
  if (!known) return known.error();
  const Result<uint64_t> epoch = store.TakeEpoch(folder.id, *known);
  if (!epoch) return epoch.error();
  if (Status s = WriteDurably(folder.Epoch(), std::to_string(*epoch) + "\n"); !s.ok())
    return s.error();
  return *epoch;
}

}  // namespace kev
