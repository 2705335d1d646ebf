#include "tools/live/run_summary.h"

#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "queue/redis_admin.h"
#include "tools/live/home.h"
#include "tools/live/stored_run.h"

namespace kev {
namespace {

const char* Name(StoredRun::State state) {
  return state == StoredRun::State::kEnded  ? "ended"
         : state == StoredRun::State::kLive ? "live"
                                            : "interrupted";
}

using Json = nlohmann::json;

Value ValueOf(const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  return Value();
}

// What a summary needs of a record, which is JSON in the store. Nullopt: it is none.
std::optional<Value> RecordFrom(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  Value record = Value::Map();
  for (const auto& [name, value] : json.items()) {
    if (name == "claim" && value.is_object() && value.contains("speedup"))
      record.Set("claim").Set("speedup", ValueOf(value["speedup"]));
    else if (!value.is_structured())
      record.Set(name, ValueOf(value));
  }
  if (!record["candidates"].IsInt()) return std::nullopt;
  return record;
}

// `record`: RunCore::RunRecord.
Value SummaryFrom(const std::string& run, StoredRun::State state, const Value& record) {
  Value v;
  v.Set("run", run);
  v.Set("state", record.Has("status") ? record["status"].AsString() : std::string(Name(state)));
  if (!record.Has("status") && record["paused"].AsBool()) {
    v.Set("paused", true);
    if (state == StoredRun::State::kLive) v.Set("state", "paused");
  }
  for (const char* name : {"task", "workflow", "candidates", "evaluated", "started"})
    v.Set(name, record[name]);
  if (record.Has("best"))
    v.Set("speedup", record["claim"].IsMap() ? record["claim"]["speedup"] : record["best_speedup"]);
  return v;
}

// What tells an archive from one that was written later in its place; "" when there is none.
std::string Stamp(const std::string& archive) {
  struct stat status = {};
  if (stat(archive.c_str(), &status) != 0) return "";
  std::ostringstream text;
  text << status.st_size << " " << status.st_mtim.tv_sec << " " << status.st_mtim.tv_nsec << " "
       << status.st_ino;
  return text.str();
}

std::optional<Value> Noted(const std::string& path, const std::string& stamp) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  if (line != stamp) return std::nullopt;
  std::getline(file, line);
  return RecordFrom(line);
}

}  // namespace

Result<Value> SummaryOf(const std::string& id) {
  const auto folder = FindRunFolder(id);
  if (!folder) return folder.error();
  const std::string stamp = Stamp(folder->Archive());
  const std::string notes = folder->path + "/summary";
  if (!stamp.empty()) {
    if (auto noted = Noted(notes, stamp)) return std::move(*noted);
  } else {
    auto stored = StoredRun::OpenUnread(id);
    if (!stored) return stored.error();
    if (!(*stored)->store_address.empty()) {
      auto admin = RedisAdmin::Connect((*stored)->store_address);
      if (!admin) return admin.error();
      const auto fields = (*admin)->ReadProjection(id, "run");
      if (!fields) return fields.error();
      const auto text = fields->find("record");
      const auto record = text == fields->end() ? std::nullopt : RecordFrom(text->second);
      if (record) return SummaryFrom(id, (*stored)->state, *record);
    }
  }
  auto run = StoredRun::OpenLean(id);
  if (!run) return run.error();
  const Value summary = SummaryFrom(id, (*run)->state, (*run)->core->RunRecord());
  // A folder that cannot be written to is no reason not to answer.
  if (!stamp.empty()) (void)WriteFile(notes, stamp + "\n" + ToJson(summary) + "\n");
  return summary;
}

}  // namespace kev
