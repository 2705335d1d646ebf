#include "tools/live/run_service.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "queue/blob_id.h"
#include "tools/live/file_system.h"
#include "tools/live/machine.h"

namespace kev {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int64_t kRetryCloseMs = 5000;
constexpr int64_t kRetryFleetMs = 30000;
constexpr int64_t kRetryTakeUpMs = 2000;
constexpr int64_t kLookForRunsMs = 5000;
constexpr int64_t kIdleMs = 30000;  // after that the stage processes are let go
constexpr size_t kMostKey = 200;

// The file in a run's folder that says what it was submitted as: key, digest, weight.
std::string SubmissionPath(const RunFolder& folder) { return folder.path + "/submission"; }

struct SubmissionFile {
  std::string key, digest;
  double weight = 1;
};
SubmissionFile ReadSubmission(const RunFolder& folder) {
  SubmissionFile file;
  std::ifstream in(SubmissionPath(folder));
  std::getline(in, file.key);
  std::getline(in, file.digest);
  in >> file.weight;
  return file;
}

// What must be the same for two submissions with one key; `about` may differ (it has the time).
std::string DigestOf(const Value& plan, double weight) {
  Value v;
  v.Set("plan", plan);
  v.Set("weight", weight);
  return Sha256Hex(EncodeCanonical(v));
}

Status CheckBlobs(const Plan& plan, const std::vector<std::pair<BlobRef, std::string>>& blobs) {
  for (const auto& [ref, bytes] : blobs) {
    if (Sha256Hex(bytes) != ref.sha256)
      return Error{Code::kCorrupt, "blob " + ref.sha256 + " has other content than its name says"};
  }
  const auto there = [&](const BlobRef& ref) {
    return ref.empty() || std::any_of(blobs.begin(), blobs.end(),
                                      [&](const auto& b) { return b.first.sha256 == ref.sha256; });
  };
  bool all = there(plan.context);
  for (const Prepared& prepared : plan.prepared) all = all && there(prepared.source);
  if (all) return {};
  return Error{Code::kInvalid, "the submission lacks a blob that its plan names"};
}

}  // namespace

RunService::RunService(EngineService* engine, EngineCalls* calls) : engine_(engine), calls_(calls) {
  calls_->on_submit = [this](SessionId session, ClientCall& call) { Submit(session, call); };
  calls_->find_ended = [this](const std::string& run) { return FolderOf(run); };
  engine_->on_fleet_failure = [this](const Error& error) {
    fleet_failed_ = true;
    Say(error.message + ". It is tried again in half a minute; mend what its log says");
  };
}
RunService::~RunService() = default;

Result<RunFolder> RunService::FolderOf(const std::string& run) const {
  auto folder = FindRunFolder(run);
  if (!folder) return folder;
  const auto engine = EngineOf(*folder);
  if (!engine) return engine.error();
  if (engine->path != engine_->options().folder.path) {
    return Error{Code::kNotFound,
                 "run " + run + " is not of this engine (" + engine_->options().what + ")"};
  }
  return folder;
}

void RunService::TakeUpUnfinished() {
  std::error_code error;
  swept_ = false;
  for (const std::string& id : RunIds()) {
    const auto folder = FolderOf(id);
    if (!folder) continue;
    const SubmissionFile file = ReadSubmission(*folder);
    if (!file.key.empty()) submissions_[file.key] = {id, file.digest};
    if (fs::exists(folder->Archive(), error)) {
      PutAway(*folder);
    } else if (const Status s = TakeUp(*folder); !s.ok()) {
      Say("run " + id + " is not taken up: " + s.error().message);
      untaken_.emplace(id, std::pair(*folder, s.error()));
    }
  }
}

void RunService::PutAway(const RunFolder& folder) {
  std::error_code ignored;
  if (!fs::exists(folder.Epoch(), ignored)) return;
  auto admin = engine_->store().Admin();
  const Status dropped = admin ? (*admin)->DropRun(folder.id) : Status(admin.error());
  if (!dropped.ok()) return Say("run " + folder.id + ": " + dropped.error().message);
  fs::remove(folder.Log(), ignored);
  fs::remove(folder.Confirmed(), ignored);
  fs::remove(folder.Epoch(), ignored);
}

// Somebody who reads a run has its lock for a moment.
void RunService::RetryUntaken(int64_t now_ms) {
  if (untaken_.empty() || now_ms < next_retry_ms_) return;
  next_retry_ms_ = now_ms + kRetryTakeUpMs;
  for (auto it = untaken_.begin(); it != untaken_.end();) {
    auto& [folder, why] = it->second;
    std::error_code ignored;
    const bool gone = !fs::exists(folder.path, ignored);
    if (!gone && why.code != Code::kExists) {
      ++it;
      continue;
    }
    const Status s = gone ? Status() : TakeUp(folder);
    if (s.ok()) {
      it = untaken_.erase(it);
      continue;
    }
    if (s.error().message != why.message)
      Say("run " + folder.id + " is not taken up: " + s.error().message);
    why = s.error();
    ++it;
  }
}

Status RunService::TakeUp(const RunFolder& folder) {
  auto run = engine_->Load(folder);
  if (!run) return run.error();
  const SubmissionFile file = ReadSubmission(folder);
  if ((*run)->core->phase() == Phase::kNew) {  // nothing was committed, and nobody was answered
    submissions_.erase(file.key);
    engine_->Forget(**run);
    std::error_code ignored;
    fs::remove_all(folder.path, ignored);
    return {};
  }
  (*run)->submission = file.key;
  (*run)->weight = file.weight;
  (*run)->processes = ProcessesFor((*run)->core->plan(), engine_->options().cores.others.size());
  const uint64_t last_seq = (*run)->core->last_seq();
  const Status s = engine_->Drive(**run, {});
  if ((*run)->hosted == nullptr) {
    engine_->Forget(**run);
    return s;
  }
  Say("run " + folder.id + " is taken up after event " + std::to_string(last_seq));
  if (!s.ok()) Say(s.error().message);
  return {};
}

void RunService::Submit(SessionId session, ClientCall& call) {
  const auto answer = [&](Status status, Value v = Value()) {
    engine_->host()->Reply(session, {call.id, std::move(status), std::move(v)});
  };
  const Value& arguments = call.arguments;
  const std::string& key = arguments["key"].AsString();
  const double weight = arguments["weight"].AsDouble(1);
  if (key.empty() || key.size() > kMostKey || key.find('\n') != std::string::npos)
    return answer(Error{Code::kInvalid, "a key is one line of 1 to 200 bytes"});
  if (!(weight > 0) || weight > 1e6)
    return answer(Error{Code::kInvalid, "weight must be above 0 (1 is usual), at most 1e6"});
  Result<Plan> plan = PlanFrom(arguments["plan"]);
  if (!plan) return answer(plan.error());
  const std::string digest = DigestOf(arguments["plan"], weight);
  auto known = submissions_.find(key);
  // Its run was removed, and the key with it.
  if (known != submissions_.end() && !waiters_.contains(known->second.run) &&
      engine_->Find(known->second.run) == nullptr && !FolderOf(known->second.run)) {
    submissions_.erase(known);
    known = submissions_.end();
  }
  if (known != submissions_.end()) {
    if (known->second.digest != digest) {
      return answer(Error{Code::kInvalid,
                          "key '" + key + "' was used for another submission (run " +
                              known->second.run + "): take another key, or leave --key away"});
    }
    if (const auto waiting = waiters_.find(known->second.run); waiting != waiters_.end()) {
      waiting->second.emplace_back(session, call.id);
      return;
    }
    Value v;
    v.Set("run", known->second.run);
    v.Set("known", true);
    return answer(Status(), std::move(v));
  }
  if (Status s = CheckBlobs(*plan, call.blobs); !s.ok()) return answer(s);
  if (engine_->disk_low() || engine_->host()->store_lost()) {
    return answer(Error{Code::kUnavailable, engine_->disk_low()
                                                ? "the engine's disk is nearly full; try later"
                                                : "the engine's store is away; try later"});
  }
  auto run =
      Begin(key, digest, weight, std::move(*plan), arguments["about"], std::move(call.blobs));
  if (!run) return answer(run.error());
  waiters_[(*run)->folder.id].emplace_back(session, call.id);
}

Result<ServedRun*> RunService::Begin(const std::string& key, const std::string& digest,
                                     double weight, Plan plan, Value about,
                                     std::vector<std::pair<BlobRef, std::string>> blobs) {
  auto folder = CreateRunFolder(NewRunId(plan.task));
  if (!folder) return folder.error();
  const auto undo = [&](const Error& error) {
    std::error_code ignored;
    fs::remove_all(folder->path, ignored);
    return error;
  };
  Status noted = AssignTo(*folder, engine_->options().folder);
  if (noted.ok()) {
    noted = WriteDurably(SubmissionPath(*folder),
                         key + "\n" + digest + "\n" + std::to_string(weight) + "\n");
  }
  if (!noted.ok()) return undo(noted.error());
  auto run = engine_->Load(*folder);
  if (!run) return undo(run.error());
  ServedRun& served = **run;
  served.submission = key;
  served.weight = weight;
  served.processes = ProcessesFor(plan, engine_->options().cores.others.size());
  submissions_[key] = {folder->id, digest};
  Beginning beginning;
  beginning.blobs = std::move(blobs);
  const bool automatic = plan.in_flight == 0;
  beginning.events.push_back(RunSubmitted{std::move(plan), std::move(about)});
  if (automatic) beginning.events.push_back(InFlightSet{AutoInFlight(served.processes)});
  const Status driven = engine_->Drive(served, beginning);
  if (served.hosted == nullptr) {
    submissions_.erase(key);
    engine_->Forget(served);
    return undo(driven.error());
  }
  // Stage processes that cannot be started are told and tried again; others may join.
  if (!driven.ok()) Say(driven.error().message);
  swept_ = false;
  Say("run " + folder->id + " was submitted");
  return &served;
}

void RunService::Committed(const ServedRun& run) {
  const auto waiting = waiters_.find(run.folder.id);
  if (waiting == waiters_.end()) return;
  for (const auto& [session, call] : waiting->second) {
    Value v;
    v.Set("run", run.folder.id);
    v.Set("known", false);
    engine_->host()->Reply(session, {call, Status(), std::move(v)});
  }
  waiters_.erase(waiting);
}

void RunService::Turn(int64_t now_ms) {
  CloseEnded();
  ReapClosers(now_ms);
  RetryUntaken(now_ms);
  SweepStore(now_ms);
  LookAfterFleet(now_ms);
}

void RunService::CloseEnded() {
  for (const auto& [id, run] : engine_->runs()) {
    if (run->hosted == nullptr) continue;
    if (run->failure) {
      Say("run " + id + " cannot go on here: " + run->failure->message);
      engine_->Stop(*run);
    } else if (run->hosted->Ended()) {
      Say("run " + id + " has ended: " + run->core->ended()->status + ", stopped by " +
          run->core->ended()->stopped_by +
          (run->core->ended()->message.empty() ? "" : ": " + run->core->ended()->message));
      engine_->Stop(*run);
      closers_[id] = std::make_unique<RunCloser>(ClosingOf(*run->core, run->folder),
                                                 engine_->store().address());
    }
  }
}

void RunService::ReapClosers(int64_t now_ms) {
  for (auto it = closers_.begin(); it != closers_.end();) {
    RunCloser& closer = *it->second;
    ServedRun* run = engine_->Find(it->first);
    if (!closer.Done() || now_ms < closer.retry_at_ms) {
      ++it;
      continue;
    }
    Status status = closer.status();
    const bool archived = status.ok();
    if (archived) {
      auto admin = engine_->store().Admin();
      status = admin ? (*admin)->DropRun(it->first) : Status(admin.error());
    }
    if (status.ok()) {
      std::error_code ignored;
      fs::remove(run->folder.Log(), ignored);  // the archive has it
      fs::remove(run->folder.Confirmed(), ignored);
      fs::remove(run->folder.Epoch(), ignored);  // there is no store any more that it speaks of
      engine_->Forget(*run);
      it = closers_.erase(it);
    } else if (archived || closer.retry_at_ms == 0) {
      if (closer.retry_at_ms == 0) {
        Say("run " + it->first + " cannot be put away: " + status.error().message +
            "; it is tried again");
      }
      closer.retry_at_ms = now_ms + kRetryCloseMs;
      ++it;
    } else {
      it->second = std::make_unique<RunCloser>(ClosingOf(*run->core, run->folder),
                                               engine_->store().address());
      ++it;
    }
  }
}

// Runs that could not be taken up are not in runs().
bool RunService::AllPutAway() const {
  std::error_code error;
  for (const std::string& id : RunIds()) {
    const auto folder = FolderOf(id);
    if (!folder && folder.error().code == Code::kNotFound) continue;  // of another engine
    if (!folder || !fs::exists(folder->Archive(), error)) return false;
  }
  return true;
}

// Blobs are shared among runs, so they go when no run is left that could name one. Those of an
// external store stay: other engines may use it.
void RunService::SweepStore(int64_t now_ms) {
  if (swept_ || !engine_->runs().empty() || !engine_->store().own() || !engine_->store().Good() ||
      now_ms < next_sweep_ms_)
    return;
  next_sweep_ms_ = now_ms + kLookForRunsMs;
  if (!AllPutAway()) return;
  auto admin = engine_->store().Admin();
  if (!admin || !(*admin)->DropBlobs().ok()) return;
  if (BlobFile* moved = engine_->moved_blobs(); moved != nullptr && !moved->Clear().ok()) return;
  if (engine_->store().Renew(*engine_->host()).ok()) swept_ = true;
}

void RunService::LookAfterFleet(int64_t now_ms) {
  if (!engine_->options().start_workers) return;
  if (!engine_->runs().empty()) {
    idle_since_ms_ = 0;
    if (!fleet_failed_) return;
    if (fleet_tried_ms_ == 0) fleet_tried_ms_ = now_ms;
    if (now_ms - fleet_tried_ms_ < kRetryFleetMs) return;
    fleet_tried_ms_ = 0;
    fleet_failed_ = false;
    for (const auto& [id, run] : engine_->runs()) {
      if (run->hosted == nullptr) continue;
      if (const Status s = engine_->fleet().Want(run->processes); !s.ok()) fleet_failed_ = true;
    }
    return;
  }
  if (idle_since_ms_ == 0) idle_since_ms_ = now_ms;
  if (now_ms - idle_since_ms_ > kIdleMs && engine_->fleet().Running() > 0)
    engine_->fleet().Stop(milliseconds(1000));
}

}  // namespace kev
