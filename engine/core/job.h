// Jobs and results as stages see them: the shapes that travel between the engine and a worker.
//
// A job is (candidate or request, step, foreach index); an attempt is a numbered right to do it.
// The shapes fit a CPU shared library and a CUDA cubin with a launch description alike: an Artefact
// says its kind and carries `launch`. Encode and …From give the form on the wire and in the event
// log. Threads: plain values.
#ifndef KEV_ENGINE_CORE_JOB_H_
#define KEV_ENGINE_CORE_JOB_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/core/packed.h"
#include "engine/core/result.h"
#include "engine/core/value.h"

namespace kev {

// What happened to a kernel. Slow is a result, not a verdict; what stops the runner itself is a
// Failure.
enum class Verdict {
  kOk,
  kNoCompile,
  kWrong,
  kNondeterministic,
  kCrashed,
  kTimeout,
  kResources,
  kCheated,
  kImpossible,
  kUnusable,
  kDuplicate,
  kPoison,
  kCancelled,
};
const char* Name(Verdict verdict);
std::optional<Verdict> VerdictFrom(std::string_view name);

// What a job belongs to. Candidates are written c1, c2, … in commit order; requests (select's and
// propose's jobs) r1, …; prepared things of the task (reference, baselines) p1, ….
enum class SubjectKind : uint8_t { kCandidate, kRequest, kPrepared };
struct Subject {
  SubjectKind kind = SubjectKind::kCandidate;
  uint32_t number = 0;
  auto operator<=>(const Subject&) const = default;
};
std::string Name(Subject subject);  // "c12", "r3", "p1"
std::optional<Subject> SubjectFrom(std::string_view name);

// JobKey::index counts the branches of a foreach from 0; those of closing measurements (claims)
// begin here.
inline constexpr uint16_t kFirstClaim = 0x8000;

struct JobKey {
  Subject subject;
  uint16_t step = 0;   // index into Plan::steps
  uint16_t index = 0;  // branch of a foreach, or kFirstClaim and above
  bool claim() const { return index >= kFirstClaim; }
  auto operator<=>(const JobKey&) const = default;
};
std::string IndexText(uint16_t index);  // "", "[2]", "[claim 1]"

// A blob by content. sha256 is 64 lower-case hexadecimal digits.
struct BlobRef {
  std::string sha256;
  uint64_t size = 0;  // bytes
  bool empty() const { return sha256.empty(); }
  bool operator==(const BlobRef&) const = default;
};

// Something that can be run or compared: what compile gives and what verify and profile take.
struct Artefact {
  std::string role;  // candidate, incumbent, rival, baseline, reference
  std::string name;  // "c12", or the baseline's name
  std::string kind;  // shared_library, cubin, …
  BlobRef blob;
  Value launch;  // map: symbol; code: digest of the code alone, 64 hexadecimal digits, where known;
                 // libraries: names of those that its step linked;
                 // for devices the launch description (grid, block, shared bytes, …)
  bool operator==(const Artefact&) const = default;
};

// A candidate as a worker sees it.
struct CandidateView {
  Subject id;
  std::string name;    // "c12"; for prepared things the baseline's name, or "reference"
  std::string origin;  // step that proposed it; "prepare" for prepared things
  std::vector<Subject> parents;
  std::string variant;  // template it was made from, "" when written whole
  Value parameters;     // map name -> value
  BlobRef source;
  std::string source_name;  // file name with the suffix that says the language
  Value facts;              // map step -> map fact -> value, of the steps it has passed
};

// A wish of select: let `step` propose `count` candidates.
struct Request {
  std::string step;
  uint32_t count = 1;
  std::vector<Subject> parents;
  Value hints;
};

// A new candidate, as a propose stage gives it.
struct Proposal {
  std::string variant;
  Value parameters;  // map name -> value
  BlobRef source;    // whole source text, parameters already written into it
  std::string source_name;
  std::vector<Subject> parents;
  std::string note;  // one line: why
};

struct Job {
  std::string run;
  JobKey key;
  uint32_t attempt = 1;
  std::string label;   // "c12/build#1", for messages, file names and random streams
  std::string step;    // step id in the workflow
  std::string stage;   // "compile", "propose/tune", …
  Value settings;      // the step's `with`
  BlobRef context;     // the run's bundle: workflow, task and target files (configs/bundle.h)
  std::string target;  // target's name
  uint64_t seed = 0;
  uint64_t history_seq = 0;       // stateful stages: fold the log up to here
  uint32_t running_limit_ms = 0;  // 0 = none
  std::optional<CandidateView> candidate;
  std::vector<Artefact> artefacts;  // candidate first, then incumbent, rivals, baselines, reference
  std::optional<Request> request;   // propose: what to propose
  Value item;                       // foreach: what this branch is for
  Value places;                     // select: map step -> free places (int)
  Value secret;  // verify and profile only: what propose and select must never see
};

struct Usage {
  int64_t tokens_in = 0;
  int64_t tokens_out = 0;
  double usd = 0;
  double device_ms = 0;  // time for which the device was held
  double wall_ms = 0;    // time the worker spent on the job
};

// Why an attempt ended without a verdict: something other than the kernel failed. Retried.
enum class FailureClass { kInfrastructure, kRateLimited, kDiskFull, kProviderMissing, kTaskBroken };
const char* Name(FailureClass failure);
std::optional<FailureClass> FailureClassFrom(std::string_view name);
struct Failure {
  FailureClass failure = FailureClass::kInfrastructure;
  std::string message;
};

struct JobResult {
  std::optional<Failure> failure;  // set: nothing below but message, usage and blobs counts
  Verdict verdict = Verdict::kOk;
  std::string message;  // one line for people: the first compile error, where it was wrong, …
  Value facts;          // map; only the fields that the stage's contract declares
  Usage usage;
  bool cached = false;
  std::vector<Artefact> artefacts;       // compile's output
  std::map<std::string, BlobRef> blobs;  // stdout, stderr, samples, prompt, answer, …
  std::vector<Proposal> proposals;       // propose's output
  std::vector<Request> requests;         // select's output
  bool exhausted = false;                // propose: nothing new can come from this step any more
};

// Canonical msgpack bytes, appended.
void Encode(const BlobRef&, std::string* out);
void Encode(const Artefact&, std::string* out);
void Encode(const CandidateView&, std::string* out);
void Encode(const Request&, std::string* out);
void Encode(const Proposal&, std::string* out);
void Encode(const Job&, std::string* out);
void Encode(const JobResult&, std::string* out);
// kCorrupt when a part that must be there is missing or cannot be.
Result<BlobRef> BlobRefFrom(const PackedView&);
Result<Artefact> ArtefactFrom(const PackedView&);
Result<Proposal> ProposalFrom(const PackedView&);
Result<Job> JobFrom(const PackedView&);
Result<JobResult> JobResultFrom(const PackedView&);
// The same as a Value, for people and tools.
Value ToValue(const BlobRef&);
Value ToValue(const Artefact&);
Value ToValue(const Job&);
Value ToValue(const JobResult&);

}  // namespace kev

#endif  // KEV_ENGINE_CORE_JOB_H_
