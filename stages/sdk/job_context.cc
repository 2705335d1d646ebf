#include "stages/sdk/job_context.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "queue/blob_id.h"
#include "queue/codec.h"

namespace kev {

namespace fs = std::filesystem;

namespace {
constexpr size_t kLeastCached = 256;  // bytes
}  // namespace

WorkerShared::WorkerShared(WorkerSession* session, const std::string& home,
                           const std::string& program, bool keep_ended)
    : session_(session),
      blobs_(home + "/cache/blobs"),
      history_([session](const std::string& run, uint64_t from,
                         uint64_t to) { return session->FetchHistory(run, from, to); },
               keep_ended),
      cache_folder_(home + "/cache/" + program),
      scratch_root_(home + "/scratch/" + program + "-" + std::to_string(getpid())) {
  std::error_code ec;
  fs::create_directories(cache_folder_, ec);
}

WorkerShared::~WorkerShared() {
  std::error_code ec;
  fs::remove_all(scratch_root_, ec);
}

Result<std::string> WorkerShared::Fetch(const BlobRef& ref) {
  if (std::optional<std::string> bytes = blobs_.Get(ref.sha256)) return std::move(*bytes);
  Result<std::string> bytes = session_->FetchBlob(ref);
  if (bytes) blobs_.Put(ref, *bytes);
  return bytes;
}

Result<std::shared_ptr<const LoadedRun>> WorkerShared::Run(const BlobRef& context) {
  std::lock_guard lock(mutex_);  // held while loading: the other slots want the same run
  auto& slot = runs_[context.sha256];
  if (slot) return slot;
  Result<std::string> bytes = Fetch(context);
  if (!bytes) return bytes.error();
  Result<Value> bundle = Decode(*bytes);
  if (!bundle) return bundle.error();
  Result<LoadedRun> run = OpenBundle(*bundle);
  if (!run) return run.error();
  slot = std::make_shared<const LoadedRun>(std::move(*run));
  return slot;
}

std::string WorkerShared::NewScratch(const std::string& label) {
  std::string name = label;
  std::replace_if(name.begin(), name.end(), [](char c) { return c == '/' || c == '#'; }, '-');
  std::string path;
  {
    std::lock_guard lock(mutex_);
    path = scratch_root_ + "/" + name + "-" + std::to_string(++scratches_);
  }
  std::error_code ec;
  fs::create_directories(path, ec);
  return path;
}

JobContext::~JobContext() {
  std::error_code ec;
  if (!scratch_.empty()) fs::remove_all(scratch_, ec);
}

Result<std::string> JobContext::Fetch(const BlobRef& ref) {
  for (const auto& [own, bytes] : attached_) {
    if (own.sha256 == ref.sha256) return bytes;
  }
  return shared_->Fetch(ref);
}

BlobRef JobContext::Attach(std::string bytes) {
  BlobRef ref = RefOf(bytes);
  const bool known = std::any_of(attached_.begin(), attached_.end(),
                                 [&](const auto& own) { return own.first.sha256 == ref.sha256; });
  if (known) return ref;
  // The next stage on this host finds it there. What is small is asked for sooner than written.
  if (bytes.size() >= kLeastCached) shared_->blobs().Put(ref, bytes);
  attached_.emplace_back(ref, std::move(bytes));
  return ref;
}

Result<const RunCore*> JobContext::History() {
  if (!history_) {
    Result<std::shared_ptr<HistoryCache::Locked>> locked =
        shared_->history().At(item_->job.run, item_->job.history_seq);
    if (!locked) return locked.error();
    history_ = std::move(*locked);
  }
  return history_->core();
}

const std::string& JobContext::Scratch() {
  if (scratch_.empty()) scratch_ = shared_->NewScratch(item_->job.label);
  return scratch_;
}

}  // namespace kev
