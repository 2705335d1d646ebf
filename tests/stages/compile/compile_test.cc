#include "stages/compile/compile.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "configs/contract.h"
#include "tests/stages/support/fake_stage_context.h"
#include "tests/stages/support/small_task.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

constexpr char kGood[] =
    "void softmax(const float* x, float* y, long rows, long cols) {\n"
    "  for (long i = 0; i < rows * cols; ++i) y[i] = x[i];\n"
    "}\n";

// A script that takes the place of the compiler.
std::string Script(FakeStageContext& context, const std::string& name, const std::string& body) {
  std::string path = context.CacheFolder() + "/../" + name;
  std::ofstream(path) << "#!/bin/sh\n[ \"$1\" = --version ] && { echo fake 1; exit 0; }\n" << body;
  chmod(path.c_str(), 0755);
  return path;
}

Job CompileJob(FakeStageContext& context, const std::string& source) {
  Job job;
  job.run = "run-1";
  job.key.subject = {SubjectKind::kCandidate, 12};
  job.label = "c12/build#1";
  job.step = "build";
  job.stage = "compile";
  job.target = "cpu";
  CandidateView view;
  view.id = job.key.subject;
  view.name = "c12";
  view.source = context.Put(source);
  view.source_name = "kernel.c";
  job.candidate = view;
  return job;
}

JobResult Compile(FakeStageContext& context, const Job& job) {
  context.NewAttempt();
  return HandleCompile(job, context);
}

JobResult CompileWith(FakeStageContext& context, const std::string& compiler,
                      const std::string& source, uint32_t limit_ms = 0) {
  LoadedRun run = SmallRun();
  run.targets = {CpuTarget(compiler)};
  context.SetRun(std::move(run));
  Job job = CompileJob(context, source);
  job.running_limit_ms = limit_ms;
  return Compile(context, job);
}

}  // namespace

TEST_CASE("a source that defines the function becomes an artefact") {
  FakeStageContext context;
  context.SetRun(SmallRun());
  JobResult result = Compile(context, CompileJob(context, kGood));
  REQUIRE_MESSAGE(!result.failure, result.message);
  CHECK(result.verdict == Verdict::kOk);
  CHECK_FALSE(result.cached);
  REQUIRE(result.artefacts.size() == 1);
  const Artefact& artefact = result.artefacts[0];
  CHECK(artefact.role == "candidate");
  CHECK(artefact.name == "c12");
  CHECK(artefact.kind == "shared_library");
  CHECK(artefact.launch["symbol"].AsString() == "softmax");
  CHECK(context.attached().at(artefact.blob.sha256).substr(1, 3) == "ELF");
  int64_t code = result.facts["bytes"].AsInt();
  CHECK(code > 0);
  CHECK(code < static_cast<int64_t>(artefact.blob.size));
}

// Builds of one kernel with other words were measured as candidates of their own.
TEST_CASE("the artefact says which code it is, whatever the source calls things") {
  FakeStageContext context;
  LoadedRun run = SmallRun();
  // Debug information and a build id hold names and lines of the source.
  std::vector<std::string>& argv = run.targets[0].languages[".c"].compile;
  argv.insert(argv.begin() + 1, {"-g", "-Wl,--build-id"});
  context.SetRun(std::move(run));
  const auto source = [](const std::string& comment, const std::string& index,
                         const std::string& factor) {
    return "/* " + comment + " */\nstatic float factor_" + index + "(void) { return " + factor +
           "; }\nvoid softmax(const float* x, float* y, long rows, long cols) {\n  for (long " +
           index + " = 0; " + index + " < rows * cols; ++" + index + ") y[" + index +
           "] = factor_" + index + "() * x[" + index + "];\n}\n";
  };
  const auto compiled = [&](const std::string& text) {
    JobResult result = Compile(context, CompileJob(context, text));
    REQUIRE_MESSAGE(result.artefacts.size() == 1, result.message);
    return result.artefacts[0];
  };
  const Artefact one = compiled(source("one", "i", "1.5f"));
  const Artefact words = compiled(source("the same\n   in other words", "index", "1.5f"));
  const Artefact other = compiled(source("one", "i", "1.25f"));
  CHECK(one.launch["code"].AsString().size() == 64);
  CHECK(one.blob.sha256 != words.blob.sha256);  // each keeps its own file
  CHECK(one.launch["code"] == words.launch["code"]);
  CHECK(one.launch["code"] != other.launch["code"]);
}

TEST_CASE("a kernel with a set-up of its own is another code than one without") {
  FakeStageContext context;
  LoadedRun run = SmallRun();
  run.task.setup = HelperFunction{"softmax_setup", {}};
  run.task.teardown = HelperFunction{"softmax_teardown", {}};
  context.SetRun(std::move(run));
  const auto code = [&](const std::string& helper) {
    const std::string text = std::string(kGood) + "void " + helper + "(void) {}\n";
    return Compile(context, CompileJob(context, text)).artefacts.at(0).launch["code"].AsString();
  };
  const std::string plain = code("anything"), with = code("softmax_setup");
  CHECK(plain.size() == 64);
  CHECK(with.size() == 64);
  CHECK(plain != with);
  CHECK(code("softmax_teardown").empty());  // it cannot be told from a set-up: the file counts
}

TEST_CASE("the facts are those that the contract declares") {
  FakeStageContext context;
  context.SetRun(SmallRun());
  JobResult result = Compile(context, CompileJob(context, kGood));
  const StageContract* contract = FindContract("compile");
  REQUIRE(contract != nullptr);
  std::vector<std::string> given, declared;
  for (const auto& [name, value] : result.facts.AsMap()) given.push_back(name);
  for (const Fact& fact : contract->facts) declared.push_back(fact.name);
  std::sort(declared.begin(), declared.end());
  CHECK(given == declared);
}

TEST_CASE("prepared things take role and flags from the job") {
  FakeStageContext context;
  context.SetRun(SmallRun());
  Job job = CompileJob(context, "#ifndef WANTED\n#error no flag\n#endif\n" + std::string(kGood));
  job.candidate->id = {SubjectKind::kPrepared, 1};
  job.candidate->name = "reference";
  CHECK(Compile(context, job).verdict == Verdict::kNoCompile);
  Value build;
  build.Set("flags").Append("-DWANTED=1");
  job.settings.Set("build", build);
  JobResult result = Compile(context, job);
  REQUIRE(result.artefacts.size() == 1);
  CHECK(result.artefacts[0].role == "reference");
  job.candidate->name = "plain";
  CHECK(Compile(context, job).artefacts[0].role == "baseline");
}

TEST_CASE("candidates made from a template take the variant's flags and libraries") {
  FakeStageContext context;
  LoadedRun run = SmallRun();
  run.task.variants[0].flags = {"-DWANTED=1"};
  run.task.variants[0].libraries = {"maths"};
  run.task.libraries["maths"].link = {"-lm"};
  context.SetRun(std::move(run));
  Job job = CompileJob(context, "#ifndef WANTED\n#error no flag\n#endif\n" + std::string(kGood));
  CHECK(Compile(context, job).verdict == Verdict::kNoCompile);
  job.candidate->variant = "vector";
  CHECK(Compile(context, job).verdict == Verdict::kOk);
}

// A proposer that named one ended the whole run as failed.
TEST_CASE(
    "a candidate of a variant that the task does not have is unusable, and no fault of the task") {
  FakeStageContext context;
  context.SetRun(SmallRun());
  Job job = CompileJob(context, kGood);
  job.candidate->variant = "../../x";
  const JobResult result = Compile(context, job);
  REQUIRE_FALSE(result.failure.has_value());
  CHECK(result.verdict == Verdict::kUnusable);
  CHECK(result.message.find("'../../x'") != std::string::npos);
}

TEST_CASE("a source that does not compile is no_compile with its first error") {
  FakeStageContext context;
  context.SetRun(SmallRun());
  JobResult result = Compile(context, CompileJob(context, "int a;\nint softmax( { return 1; }\n"));
  REQUIRE(!result.failure);
  CHECK(result.verdict == Verdict::kNoCompile);
  CHECK(result.message.find("kernel.c:2:") != std::string::npos);
  CHECK(result.message.find("error:") != std::string::npos);
  const std::string& output = context.attached().at(result.blobs.at("stderr").sha256);
  CHECK(output.find(result.message) != std::string::npos);
  JobResult again = Compile(context, CompileJob(context, "int a;\nint softmax( { return 1; }\n"));
  CHECK(again.cached);
  CHECK(again.verdict == Verdict::kNoCompile);
  CHECK(again.message == result.message);
}

TEST_CASE("a source without the function is unusable and is told the declaration") {
  FakeStageContext context;
  context.SetRun(SmallRun());
  for (const char* source :
       {"void softmaxx(void) {}\n", "static void softmax(void) {}\n", "int softmax = 1;\n",
        "void softmax(void); void g(void) { softmax(); }\n"}) {
    JobResult result = Compile(context, CompileJob(context, source));
    REQUIRE(!result.failure);
    CHECK(result.verdict == Verdict::kUnusable);
    CHECK(result.message.find("does not define softmax") != std::string::npos);
    CHECK(result.message.find("void softmax(const float") != std::string::npos);
    CHECK(result.artefacts.empty());
  }
}

TEST_CASE("a missing compiler breaks the task and names program, target file and package") {
  FakeStageContext context;
  JobResult result = CompileWith(context, "clang++-99", kGood);
  REQUIRE(result.failure);
  CHECK(result.failure->failure == FailureClass::kTaskBroken);
  for (const char* part : {"clang++-99", "targets/cpu.yaml", "apt-get install clang-99"})
    CHECK_MESSAGE(result.message.find(part) != std::string::npos, result.message);
}

TEST_CASE("a compiler that does not end is stopped at the deadline, with its children") {
  FakeStageContext context;
  // The child holds the output open: only killing the whole group ends it.
  std::string compiler = Script(context, "slow", "echo begun\nsleep 600 &\nsleep 600\n");
  JobResult result = CompileWith(context, compiler, kGood, 300);
  REQUIRE(!result.failure);
  CHECK(result.verdict == Verdict::kTimeout);
  CHECK(context.attached().at(result.blobs.at("stderr").sha256) == "begun\n");
  CHECK(fs::is_empty(context.CacheFolder()));
}

TEST_CASE("a compiler's time-out is a verdict for a source that takes for ever") {
  FakeStageContext context;
  LoadedRun run = SmallRun();
  run.targets[0].languages[".cc"].compile = {"c++",      "-std=c++17", "-ftemplate-depth=1000000",
                                             "-shared",  "-fPIC",      "-o",
                                             "{output}", "{source}"};
  context.SetRun(std::move(run));
  Job job = CompileJob(context,
                       "template <int N, int M> struct F { static const int v = F<N-1,2*M>::v + "
                       "F<N-1,2*M+1>::v; };\ntemplate <int M> struct F<0, M> { static const int v "
                       "= 1; };\nint softmax = F<29, 0>::v;\n");
  job.candidate->source_name = "kernel.cc";
  job.running_limit_ms = 1000;
  JobResult result = Compile(context, job);
  REQUIRE(!result.failure);
  CHECK(result.verdict == Verdict::kTimeout);
}

TEST_CASE("a cancelled job comes back at once") {
  FakeStageContext context;
  std::string compiler = Script(context, "slow", "sleep 600\n");
  context.cancelled = true;
  CHECK(CompileWith(context, compiler, kGood).verdict == Verdict::kCancelled);
}

TEST_CASE("more output than the cap is kept with head and tail") {
  FakeStageContext context;
  std::string compiler = Script(context, "loud",
                                "echo first: error: head\n"
                                "i=0; while [ $i -lt 4000 ]; do echo "
                                "0123456789012345678901234567890123456789; i=$((i+1)); done\n"
                                "echo last\nexit 1\n");
  JobResult result = CompileWith(context, compiler, kGood);
  CHECK(result.verdict == Verdict::kNoCompile);
  CHECK(result.message == "first: error: head");
  const std::string& output = context.attached().at(result.blobs.at("stderr").sha256);
  CHECK(output.size() < (65 << 10));
  CHECK(output.substr(output.size() - 5) == "last\n");
  CHECK(output.find("bytes left out") != std::string::npos);
}

TEST_CASE("a compiler that hits a limit is refused for resources") {
  FakeStageContext context;
  std::string compiler =
      Script(context, "hungry", "echo 'cc1: out of memory allocating 65536 bytes'\nexit 1\n");
  CHECK(CompileWith(context, compiler, kGood).verdict == Verdict::kResources);
  std::string writer = Script(context, "writer", "exec truncate -s 300000000 kernel.out\n");
  CHECK(CompileWith(context, writer, kGood).verdict == Verdict::kResources);
}

TEST_CASE("a compiler that something killed is a failure of the machine, not of the source") {
  FakeStageContext context;
  JobResult result = CompileWith(context, Script(context, "killed", "kill -9 $$\n"), kGood);
  REQUIRE(result.failure);
  CHECK(result.failure->failure == FailureClass::kInfrastructure);
}

TEST_CASE("the compiler sees a clean environment") {
  FakeStageContext context;
  setenv("KEV_TEST_SECRET", "secret-value", 1);
  JobResult result = CompileWith(context, Script(context, "env", "env\nexit 1\n"), kGood);
  unsetenv("KEV_TEST_SECRET");
  const std::string& output = context.attached().at(result.blobs.at("stderr").sha256);
  CHECK(output.find("secret-value") == std::string::npos);
  CHECK(output.find("LC_ALL=C") != std::string::npos);
  CHECK(output.find("TMPDIR=" + context.Scratch()) != std::string::npos);
}

TEST_CASE("the same source again comes from the cache with the same facts and bytes") {
  FakeStageContext context;
  context.SetRun(SmallRun());
  JobResult first = Compile(context, CompileJob(context, kGood));
  JobResult second = Compile(context, CompileJob(context, kGood));
  CHECK(second.cached);
  CHECK(second.facts == first.facts);
  CHECK(second.artefacts == first.artefacts);
  JobResult other = Compile(context, CompileJob(context, kGood + std::string("// more\n")));
  CHECK_FALSE(other.cached);
}

TEST_CASE("what the compiler says of vectorisation comes with the artefact, also from the cache") {
  FakeStageContext context;
  context.SetRun(SmallRun());
  const std::string source =
      std::string(kGood) +
      "__attribute__((optimize(\"O3\"))) void more(float* restrict y, float* "
      "restrict x) {\n"
      "  for (int i = 0; i < 1024; ++i) y[i] = 2 * x[i];\n"
      "  for (int i = 0; i < 1024; ++i) y[i] = y[(i * 7) & 1023] + 1;\n}\n";
  for (const bool cached : {false, true}) {
    const JobResult result = Compile(context, CompileJob(context, source));
    REQUIRE_MESSAGE(result.verdict == Verdict::kOk, result.message);
    CHECK(result.cached == cached);
    CHECK(result.blobs.count("stderr") == 0);  // remarks are no complaints
    const BlobRef& said = result.blobs.at("remarks");
    const std::string& text = context.attached().at(said.sha256);
    CHECK_MESSAGE(text.find(": vectorized: loop vectorized") != std::string::npos, text);
    CHECK_MESSAGE(text.find(": missed: ") != std::string::npos, text);
    const Value& ref = result.artefacts.at(0).launch["remarks"];
    CHECK(ref["sha256"].AsString() == said.sha256);
    CHECK(ref["size"].AsInt() == static_cast<int64_t>(said.size));
  }
}

TEST_CASE("other flags are another entry") {
  FakeStageContext context;
  context.SetRun(SmallRun());
  Compile(context, CompileJob(context, kGood));
  LoadedRun run = SmallRun();
  run.targets[0].languages[".c"].compile[2] = "-O2";
  context.SetRun(std::move(run));
  CHECK_FALSE(Compile(context, CompileJob(context, kGood)).cached);
}

TEST_CASE("an upgraded compiler is another entry") {
  FakeStageContext context;
  std::string compiler = Script(context, "wrapped", "exec cc \"$@\"\n");
  CHECK_FALSE(CompileWith(context, compiler, kGood).cached);
  CHECK(CompileWith(context, compiler, kGood).cached);
  Script(context, "wrapped", "exec cc \"$@\" # newer\n");
  CHECK_FALSE(CompileWith(context, compiler, kGood).cached);
}

TEST_CASE("a damaged cache entry is ignored and written anew") {
  FakeStageContext context;
  context.SetRun(SmallRun());
  JobResult first = Compile(context, CompileJob(context, kGood));
  fs::path entry = fs::directory_iterator(context.CacheFolder())->path();
  for (const char* file : {"artefact", "stderr", "remarks", "meta"}) {
    std::ofstream(entry / file, std::ios::app) << "x";
    JobResult second = Compile(context, CompileJob(context, kGood));
    CHECK_FALSE(second.cached);
    CHECK(second.artefacts == first.artefacts);
    CHECK(Compile(context, CompileJob(context, kGood)).cached);
  }
  fs::remove(entry / "meta");
  CHECK_FALSE(Compile(context, CompileJob(context, kGood)).cached);
  auto entries = std::distance(fs::directory_iterator(context.CacheFolder()), {});
  CHECK(entries == 1);
}

TEST_CASE("equal source gives equal bytes in any folder") {
  FakeStageContext a, b;
  a.SetRun(SmallRun());
  b.SetRun(SmallRun());
  std::string source = std::string(kGood) + "const char* at = __FILE__ __DATE__ __TIME__;\n";
  JobResult first = Compile(a, CompileJob(a, source));
  JobResult second = Compile(b, CompileJob(b, source));
  CHECK_FALSE(second.cached);
  REQUIRE(first.artefacts.size() == 1);
  CHECK(first.artefacts == second.artefacts);
}

TEST_CASE("a target without the source's language refuses a whole source and breaks a template") {
  FakeStageContext context;
  context.SetRun(SmallRun());
  Job job = CompileJob(context, kGood);
  job.candidate->source_name = "kernel.rs";
  JobResult result = Compile(context, job);
  REQUIRE(!result.failure);
  CHECK(result.verdict == Verdict::kUnusable);
  job.candidate->variant = "vector";
  REQUIRE(Compile(context, job).failure);
}

}  // namespace kev
