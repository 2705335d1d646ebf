// JobContext: the StageContext of one attempt, over what all attempts of a worker process share.
//
// Threads: one JobContext belongs to one slot thread; WorkerShared is used by all of them.
#ifndef KEV_STAGES_SDK_JOB_CONTEXT_H_
#define KEV_STAGES_SDK_JOB_CONTEXT_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "queue/worker_session.h"
#include "stages/sdk/blob_cache.h"
#include "stages/sdk/history_cache.h"
#include "stages/sdk/stage.h"

namespace kev {

class WorkerShared {
 public:
  WorkerShared(WorkerSession* session, const std::string& home, const std::string& program,
               bool keep_ended);
  ~WorkerShared();
  Result<std::string> Fetch(const BlobRef& ref);
  Result<std::shared_ptr<const LoadedRun>> Run(const BlobRef& context);
  WorkerSession* session() { return session_; }
  HistoryCache& history() { return history_; }
  const BlobCache& blobs() const { return blobs_; }
  const std::string& cache_folder() const { return cache_folder_; }
  std::string NewScratch(const std::string& label);

 private:
  WorkerSession* session_;
  BlobCache blobs_;
  HistoryCache history_;
  std::string cache_folder_;
  std::string scratch_root_;
  std::mutex mutex_;
  uint64_t scratches_ = 0;
  std::map<std::string, std::shared_ptr<const LoadedRun>> runs_;  // by the context's digest
};

class JobContext final : public StageContext {
 public:
  JobContext(WorkerShared* shared, const WorkItem* item) : shared_(shared), item_(item) {}
  ~JobContext() override;
  Result<std::string> Fetch(const BlobRef& ref) override;
  BlobRef Attach(std::string bytes) override;
  Result<std::shared_ptr<const LoadedRun>> Run() override {
    return shared_->Run(item_->job.context);
  }
  Result<const RunCore*> History() override;
  const std::string& Scratch() override;
  const std::string& CacheFolder() override { return shared_->cache_folder(); }
  const std::atomic<bool>& Cancelled() const override { return *item_->cancelled; }
  const std::atomic<bool>& Killed() const override { return *item_->kill; }
  void Progress(double fraction, const std::string& note) override {
    shared_->session()->Progress(item_->job, fraction, note);
  }

  std::vector<std::pair<BlobRef, std::string>> TakeAttached() { return std::move(attached_); }

 private:
  WorkerShared* shared_;
  const WorkItem* item_;
  std::string scratch_;
  std::shared_ptr<HistoryCache::Locked> history_;
  std::vector<std::pair<BlobRef, std::string>> attached_;
};

}  // namespace kev

#endif  // KEV_STAGES_SDK_JOB_CONTEXT_H_
