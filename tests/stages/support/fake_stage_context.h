// A StageContext for tests: blobs in memory, temporary scratch and cache folders, a run and a
// history that the test sets.
//
// Threads: one test at a time; `cancelled` may be set from another thread.
// Errors: what was not set or put is Code::kNotFound.
#ifndef KEV_TESTS_STAGES_SUPPORT_FAKE_STAGE_CONTEXT_H_
#define KEV_TESTS_STAGES_SUPPORT_FAKE_STAGE_CONTEXT_H_

#include <stdlib.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "queue/blob_id.h"
#include "stages/sdk/stage.h"

namespace kev {

class FakeStageContext : public StageContext {
 public:
  FakeStageContext() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kev-test-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    cache_ = root_ + "/cache/stage";  // <home>/cache/<stage>, as a worker has it
    std::filesystem::create_directories(cache_);
    NewAttempt();
  }
  ~FakeStageContext() override {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

  // What the test sets.
  void SetRun(LoadedRun run) { run_ = std::make_shared<const LoadedRun>(std::move(run)); }
  void SetHistory(const RunCore* history) { history_ = history; }
  // A blob that the engine already has.
  BlobRef Put(std::string bytes) {
    BlobRef ref = RefOf(bytes);
    blobs_[ref.sha256] = std::move(bytes);
    return ref;
  }
  // An empty scratch folder, as every attempt gets one; the cache stays.
  void NewAttempt() {
    scratch_ = root_ + "/scratch-" + std::to_string(++attempts_);
    std::filesystem::create_directories(scratch_);
  }
  std::atomic<bool> cancelled{false};

  // What the stage did.
  const std::map<std::string, std::string>& attached() const { return attached_; }

  Result<std::string> Fetch(const BlobRef& ref) override {
    auto found = blobs_.find(ref.sha256);
    if (found == blobs_.end()) return Error{Code::kNotFound, "no blob " + ref.sha256};
    return found->second;
  }
  BlobRef Attach(std::string bytes) override {
    BlobRef ref = Put(bytes);
    attached_[ref.sha256] = std::move(bytes);
    return ref;
  }
  Result<std::shared_ptr<const LoadedRun>> Run() override {
    if (!run_) return Error{Code::kNotFound, "the test set no run"};
    return run_;
  }
  Result<const RunCore*> History() override {
    if (history_ == nullptr) return Error{Code::kNotFound, "the test set no history"};
    return history_;
  }
  const std::string& Scratch() override { return scratch_; }
  const std::string& CacheFolder() override { return cache_; }
  const std::atomic<bool>& Cancelled() const override { return cancelled; }

 private:
  std::string root_, scratch_, cache_;
  int attempts_ = 0;
  std::map<std::string, std::string> blobs_, attached_;  // by digest
  std::shared_ptr<const LoadedRun> run_;
  const RunCore* history_ = nullptr;
};

}  // namespace kev

#endif  // KEV_TESTS_STAGES_SUPPORT_FAKE_STAGE_CONTEXT_H_
