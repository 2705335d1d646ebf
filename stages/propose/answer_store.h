// Answers that were paid for, kept as files by key, so that a retry of a job never pays twice.
//
// Threads and processes: any number at a time; a file is written whole, synced, and renamed.
// Errors: Load gives nothing; Store says why it could not keep an answer.
#ifndef KEV_STAGES_PROPOSE_ANSWER_STORE_H_
#define KEV_STAGES_PROPOSE_ANSWER_STORE_H_

#include <optional>
#include <string>
#include <vector>

#include "engine/core/result.h"

namespace kev {

struct KeptAnswer {
  std::string prompt;                // that it answers: a retry may see a longer history
  std::vector<std::string> parents;  // "c12"
  std::string reply;                 // the provider's whole reply
};

class AnswerStore {
 public:
  explicit AnswerStore(std::string folder) : folder_(std::move(folder)) {}
  std::optional<KeptAnswer> Load(const std::string& key) const;
  Status Store(const std::string& key, const KeptAnswer& answer) const;

 private:
  std::string folder_;
};

}  // namespace kev

#endif  // KEV_STAGES_PROPOSE_ANSWER_STORE_H_
