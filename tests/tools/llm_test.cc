// A model in the search: propose/llm beside the tuner, against a scripted server on loopback, and
// the same workflow without a model.
#include <doctest/doctest.h>

#include <cctype>
#include <filesystem>
#include <memory>

#include "tests/stages/propose/scripted_server.h"
#include "tests/tools/support/run_facts.h"
#include "tools/live/exit_code.h"

using namespace kev;
using namespace kev::test;
namespace fs = std::filesystem;
using std::chrono::seconds;

namespace {

constexpr char kKey[] = "sk-e2e-84316274";
constexpr int kTokensIn = 321;
constexpr int kTokensOut = 45;

constexpr char kWorkflow[] = R"(kevolve: 1
name: tiny-mix
task: tiny
targets: [cpu]
seed: 3
budget: { candidates: 12, wall: 120s }
in_flight: 4
steps:
  mutate:  { uses: propose/llm,  with: { memory: both }, timeout: 20s, retry: { max: 2, base: 10ms, cap: 50ms } }
  tune:    { uses: propose/tune, with: { strategy: random } }
  build:   { uses: compile, needs: [mutate, tune] }
  smoke:   { uses: verify,  needs: build, with: { rigor: smoke } }
  screen:  { uses: profile, needs: smoke, with: { rigor: screen } }
  check:   { uses: verify,  needs: screen, when: screen.speedup > best.speedup_low }
  confirm: { uses: profile, needs: check, when: screen.speedup > best.speedup_low, with: { rigor: final, launches: 3 }, resources: { quiet: host } }
  pick:    { uses: select, with: { policy: elites, elites: 4 }, proposes: { mutate: { in_flight: 2 }, tune: fill } }
)";

// Slow templates, so that a model's kernel wins.
constexpr char kSlowTemplate[] = R"(#include <stdint.h>
__attribute__((optimize("no-tree-vectorize"))) void scale(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    float v = x[i];
    for (volatile int j = 0; j < BLOCK + EXTRA; ++j) v = v * 1.0f;
    y[i] = 3.0f * v;
  }
}
)";

ScriptedReply Says(const std::string& content) {
  const Json body = {{"choices", {{{"message", {{"role", "assistant"}, {"content", content}}}}}},
                     {"usage", {{"prompt_tokens", kTokensIn}, {"completion_tokens", kTokensOut}}}};
  return {200, body.dump(), nullptr};
}

// A kernel; `extra` stands after its loop, and `number` makes each one another source and binary.
ScriptedReply Kernel(const std::string& idea, int number, const std::string& extra = "") {
  return Says(idea +
              "\n\n```c\n#include <stdint.h>\nconst int kNumber = " + std::to_string(number) +
              ";\nvoid scale(const float* restrict x, float* restrict y, int64_t n) {\n"
              "  for (int64_t i = 0; i < n; ++i) y[i] = 3.0f * x[i];\n" +
              extra + "}\n```\nThat is all.\n");
}

// Refusals that pass, then kernels of all kinds. Providers have been seen to repeat the key.
std::vector<ScriptedReply> Script() {
  std::vector<ScriptedReply> script = {
      {429, R"({"error":"slow down"})", nullptr},
      {500, std::string("internal error for key ") + kKey, nullptr},
      Kernel("Vectors of eight.", 1),
      Kernel("One too many.", 2, "  y[0] += 1;\n"),
      Says("I would unroll it, but I will not show how."),
      // Not with the number itself: what the model wrote comes back in prompts.
      Kernel("Wrong where nobody looks.", 3, "  if (n == 10 * 100) y[0] += 1;\n"),
      Says("```c\nvoid scale(int) { return 1 }\n```"),
  };
  for (int i = 0; i < 8; ++i) script.push_back(Kernel("Again.", 100 + i));
  return script;
}

class Mix {
 public:
  explicit Mix(const std::string& url = "") {
    fs::create_directories(sandbox.Path("input"));
    fs::copy(Fixture("tiny"), sandbox.Path("input/tiny"));
    sandbox.Write("input/tiny/blocks.c", kSlowTemplate);
    sandbox.Write("input/mix.yaml", kWorkflow);
    sandbox.environment["KEVOLVE_LLM_URL"] = url;
    sandbox.environment["KEVOLVE_LLM_MODEL"] = url.empty() ? "" : "scripted";
    sandbox.environment["KEVOLVE_LLM_API_KEY"] = kKey;
    for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"})
      sandbox.environment[name] = "";
  }
  std::vector<std::string> RunWords(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"kevolve", "run", sandbox.Path("input/mix.yaml"), "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Json Show(const std::string& run) const {
    return Json::parse(sandbox.Run({"kevolve", "show", run, "--json"}).out, nullptr, false);
  }
  std::string Print(const std::string& run, const std::string& subject) const {
    return sandbox.Run({"kevolve", "show", run, subject, "--source"}).out;
  }
  // Files below the home (run folders, caches, logs, what the commands printed) that hold `text`.
  std::vector<std::string> FilesWith(const std::string& text) const {
    std::vector<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(sandbox.home())) {
      if (entry.is_regular_file() && ReadFile(entry.path()).find(text) != std::string::npos)
        found.push_back(entry.path());
    }
    return found;
  }
  Sandbox sandbox;
};

bool HasNumber(const std::string& text, const std::string& number) {
  const auto inside = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '.';
  };
  for (size_t at = text.find(number); at != std::string::npos; at = text.find(number, at + 1)) {
    const size_t end = at + number.size();
    if ((at == 0 || !inside(text[at - 1])) && (end == text.size() || !inside(text[end])))
      return true;
  }
  return false;
}

std::string PromptOf(const std::string& request) {
  const Json body = Json::parse(request.substr(request.find("\r\n\r\n") + 4), nullptr, false);
  std::string text;
  for (const Json& message : body["messages"]) text += message["content"].get<std::string>() + "\n";
  return text;
}

std::map<std::string, int> CountByOrigin(const Json& run) {
  std::map<std::string, int> count;
  for (const Json& record : run["records"]) ++count[record["origin"].get<std::string>()];
  return count;
}

}  // namespace

TEST_CASE("a model and the tuner search together, and the model's kernel can win") {
  ScriptedServer server(Script());
  Mix mix(server.url());
  RunningCommand* command = mix.sandbox.Start(mix.RunWords());
  REQUIRE(WaitForEvent(command, "candidate"));
  CHECK(mix.FilesWith(kKey).empty());  // nor in the live store
  const CommandResult result = command->Wait(seconds(120));
  REQUIRE(result.exit_code == kExitDone);
  const Json done = DoneLine(result);
  const std::string id = done["run"];
  const Json run = mix.Show(id);

  // Both propose.
  const auto count = CountByOrigin(run);
  CHECK(count.at("mutate") >= 4);
  CHECK(count.at("tune") >= 1);
  CHECK(done["candidates"] == 12);

  // The winner, in the report as well.
  CHECK(done["best"]["origin"] == "mutate");
  CHECK(done["best"]["speedup"].get<double>() > 1);
  CHECK(ReadFile(done["best"]["source"]).find("float* restrict x") != std::string::npos);
  CHECK(mix.sandbox.Run({"kevolve", "show", id}).out.find("proposed by mutate") !=
        std::string::npos);

  // Each answer's candidate, with its verdict; the answer without code is no candidate of any use.
  std::map<std::string, std::string> verdict_of;
  std::string good;
  for (const Json& record : run["records"]) {
    if (record["origin"] != "mutate") continue;
    verdict_of[record.value("note", "")] = record["verdict"];
    if (record.value("note", "") == "Vectors of eight.") good = record["id"];
  }
  CHECK(verdict_of["Vectors of eight."] == "ok");
  CHECK(verdict_of["One too many."] == "wrong");
  REQUIRE_FALSE(good.empty());
  const std::string shown = mix.Print(id, good);
  CHECK(shown.find("Vectors of eight.") != std::string::npos);
  CHECK(shown.find("kNumber = 1;") != std::string::npos);
  CHECK(shown.find("  came from   r") != std::string::npos);

  // What was asked and answered, and what it cost.
  int64_t tokens_in = 0, tokens_out = 0;
  int answers = 0, unusable = 0;
  bool told_origin = false;  // which request brought the good kernel
  for (int r = 1;; ++r) {
    const CommandResult request =
        mix.sandbox.Run({"kevolve", "show", id, "r" + std::to_string(r), "--json"});
    if (request.exit_code != kExitDone) break;
    const Json record = Json::parse(request.out, nullptr, false);
    if (record["step"] != "mutate" || !record["outcome"].contains("tokens_in")) continue;
    ++answers;
    for (const Json& born : record["outcome"].contains("blobs") ? record["born"] : Json::array())
      told_origin = told_origin || born == good;
    tokens_in += record["outcome"]["tokens_in"].get<int64_t>();
    tokens_out += record["outcome"]["tokens_out"].get<int64_t>();
    if (record["outcome"].value("verdict", "") == "unusable") ++unusable;
    const std::string text = mix.Print(id, "r" + std::to_string(r));
    CHECK(text.find("--- mutate prompt\nYou write fast kernels") != std::string::npos);
    CHECK(text.find("--- mutate answer\n{") != std::string::npos);
  }
  CHECK(told_origin);
  CHECK(answers >= 5);
  CHECK(unusable >= 1);
  CHECK(tokens_in == answers * kTokensIn);
  CHECK(tokens_out == answers * kTokensOut);

  // What the model was told, and never told.
  const auto requests = server.requests();
  REQUIRE(requests.size() >= 7);
  bool told_parent = false, told_failure = false;
  for (const std::string& request : requests) {
    CHECK(request.find(std::string("Authorization: Bearer ") + kKey) != std::string::npos);
    const std::string prompt = PromptOf(request);
    CHECK(prompt.find("void scale(const float* x, float* y, int64_t n)") != std::string::npos);
    CHECK(prompt.find("hidden") == std::string::npos);
    CHECK_FALSE_MESSAGE(HasNumber(prompt, "1000"), prompt);
    told_parent = told_parent || prompt.find("# Kernel to improve: c") != std::string::npos;
    told_failure = told_failure || prompt.find("# What went wrong lately") != std::string::npos;
  }
  CHECK(told_parent);
  CHECK(told_failure);
  CHECK(mix.FilesWith(kKey).empty());
  CHECK(result.out.find(kKey) == std::string::npos);
  CHECK(result.err.find(kKey) == std::string::npos);
}

TEST_CASE("the budget of tokens ends the run") {
  ScriptedServer server({Kernel("The same again.", 1)});
  Mix mix(server.url());
  const CommandResult result =
      mix.sandbox.Run(mix.RunWords({"--tokens", std::to_string(3 * (kTokensIn + kTokensOut)),
                                    "--candidates", "200"}),
                      seconds(120));
  CHECK_FALSE(result.timed_out);
  CHECK(DoneLine(result)["stopped_by"] == "tokens");
  CHECK(server.requests().size() <= 3 + 2);  // and those under way
}

TEST_CASE("a server that dies or only fails leaves the tuner to finish the run") {
  std::string id;
  CommandResult result;
  Mix mix;
  SUBCASE("dies") {
    auto server = std::make_unique<ScriptedServer>(Script());
    mix.sandbox.environment["KEVOLVE_LLM_URL"] = server->url();
    mix.sandbox.environment["KEVOLVE_LLM_MODEL"] = "scripted";
    RunningCommand* command = mix.sandbox.Start(mix.RunWords());
    REQUIRE(WaitUntil([&] { return server->requests().size() >= 2; }));
    server.reset();
    result = command->Wait(seconds(120));
  }
  SUBCASE("only fails") {
    ScriptedServer server({{500, "no", nullptr}});
    mix.sandbox.environment["KEVOLVE_LLM_URL"] = server.url();
    mix.sandbox.environment["KEVOLVE_LLM_MODEL"] = "scripted";
    result = mix.sandbox.Run(mix.RunWords(), seconds(120));
  }
  SUBCASE("knows no such model") {
    ScriptedServer server({{404, R"({"error":"no such model"})", nullptr}});
    mix.sandbox.environment["KEVOLVE_LLM_URL"] = server.url();
    mix.sandbox.environment["KEVOLVE_LLM_MODEL"] = "scripted";
    result = mix.sandbox.Run(mix.RunWords(), seconds(120));
    CHECK(result.out.find("step mutate is disabled") != std::string::npos);
  }
  REQUIRE_FALSE(result.timed_out);
  CHECK(result.exit_code == kExitDone);
  const Json done = DoneLine(result);
  CHECK(done["stopped_by"] == "candidates");
  CHECK(done["candidates"] == 12);
  CHECK(done["best"]["candidate"].is_string());
  CHECK(WaitUntil([&] { return mix.sandbox.Processes().empty(); }, seconds(10)));
}

TEST_CASE("without a model the run says so and goes on with the tuner alone") {
  Mix mix;
  const CommandResult result = mix.sandbox.Run(mix.RunWords({"--candidates", "5"}), seconds(120));
  CHECK(result.exit_code == kExitDone);
  CHECK(result.out.find("step mutate is disabled: no model is configured (set KEVOLVE_LLM_URL") !=
        std::string::npos);
  const Json done = DoneLine(result);
  CHECK(done["candidates"] == 5);
  CHECK(done["best"]["origin"] == "tune");
  CHECK(CountByOrigin(mix.Show(done["run"])) == std::map<std::string, int>{{"tune", 5}});
}

TEST_CASE("the shipped workflow runs without a model") {
  Sandbox sandbox;
  const CommandResult result =
      sandbox.Run({"kevolve", "run", SourceDir() + "/configs/workflows/evolve-and-tune.yaml",
                   "--task", "softmax", "--candidates", "4", "--json"},
                  seconds(120));
  CHECK(result.out.find("step mutate is disabled") != std::string::npos);
  const Json done = DoneLine(result);
  CHECK(done["status"] == "done");
  CHECK(done["candidates"] == 4);
  CHECK(result.exit_code == (done["best"].is_null() ? kExitNoneStood : kExitDone));
}
