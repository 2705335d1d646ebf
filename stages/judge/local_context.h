// A StageContext without an engine: blobs in memory, folders given by the caller.
//
// Threads: one job at a time; `cancelled` may be set from elsewhere. Errors: a blob that was never
// put is kNotFound; there is no history.
#ifndef KEV_STAGES_JUDGE_LOCAL_CONTEXT_H_
#define KEV_STAGES_JUDGE_LOCAL_CONTEXT_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "stages/sdk/stage.h"

namespace kev {

class LocalContext final : public StageContext {
 public:
  LocalContext(std::string scratch_root, std::string cache_folder,
               const std::atomic<bool>* cancelled);
  ~LocalContext() override;

  void SetRun(std::shared_ptr<const LoadedRun> run) { run_ = std::move(run); }
  BlobRef Put(std::string bytes);
  // An empty scratch folder and no attached blobs, as every attempt begins.
  Status NewAttempt();

  Result<std::string> Fetch(const BlobRef& ref) override;
  BlobRef Attach(std::string bytes) override { return Put(std::move(bytes)); }
  Result<std::shared_ptr<const LoadedRun>> Run() override { return run_; }
  Result<const RunCore*> History() override;
  const std::string& Scratch() override { return scratch_; }
  const std::string& CacheFolder() override { return cache_folder_; }
  const std::atomic<bool>& Cancelled() const override { return *cancelled_; }
  void Progress(double, const std::string& note) override {
    if (on_note && !note.empty()) on_note(note);
  }

  std::function<void(const std::string&)> on_note;  // what a job says to people while it goes on

 private:
  std::string scratch_root_, scratch_, cache_folder_;
  const std::atomic<bool>* cancelled_;
  std::map<std::string, std::string> blobs_;  // by digest
  std::shared_ptr<const LoadedRun> run_;
  uint64_t attempts_ = 0;
};

}  // namespace kev

#endif  // KEV_STAGES_JUDGE_LOCAL_CONTEXT_H_
