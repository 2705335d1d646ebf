#include "stages/propose/llm.h"

#include <algorithm>
#include <cstdlib>

#include "queue/blob_id.h"
#include "stages/propose/answer.h"
#include "stages/propose/answer_store.h"
#include "stages/propose/chat_client.h"
#include "stages/propose/prompt.h"
#include "stages/select/ranking.h"

namespace kev {
namespace {

constexpr size_t kMostFailures = 5;
constexpr size_t kExcerptBytes = 600;

struct Provider {
  std::string url;
  std::string model;
  std::string key;
};

JobResult Failed(FailureClass failure, std::string message) {
  JobResult result;
  result.failure = Failure{failure, message};
  result.message = std::move(message);
  return result;
}

JobResult Failed(const Error& error) {
  FailureClass failure = FailureClass::kInfrastructure;
  if (error.code == Code::kDiskFull) failure = FailureClass::kDiskFull;
  if (error.code == Code::kInvalid || error.code == Code::kCorrupt)
    failure = FailureClass::kTaskBroken;
  return Failed(failure, error.message);
}

std::string FromEnvironment(const std::string& name) {
  const char* value = name.empty() ? nullptr : std::getenv(name.c_str());
  return value != nullptr ? value : "";
}

// The step's setting, else the first of the environment variables that is set.
std::string Configured(const Value& setting, std::initializer_list<const char*> variables) {
  std::string value = setting.AsString();
  for (const char* variable : variables)
    if (value.empty()) value = FromEnvironment(variable);
  return value;
}

Result<Provider> ProviderOf(const Value& settings) {
  Provider provider;
  provider.url = Configured(settings["endpoint"], {"KEVOLVE_LLM_URL"});
  provider.model = Configured(settings["model"], {"KEVOLVE_LLM_MODEL"});
  std::string key_variable = settings["api_key_env"].AsString();
  if (key_variable.empty()) key_variable = "KEVOLVE_LLM_API_KEY";
  provider.key = FromEnvironment(key_variable);
  while (!provider.key.empty() && std::isspace(static_cast<unsigned char>(provider.key.back())))
    provider.key.pop_back();
  if (std::any_of(provider.key.begin(), provider.key.end(),
                  [](unsigned char c) { return c < 0x20; }))
    return Error{Code::kInvalid, "the key in " + key_variable + " holds control characters"};
  if (provider.url.empty() || provider.model.empty())
    return Error{Code::kInvalid,
                 "no model is configured: set KEVOLVE_LLM_URL (like http://127.0.0.1:8080/v1) and "
                 "KEVOLVE_LLM_MODEL, or endpoint and model in the step's `with`"};
  while (provider.url.back() == '/') provider.url.pop_back();
  provider.url += "/chat/completions";
  return provider;
}

// The parents select named, else the fastest candidate; without one, the task's reference stands
// for itself.
std::vector<PromptParent> ParentsFor(const Job& job, const RunCore& run, StageContext& context) {
  std::vector<Subject> subjects = job.request->parents;
  if (subjects.empty()) {
    std::vector<Ranked> ranked = RankCandidates(run);
    if (!ranked.empty()) subjects.push_back({SubjectKind::kCandidate, ranked.front().number});
  }
  std::vector<PromptParent> parents;
  for (Subject subject : subjects) {
    if (subject.kind != SubjectKind::kCandidate || subject.number < 1 ||
        subject.number > run.candidates().size())
      continue;
    const Candidate& candidate = run.candidates()[subject.number - 1];
    Result<std::string> source = context.Fetch(candidate.view.source);
    if (!source) continue;
    PromptParent parent{candidate.view.name, *source, candidate.view.parameters, Value(), ""};
    bool confirmed = false;
    if (const StepOutcome* profile = LatestProfile(candidate, run.plan(), &confirmed)) {
      parent.facts = profile->facts;
      if (const auto record = profile->blobs.find("profile"); record != profile->blobs.end())
        if (Result<std::string> text = context.Fetch(record->second)) parent.profile = *text;
    }
    parents.push_back(std::move(parent));
  }
  return parents;
}

std::string ExcerptOf(const Candidate& candidate, const Plan& plan, StageContext& context) {
  std::optional<uint16_t> step = plan.Find(candidate.ended_by);
  if (!step || *step >= candidate.steps.size()) return "";
  const auto& blobs = candidate.steps[*step].blobs;
  auto found = blobs.find("stderr");
  if (found == blobs.end()) return "";
  Result<std::string> text = context.Fetch(found->second);
  return text ? text->substr(0, kExcerptBytes) : "";
}

// The latest refused candidates; those a model wrote come before templates, which it cannot mend.
std::vector<PromptFailure> FailuresFor(const RunCore& run, StageContext& context) {
  std::vector<PromptFailure> failures;
  for (bool written_whole : {true, false}) {
    for (size_t i = run.candidates().size(); i-- > 0 && failures.size() < kMostFailures;) {
      const Candidate& candidate = run.candidates()[i];
      bool refused = candidate.ended && candidate.verdict != Verdict::kOk &&
                     candidate.verdict != Verdict::kDuplicate &&
                     candidate.verdict != Verdict::kCancelled;
      if (!refused || candidate.view.variant.empty() != written_whole) continue;
      failures.push_back({candidate.view.name, candidate.verdict, candidate.message,
                          candidate.verdict == Verdict::kNoCompile
                              ? ExcerptOf(candidate, run.plan(), context)
                              : ""});
    }
  }
  return failures;
}

JobResult Refused(const ChatReply& reply, const std::string& url) {
  std::string message = url + " answered HTTP " + std::to_string(reply.status);
  if (!reply.body.empty()) message += ": " + reply.body.substr(0, 200);
  std::replace(message.begin(), message.end(), '\n', ' ');
  if (reply.status == 429) return Failed(FailureClass::kRateLimited, message);
  bool passing = reply.status >= 500 || reply.status == 408 || reply.status == 425;
  if (passing) return Failed(FailureClass::kInfrastructure, message);
  return Failed(FailureClass::kProviderMissing, message + "; check endpoint, model and key");
}

std::chrono::milliseconds TimeoutOf(const Job& job) {
  if (job.running_limit_ms == 0) return ChatCall().timeout;
  uint32_t margin = std::clamp(job.running_limit_ms / 10, 1u, 2000u);
  return std::chrono::milliseconds(std::max(job.running_limit_ms - margin, 1u));
}

// What the model gave, as a proposal or as an unusable answer.
void Read(const ChatAnswer& answer, const std::vector<std::string>& parents, const Target& target,
          StageContext& context, JobResult* result) {
  std::optional<CodeBlock> block = FindCodeBlock(answer.text);
  if (!block) {
    result->verdict = Verdict::kUnusable;
    result->message = "no fenced code block in the answer";
    if (answer.cut_off) result->message += ", which was cut off at max_tokens; raise it";
    return;
  }
  bool cpp = block->language == "cpp" || block->language == "c++" || block->language == "cc" ||
             block->language == "cxx";
  Proposal proposal;
  proposal.parameters = Value(Value::Map{});
  proposal.source = context.Attach(block->text);
  proposal.source_name = cpp && target.languages.contains(".cc") ? "kernel.cc" : "kernel.c";
  for (const std::string& parent : parents)
    if (std::optional<Subject> subject = SubjectFrom(parent)) proposal.parents.push_back(*subject);
  proposal.note = FirstProse(answer.text);
  result->proposals.push_back(std::move(proposal));
}

const Target* TargetOf(const Job& job, const LoadedRun& run) {
  for (const Target& target : run.targets)
    if (target.name == job.target) return &target;
  return run.targets.empty() ? nullptr : &run.targets.front();
}

// A job has one answer. The prompt is not part of the key: a retry sees a longer history and would
// ask, and pay, anew.
std::string KeyOf(const Job& job, const Provider& provider) {
  Value key;
  key.Set("run", job.run);
  key.Set("context", job.context.sha256);
  key.Set("seed", job.seed);
  key.Set("job", Name(job.key.subject) + "/" + job.step);
  key.Set("url", provider.url);
  key.Set("model", provider.model);
  key.Set("settings", job.settings);
  return Sha256Hex("llm 1\n" + EncodeCanonical(key));
}

// Asks the model. Sets `*ended` when there is no answer.
std::optional<KeptAnswer> Ask(const Job& job, const Provider& provider, const Task& task,
                              const Target& target, const RunCore& run, StageContext& context,
                              JobResult* ended) {
  PromptInput input;
  input.task = &task;
  input.target = &target;
  const std::string& memory = job.settings["memory"].AsString();
  if (memory != "none") input.parents = ParentsFor(job, run, context);
  if (memory != "none" && memory != "parent") input.failures = FailuresFor(run, context);
  Result<Prompt> prompt = RenderPrompt(input);
  if (!prompt) {
    *ended = Failed(prompt.error());
    return std::nullopt;
  }
  const ChatMessage messages[] = {{"system", prompt->system}, {"user", prompt->user}};
  ChatCall call;
  call.url = provider.url;
  call.key = provider.key;
  call.timeout = TimeoutOf(job);
  call.body =
      ChatRequestBody(provider.model, messages, 2, job.settings["temperature"].AsDouble(0.8),
                      job.settings["max_tokens"].AsInt(8192));
  Result<ChatReply> reply = PostChat(call, context.Cancelled());
  if (context.Cancelled()) {
    ended->verdict = Verdict::kCancelled;
    ended->message = "cancelled while waiting for the model";
  } else if (!reply) {
    bool never = reply.error().code == Code::kInvalid;
    *ended = Failed(never ? FailureClass::kProviderMissing : FailureClass::kInfrastructure,
                    reply.error().message);
  } else if (reply->status < 200 || reply->status > 299) {
    *ended = Refused(*reply, call.url);
  } else {
    KeptAnswer kept{prompt->system + "\n\n" + prompt->user, {}, std::move(reply->body)};
    for (const PromptParent& parent : input.parents) kept.parents.push_back(parent.name);
    return kept;
  }
  return std::nullopt;
}

}  // namespace

JobResult HandleLlm(const Job& job, StageContext& context) {
  if (!job.request) return Failed(FailureClass::kTaskBroken, job.label + " came without a request");
  Result<Provider> provider = ProviderOf(job.settings);
  if (!provider) return Failed(FailureClass::kProviderMissing, provider.error().message);
  Result<std::shared_ptr<const LoadedRun>> loaded = context.Run();
  if (!loaded) return Failed(loaded.error());
  Result<const RunCore*> history = context.History();
  if (!history) return Failed(history.error());
  const Target* target = TargetOf(job, **loaded);
  if (target == nullptr) return Failed(FailureClass::kTaskBroken, "the run has no target");

  AnswerStore store(context.CacheFolder());
  const std::string key = KeyOf(job, *provider);
  JobResult result;
  std::optional<KeptAnswer> kept = store.Load(key);
  result.cached = kept.has_value();
  if (!kept) kept = Ask(job, *provider, (*loaded)->task, *target, **history, context, &result);
  if (!kept) return result;
  Result<ChatAnswer> answer = ParseReply(kept->reply);
  if (!answer)
    return Failed(FailureClass::kInfrastructure, provider->url + ": " + answer.error().message);
  // An answer that cannot be kept is still an answer: at worst a retry pays again.
  if (!result.cached) {
    [[maybe_unused]] Status stored = store.Store(key, *kept);
  }
  result.blobs["prompt"] = context.Attach(kept->prompt);
  result.blobs["answer"] = context.Attach(kept->reply);
  result.usage.tokens_in = answer->tokens_in;
  result.usage.tokens_out = answer->tokens_out;
  Read(*answer, kept->parents, *target, context, &result);
  return result;
}

}  // namespace kev
