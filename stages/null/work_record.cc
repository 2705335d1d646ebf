#include "stages/null/work_record.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

namespace kev {
namespace {

std::string NameOf(const std::string& run, const JobKey& key, uint32_t attempt) {
  return run + " " + Name(key.subject) + "/" + std::to_string(key.step) + "/" +
         std::to_string(key.index) + "#" + std::to_string(attempt);
}

// Not derived from the job: only who did the attempt can know it.
std::string NewNonce() {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(random()));
  return text;
}

}  // namespace

Result<WorkRecord> WorkRecord::Open(const std::string& path) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) {
    return Error{Code::kInvalid, "--record " + path +
                                     ": cannot be written: " + std::strerror(errno) +
                                     "; name a file in a folder that is there"};
  }
  return WorkRecord(file);
}

void WorkRecord::Done(const Job& job, JobResult* result) const {
  const std::string nonce = NewNonce();
  Append("done " + NameOf(job.run, job.key, job.attempt) + " " + nonce);
  result->message = "nonce " + nonce;
}

void WorkRecord::Settled(const SettledAttempt& attempt) const {
  Append((attempt.committed ? "acked " : "stale ") +
         NameOf(attempt.run, attempt.key, attempt.attempt));
}

void WorkRecord::Append(const std::string& line) const {
  const std::string text = line + "\n";
  ssize_t written = 0;
  do {
    written = write(file_, text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(text.size())) return;
  std::fprintf(stderr, "kevolve-null: the record cannot be written: %s\n",
               written < 0 ? std::strerror(errno) : "only a part of a line went in");
  std::_Exit(1);
}

}  // namespace kev
