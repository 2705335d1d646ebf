// FakeStore: a store in memory that checks epoch and sequence as the real one does, and that can be
// told to wait, to fail and to lose answers.
//
// What is submitted takes effect at once and in order, as on a server; only the answers are held
// back. The contents outlive a Host, so a test can start a second engine on them. Threads: one at a
// time. Errors: as scripted.
#ifndef KEV_ENGINE_HOST_FAKE_FAKE_STORE_H_
#define KEV_ENGINE_HOST_FAKE_FAKE_STORE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/host/store.h"

namespace kev {

class FakeStore : public Store {
 public:
  struct Entry {  // of a run's log
    uint64_t first_seq = 0;
    uint64_t last_seq = 0;
    std::string body;
    std::string digest;
    std::string what;
  };

  // Answers wait until Release; without Hold they come with the next Poll.
  void Hold() { holding_ = true; }
  void Release(size_t answers);  // the oldest ones
  void ReleaseAll();             // and hold no longer

  // The next commit is not stored and is answered with `code`.
  void FailNext(Code code) { fail_next_ = code; }
  // The next commit is stored, but its answer is kUnavailable: the outcome is unknown to the
  // engine.
  void LoseNextAnswer() { lose_next_ = true; }
  // Somebody took the run over: commits of other epochs are refused with kConflict. 0: any epoch is
  // good.
  void SetEpoch(uint64_t epoch) { epoch_ = epoch; }
  // The connection was lost: no answer to what was submitted will come.
  void ForgetAnswers() { answers_.clear(), released_ = 0; }

  uint64_t Submit(std::shared_ptr<const Commit> commit) override;
  uint64_t ReadBlob(const std::string& sha256) override;
  uint64_t ReadLog(const std::string& run, uint64_t from_seq, uint64_t to_seq) override;
  uint64_t ReadEnd(const std::string& run) override;
  uint64_t Trim(const std::string& run, uint64_t seq,
                const std::vector<std::string>& blobs) override;
  std::vector<Completion> Poll() override;
  int Descriptor() const override { return -1; }
  bool WantsWrite() const override { return false; }

  const std::vector<Entry>& log(const std::string& run) const;
  // The newest `entries` of the log vanish, as they may with a server that does not sync each
  // write.
  void LoseTail(const std::string& run, size_t entries);
  const std::map<std::string, std::string>& blobs() const { return blobs_; }
  // Latest fields of a projection, by run and key; empty when it was never written.
  std::map<std::string, std::string> projection(const std::string& run,
                                                const std::string& key) const;
  size_t waiting() const { return answers_.size(); }  // answers not yet given
  size_t commits() const { return commits_; }         // submitted so far

 private:
  struct Run {
    std::vector<Entry> log;
    std::map<std::string, std::map<std::string, std::string>> projections;
  };
  Status Keep(const Commit& commit);
  uint64_t Answer(Status status, std::vector<std::string> data = {});

  std::map<std::string, Run> runs_;
  std::map<std::string, std::string> blobs_;
  std::deque<Completion> answers_;
  size_t released_ = 0;
  bool holding_ = false;
  std::optional<Code> fail_next_;
  bool lose_next_ = false;
  uint64_t epoch_ = 0;
  uint64_t tickets_ = 0;
  size_t commits_ = 0;
};

}  // namespace kev

#endif  // KEV_ENGINE_HOST_FAKE_FAKE_STORE_H_
