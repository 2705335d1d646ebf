// What a hostile source can make a compiler do, and what a compiler that has been taken over can.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "runners/sandbox/sandbox.h"
#include "stages/compile/compile.h"
#include "tests/stages/support/fake_stage_context.h"
#include "tests/stages/support/small_task.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

constexpr char kSecret[] = "the-key-of-the-judge";

// A file that the stage can read and a compiler may not.
class SecretFile {
 public:
  SecretFile() : folder_((fs::temp_directory_path() / "kev-secret-XXXXXX").string()) {
    REQUIRE(mkdtemp(folder_.data()) != nullptr);
    std::ofstream(path()) << "\"" << kSecret << "\"\n";
  }
  ~SecretFile() { fs::remove_all(folder_); }
  std::string path() const { return folder_ + "/key"; }

 private:
  std::string folder_;
};

JobResult CompileSource(FakeStageContext& context, const std::string& source,
                        const std::string& source_name, uint32_t limit_ms = 20'000) {
  Job job;
  job.run = "run-1";
  job.key.subject = {SubjectKind::kCandidate, 12};
  job.target = "cpu";
  job.running_limit_ms = limit_ms;
  CandidateView view;
  view.id = job.key.subject;
  view.name = "c12";
  view.source = context.Put(source);
  view.source_name = source_name;
  job.candidate = view;
  context.NewAttempt();
  return HandleCompile(job, context);
}

// With a shell script in the compiler's place.
JobResult CompileWithScript(FakeStageContext& context, const std::string& body,
                            uint32_t limit_ms = 20'000) {
  const std::string path = context.CacheFolder() + "/../script";
  std::ofstream(path) << "#!/bin/sh\n[ \"$1\" = --version ] && { echo fake 1; exit 0; }\n" << body;
  chmod(path.c_str(), 0755);
  LoadedRun run = SmallRun();
  run.targets = {CpuTarget(path)};
  context.SetRun(std::move(run));
  return CompileSource(context, "void softmax(void) {}\n", "kernel.c", limit_ms);
}

std::string OutputOf(const FakeStageContext& context, const JobResult& result) {
  const auto found = result.blobs.find("stderr");
  return found == result.blobs.end() ? "" : context.attached().at(found->second.sha256);
}

bool AnyBlobHas(const FakeStageContext& context, const std::string& text) {
  for (const auto& [digest, bytes] : context.attached())
    if (bytes.find(text) != std::string::npos) return true;
  return false;
}

// Without file system rules there is nothing to test.
bool FilesAreConfined() {
  const Result<Isolation> isolation = BestIsolation();
  REQUIRE_MESSAGE(isolation.ok(), isolation.error().message);
  return *isolation != Isolation::kNone;
}

}  // namespace

TEST_CASE("a key outside cannot be taken into a kernel by .incbin or #include") {
  if (!FilesAreConfined()) return;
  const SecretFile secret;
  FakeStageContext context;
  context.SetRun(SmallRun());
  const std::string assembler = "__asm__(\".incbin \\\"" + secret.path() + "\\\"\");\n";
  const std::string include = "const char* key =\n#include \"" + secret.path() + "\"\n;\n";
  for (const std::string& steal : {assembler, include}) {
    const JobResult result = CompileSource(context, steal + "void softmax(void) {}\n", "kernel.c");
    REQUIRE_FALSE(result.failure.has_value());
    CHECK(result.verdict == Verdict::kNoCompile);
    CHECK_FALSE(AnyBlobHas(context, kSecret));
  }
}

TEST_CASE("the fact of how it was confined is the isolation in force") {
  FakeStageContext context;
  context.SetRun(SmallRun());
  const JobResult result = CompileSource(context, "void softmax(void) {}\n", "kernel.c");
  CHECK(result.facts["isolation"].AsString() == Name(*BestIsolation()));
}

TEST_CASE("endless evaluation at compile time ends as timeout, resources or refusal") {
  FakeStageContext context;
  LoadedRun run = SmallRun();
  run.targets[0].languages[".cc"].compile = {"c++",
                                             "-std=c++17",
                                             "-fconstexpr-ops-limit=9223372036854775807",
                                             "-fconstexpr-loop-limit=2147483647",
                                             "-ftemplate-depth=1000000",
                                             "-shared",
                                             "-fPIC",
                                             "-o",
                                             "{output}",
                                             "{source}"};
  context.SetRun(std::move(run));
  const std::string endless =
      "constexpr int f() { unsigned x = 0; for (long i = 0; i < 1L << 40; ++i) x += 3; return x; "
      "}\n"
      "static_assert(f() != 1, \"\");\n";
  CHECK(CompileSource(context, endless, "kernel.cc", 1000).verdict == Verdict::kTimeout);
  const std::string bomb =
      "template <class T, int N> struct Pair { typename Pair<T, N + 1>::X a, b; using X = Pair; "
      "};\n"
      "Pair<int, 0> softmax;\n";
  const JobResult result = CompileSource(context, bomb, "kernel.cc", 3000);
  REQUIRE_FALSE(result.failure.has_value());
  CHECK((result.verdict == Verdict::kTimeout || result.verdict == Verdict::kResources ||
         result.verdict == Verdict::kNoCompile));
  CHECK(result.artefacts.empty());
}

TEST_CASE("a compiler cannot write outside its scratch folder") {
  if (!FilesAreConfined()) return;
  FakeStageContext context;
  const std::string outside = context.CacheFolder() + "/planted";
  const JobResult result = CompileWithScript(
      context, "echo x > " + outside + " ; echo x > \"$TMPDIR/mine\" && echo mine\n" + "exit 1\n");
  CHECK(OutputOf(context, result).find("mine") != std::string::npos);
  CHECK_FALSE(fs::exists(outside));
}

TEST_CASE("a link in place of the output does not bring a file of the judge") {
  const SecretFile secret;
  FakeStageContext context;
  const JobResult result = CompileWithScript(context, "ln -s " + secret.path() + " kernel.out\n");
  CHECK(result.failure.has_value());
  CHECK_FALSE(AnyBlobHas(context, kSecret));
}

// The process that left was held responsible to nobody and went on after the verdict.
TEST_CASE("what a compiler leaves behind in a session of its own is gone with it") {
  FakeStageContext context;
  const JobResult result = CompileWithScript(
      context, "setsid sh -c 'setsid sleep 987 & sleep 986' >/dev/null 2>&1 &\nexit 1\n");
  CHECK(result.verdict == Verdict::kNoCompile);
  CHECK(std::system("pgrep -f '^sleep 98[67]$' >/dev/null") != 0);
}

}  // namespace kev
