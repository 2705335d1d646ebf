#include "stages/propose/llm.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/stages/propose/scripted_server.h"
#include "tests/stages/support/fake_stage_context.h"
#include "tests/stages/support/small_search.h"
#include "tests/stages/support/small_task.h"

namespace kev {
namespace {

constexpr char kKey[] = "sk-test-0123456789";
constexpr char kKeyVariable[] = "KEV_TEST_LLM_KEY";

std::string Completion(const std::string& content) {
  Value text(content);
  return R"({"id":"x","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant",)"
         R"("content":)" +
         ToJson(text) + R"(}}],"usage":{"prompt_tokens":321,"completion_tokens":45}})";
}

const std::string kAnswer = Completion(
    "Four rows at once hide the latency.\n\n```c\nvoid softmax(void) {}\n```\nGood luck.\n");

// A search in which write has been asked for one kernel.
struct Asked {
  explicit Asked(const std::string& endpoint) {
    setenv(kKeyVariable, kKey, 1);
    for (const char* name :
         {"http_proxy", "all_proxy", "ALL_PROXY", "KEVOLVE_LLM_URL", "KEVOLVE_LLM_MODEL"})
      unsetenv(name);
    context.SetRun(SmallRun());
    Value& settings = search.plan().steps[SmallSearch::kWrite].settings;
    settings.Set("endpoint", endpoint);
    settings.Set("model", "test-model");
    settings.Set("api_key_env", kKeyVariable);
    settings.Set("memory", "both");
    search.plan().shares = {{SmallSearch::kWrite, Share::Kind::kFill, 0}};
    search.plan().in_flight = 1;
    search.Begin();
    context.SetHistory(&search.core());
    NextJob();
  }
  // Answers select's job and takes the propose job that follows.
  void NextJob(std::vector<Subject> parents = {}) {
    JobResult wish = Wish("write", 1);
    wish.requests[0].parents = std::move(parents);
    Job pick = search.Next();
    REQUIRE(pick.stage == "select");
    search.Answer(pick, wish);
    job = search.Next();
  }
  // A candidate that came of the open job and ends with `result` at step `screen` or, if refused,
  // at `build`.
  void Candidate(const std::string& source, JobResult result) {
    JobResult proposal;
    proposal.proposals.emplace_back();
    proposal.proposals[0].source = context.Put(source);
    proposal.proposals[0].source_name = "kernel.c";
    search.Answer(job, proposal);
    Job build = search.Next();
    if (result.verdict == Verdict::kOk) {
      search.Answer(build, JobResult());
      build = search.Next();
    }
    search.Answer(build, std::move(result));
  }
  JobResult Handle() { return HandleLlm(job, context); }
  std::string Blob(const JobResult& result, const std::string& name) {
    return context.attached().at(result.blobs.at(name).sha256);
  }

  FakeStageContext context;
  SmallSearch search;
  Job job;
};

FailureClass FailureOf(const JobResult& result) {
  REQUIRE(result.failure);
  return result.failure->failure;
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a fenced block in the answer becomes a proposal, with tokens and blobs") {
  ScriptedServer server({{200, kAnswer, nullptr}});
  Asked asked(server.url());
  JobResult result = asked.Handle();
  REQUIRE_MESSAGE(!result.failure, result.message);
  CHECK(result.verdict == Verdict::kOk);
  REQUIRE(result.proposals.size() == 1);
  const Proposal& proposal = result.proposals[0];
  CHECK(asked.context.attached().at(proposal.source.sha256) == "void softmax(void) {}\n");
  CHECK(proposal.source_name == "kernel.c");
  CHECK(proposal.variant.empty());
  CHECK(proposal.note == "Four rows at once hide the latency.");
  CHECK(result.usage.tokens_in == 321);
  CHECK(result.usage.tokens_out == 45);
  CHECK(asked.Blob(result, "answer") == kAnswer);
  REQUIRE(server.requests().size() == 1);
  const std::string request = server.requests()[0];
  CHECK(request.rfind("POST /v1/chat/completions HTTP/1.1\r\n", 0) == 0);
  CHECK(Contains(request, std::string("Authorization: Bearer ") + kKey + "\r\n"));
  CHECK(Contains(request, "\"model\":\"test-model\""));
}

TEST_CASE("the prompt tells the task but nothing of held-out workloads") {
  ScriptedServer server({{200, kAnswer, nullptr}});
  Asked asked(server.url());
  std::string prompt = asked.Blob(asked.Handle(), "prompt");
  for (const char* part :
       {"Row-wise softmax", "void softmax(const float", "square: cols = 512, rows = 512, weight 2",
        "the clear reference", "rows in [1, 1024]", "cc -std=gnu11"})
    CHECK_MESSAGE(Contains(prompt, part), prompt);
  for (const char* part : {"odd_shape", "1013", "{{", "&lt;", "&amp;"})
    CHECK_FALSE_MESSAGE(Contains(prompt, part), prompt);
}

TEST_CASE("the prompt shows the parent, its measurements and the last failures") {
  ScriptedServer server({{200, kAnswer, nullptr}});
  Asked asked(server.url());
  JobResult measured = Measured(1.75);
  Value by_workload;
  by_workload.Set("square", 1.75);
  by_workload.Set("odd_shape", 9.5);
  measured.facts.Set("speedup_of", by_workload);
  measured.blobs["profile"] =
      asked.context.Put("{\"bottleneck\":\"latency\",\"hot_loop\":\"a<b\"}");
  asked.Candidate("int first = a < b && c;\n", measured);
  asked.NextJob();
  asked.Candidate("int second;\n", RefusedWith(Verdict::kNoCompile, "kernel.c:1: error: no such"));
  asked.NextJob();
  asked.Candidate("int third;\n", RefusedWith(Verdict::kWrong, "odd_shape: y[3] is 0.5, not 0.25"));
  asked.NextJob({{SubjectKind::kCandidate, 1}});
  JobResult result = asked.Handle();
  std::string prompt = asked.Blob(result, "prompt");
  for (const char* part : {"int first = a < b && c;", "speedup 1.75", "speedup_of of square 1.75",
                           "Why it is as slow as it is", "\"hot_loop\":\"a<b\"}",
                           "c2: no_compile: kernel.c:1: error: no such", "c3: wrong: on a shape"})
    CHECK_MESSAGE(Contains(prompt, part), prompt);
  for (const char* part : {"odd_shape", "9.5", "0.25"})
    CHECK_FALSE_MESSAGE(Contains(prompt, part), prompt);
  CHECK(result.proposals[0].parents == std::vector<Subject>{{SubjectKind::kCandidate, 1}});
}

TEST_CASE("memory none keeps the run out of the prompt") {
  ScriptedServer server({{200, kAnswer, nullptr}});
  Asked asked(server.url());
  asked.Candidate("int first;\n", Measured(1.75));
  asked.NextJob();
  asked.job.settings.Set("memory", "none");
  CHECK_FALSE(Contains(asked.Blob(asked.Handle(), "prompt"), "int first;"));
}

TEST_CASE("a busy provider is rate-limited; the retry succeeds") {
  ScriptedServer server({{429, "slow down", nullptr}, {200, kAnswer, nullptr}});
  Asked asked(server.url());
  JobResult busy = asked.Handle();
  CHECK(FailureOf(busy) == FailureClass::kRateLimited);
  CHECK(Contains(busy.message, "429"));
  asked.job.attempt = 2;
  CHECK(asked.Handle().proposals.size() == 1);
}

TEST_CASE("an answer is paid for once: a retry finds it, whatever the run has learned since") {
  ScriptedServer server({{200, kAnswer, nullptr}});
  Asked asked(server.url());
  JobResult first = asked.Handle();
  CHECK_FALSE(first.cached);
  asked.job.attempt = 2;
  asked.job.label = "r2/write#2";
  asked.job.history_seq += 10;
  SmallSearch later;
  later.Begin();
  asked.context.SetHistory(&later.core());
  asked.context.NewAttempt();
  JobResult second = asked.Handle();
  CHECK(second.cached);
  CHECK(second.proposals.at(0).source == first.proposals.at(0).source);
  CHECK(second.blobs == first.blobs);
  CHECK(server.requests().size() == 1);
  asked.job.key.subject.number += 5;
  CHECK_FALSE(asked.Handle().cached);
  CHECK(server.requests().size() == 2);
}

TEST_CASE("statuses say whether trying again can help") {
  struct Case {
    int status;
    FailureClass failure;
  };
  for (const Case& c :
       {Case{500, FailureClass::kInfrastructure}, Case{503, FailureClass::kInfrastructure},
        Case{400, FailureClass::kProviderMissing}, Case{401, FailureClass::kProviderMissing},
        Case{403, FailureClass::kProviderMissing}, Case{404, FailureClass::kProviderMissing},
        Case{302, FailureClass::kProviderMissing}}) {
    CAPTURE(c.status);
    ScriptedServer server({{c.status, std::string("bad key ") + kKey, nullptr}});
    Asked asked(server.url());
    JobResult result = asked.Handle();
    CHECK(FailureOf(result) == c.failure);
    CHECK(Contains(result.message, std::to_string(c.status)));
    CHECK_FALSE(Contains(result.message, kKey));
  }
}

TEST_CASE("a reply that is no chat completion is a failure of the provider") {
  for (const char* body : {"<html>", "{}", "[]", R"({"choices":[]})", R"({"choices":[{}]})",
                           R"({"choices":[{"message":3}]})", ""}) {
    CAPTURE(body);
    ScriptedServer server({{200, body, nullptr}});
    Asked asked(server.url());
    CHECK(FailureOf(asked.Handle()) == FailureClass::kInfrastructure);
  }
}

TEST_CASE("an answer without a fenced block is unusable, and its tokens count") {
  for (const char* text : {"I cannot help with that.", "```c\nvoid softmax(", "```\n\n```\n",
                           "```python\nprint(1)\n```\n", ""}) {
    CAPTURE(text);
    ScriptedServer server({{200, Completion(text), nullptr}});
    Asked asked(server.url());
    JobResult result = asked.Handle();
    REQUIRE(!result.failure);
    CHECK(result.verdict == Verdict::kUnusable);
    CHECK(result.message == "no fenced code block in the answer");
    CHECK(result.usage.tokens_out == 45);
    CHECK(result.blobs.count("answer") == 1);
  }
}

TEST_CASE("of several blocks the longest is taken, of C++ when it says so") {
  LoadedRun run = SmallRun();
  run.targets[0].languages[".cc"] = run.targets[0].languages[".c"];
  ScriptedServer server({{200,
                          Completion("First:\n```c\nint a;\n```\nthen\n~~~cpp\nint b; // longer "
                                     "```\n~~~\nand\n```sh\nmake everything and more of it\n```\n"),
                          nullptr}});
  Asked asked(server.url());
  asked.context.SetRun(std::move(run));
  JobResult result = asked.Handle();
  REQUIRE(result.proposals.size() == 1);
  CHECK(asked.context.attached().at(result.proposals[0].source.sha256) == "int b; // longer ```\n");
  CHECK(result.proposals[0].source_name == "kernel.cc");
}

TEST_CASE("the key is in no blob, not even when the provider sends it back") {
  ScriptedServer server(
      {{200,
        Completion(std::string("Your key is ") + kKey + "\n```c\nint a; // " + kKey + "\n```\n"),
        nullptr}});
  Asked asked(server.url());
  REQUIRE(asked.Handle().proposals.size() == 1);
  for (const auto& [digest, bytes] : asked.context.attached()) CHECK_FALSE(Contains(bytes, kKey));
  for (const auto& entry : std::filesystem::directory_iterator(asked.context.CacheFolder())) {
    std::ifstream file(entry.path());
    std::string text{std::istreambuf_iterator<char>(file), {}};
    CHECK_FALSE(Contains(text, kKey));
  }
}

TEST_CASE("without endpoint or model the provider is missing, and the message says what to set") {
  Asked asked("");
  JobResult result = asked.Handle();
  CHECK(FailureOf(result) == FailureClass::kProviderMissing);
  CHECK(Contains(result.message, "KEVOLVE_LLM_URL"));
  CHECK(Contains(result.message, "KEVOLVE_LLM_MODEL"));
}

TEST_CASE("endpoint and model may come from the environment") {
  ScriptedServer server({{200, kAnswer, nullptr}});
  Asked asked("");
  asked.job.settings.Set("model", "");
  setenv("KEVOLVE_LLM_URL", (server.url() + "/").c_str(), 1);
  setenv("KEVOLVE_LLM_MODEL", "from-environment", 1);
  CHECK(asked.Handle().proposals.size() == 1);
  CHECK(Contains(server.requests().at(0), "\"model\":\"from-environment\""));
  unsetenv("KEVOLVE_LLM_URL");
  unsetenv("KEVOLVE_LLM_MODEL");
}

TEST_CASE("an address that can never work disables the step, one that is down does not") {
  CHECK(FailureOf(Asked("ftp://127.0.0.1/v1").Handle()) == FailureClass::kProviderMissing);
  std::string gone;
  {
    ScriptedServer server({{200, kAnswer, nullptr}});
    gone = server.url();
  }
  CHECK(FailureOf(Asked(gone).Handle()) == FailureClass::kInfrastructure);
}

TEST_CASE("a provider that never answers ends by the step's time limit") {
  ScriptedServer server({{200, "", [] {}}});
  Asked asked(server.url());
  asked.job.running_limit_ms = 300;
  CHECK(FailureOf(asked.Handle()) == FailureClass::kInfrastructure);
}

TEST_CASE("a cancelled job leaves the connection") {
  std::function<void()> cancel;
  ScriptedServer server({{200, "", [&] { cancel(); }}});
  Asked asked(server.url());
  cancel = [&] { asked.context.cancelled = true; };
  JobResult result = asked.Handle();
  REQUIRE(!result.failure);
  CHECK(result.verdict == Verdict::kCancelled);
}

}  // namespace kev
