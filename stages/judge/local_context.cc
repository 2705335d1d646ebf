#include "stages/judge/local_context.h"

#include <filesystem>
#include <utility>

#include "queue/blob_id.h"

namespace kev {
namespace {

namespace fs = std::filesystem;
const std::atomic<bool> kNever{false};

}  // namespace

LocalContext::LocalContext(std::string scratch_root, std::string cache_folder,
                           const std::atomic<bool>* cancelled)
    : scratch_root_(std::move(scratch_root)),
      cache_folder_(std::move(cache_folder)),
      cancelled_(cancelled != nullptr ? cancelled : &kNever) {}

LocalContext::~LocalContext() {
  std::error_code ignored;
  if (!scratch_.empty()) fs::remove_all(scratch_, ignored);
}

BlobRef LocalContext::Put(std::string bytes) {
  BlobRef ref = RefOf(bytes);
  blobs_[ref.sha256] = std::move(bytes);
  return ref;
}

Status LocalContext::NewAttempt() {
  std::error_code error;
  if (!scratch_.empty()) fs::remove_all(scratch_, error);
  scratch_ = scratch_root_ + "/attempt-" + std::to_string(++attempts_);
  fs::create_directories(scratch_, error);
  if (error) return Error{Code::kPermission, "cannot make " + scratch_ + ": " + error.message()};
  return {};
}

Result<std::string> LocalContext::Fetch(const BlobRef& ref) {
  const auto found = blobs_.find(ref.sha256);
  if (found == blobs_.end()) return Error{Code::kNotFound, "there is no blob " + ref.sha256};
  return found->second;
}

Result<const RunCore*> LocalContext::History() {
  return Error{Code::kNotFound, "a kernel that is judged alone has no history"};
}

}  // namespace kev
