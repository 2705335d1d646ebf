// kevolve-null: the null stages, all of them or one.
//
// Options of its own, before those of every stage program: --only STAGE; --record FILE notes there
// what it did (work_record.h); --job-time MS makes each job take up to so long.
// KEVOLVE_NULL_OPTIONS holds such options for the workers that an engine starts by itself.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "engine/core/random.h"
#include "stages/null/null_stage.h"
#include "stages/null/work_record.h"

namespace {

struct NullOptions {
  std::string only;
  std::optional<kev::WorkRecord> record;
  uint64_t job_time_ms = 0;
};

// Takes the leading options that are this program's own out of `words`.
kev::Status TakeOptions(std::vector<std::string>* words, NullOptions* out) {
  while (words->size() >= 2) {
    const std::string name = (*words)[0], value = (*words)[1];
    if (name == "--only") {
      out->only = value;
    } else if (name == "--record") {
      kev::Result<kev::WorkRecord> record = kev::WorkRecord::Open(value);
      if (!record) return record.error();
      out->record = *record;
    } else if (name == "--job-time") {
      const char* end = value.data() + value.size();
      const auto [at, error] = std::from_chars(value.data(), end, out->job_time_ms);
      if (error != std::errc() || at != end || out->job_time_ms > 600000) {
        return kev::Error{kev::Code::kInvalid,
                          "--job-time " + value + ": milliseconds from 0 to 600000 are needed"};
      }
    } else {
      break;
    }
    words->erase(words->begin(), words->begin() + 2);
  }
  return {};
}

// Between nothing and `most_ms`, by the attempt.
std::chrono::microseconds TimeOf(const kev::Job& job, uint64_t most_ms) {
  kev::CounterRandom random(job.seed, job.label);
  return std::chrono::microseconds(random.Below(most_ms * 1000 + 1));
}

}  // namespace

int main(int argc, char** argv) {
  NullOptions options;
  std::vector<std::string> words(argv + 1, argv + argc);
  std::vector<std::string> inherited;
  if (const char* text = std::getenv("KEVOLVE_NULL_OPTIONS")) {
    std::istringstream in(text);
    for (std::string word; in >> word;) inherited.push_back(word);
  }
  for (auto* from : {&inherited, &words}) {
    if (const kev::Status s = TakeOptions(from, &options); !s.ok()) {
      std::fprintf(stderr, "kevolve-null: %s\n", s.error().message.c_str());
      return 2;
    }
  }
  if (!inherited.empty()) {
    std::fprintf(stderr,
                 "kevolve-null: KEVOLVE_NULL_OPTIONS: '%s' is none of --only STAGE, "
                 "--record FILE, --job-time MS\n",
                 inherited.front().c_str());
    return 2;
  }

  const auto handler_of = [&options](std::string_view stage) -> kev::StageHandler {
    if (!options.only.empty() && stage != options.only) return nullptr;
    kev::StageHandler handler = kev::NullHandler(stage);
    if (!handler || (!options.record && options.job_time_ms == 0)) return handler;
    return [&options, handler](const kev::Job& job, kev::StageContext& context) {
      if (options.job_time_ms != 0) std::this_thread::sleep_for(TimeOf(job, options.job_time_ms));
      kev::JobResult result = handler(job, context);
      if (options.record) options.record->Done(job, &result);
      return result;
    };
  };
  kev::StageProgram program{.program = "null", .handler = handler_of, .keep_ended = false};
  if (options.record) {
    program.on_settled = [&options](const kev::SettledAttempt& attempt) {
      options.record->Settled(attempt);
    };
  }
  words.insert(words.begin(), argv[0]);
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  return kev::RunStage(static_cast<int>(pointers.size()), pointers.data(), program);
}
