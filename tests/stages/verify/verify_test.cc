#include "stages/verify/verify.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "tests/stages/support/kernel_task.h"

namespace kev {
namespace {

using test::KernelTask;
using test::kTwiceRight;

// Checks a candidate with this body against the right reference.
JobResult Verify(KernelTask* task, const std::string& rigor, const std::string& body,
                 const std::string& before = "", const std::string& function = "twice") {
  task->Add("candidate", "c1", body, before, function);
  if (task->job.artefacts.size() == 1) task->Add("reference", "reference", kTwiceRight);
  task->job.stage = "verify";
  task->job.settings.Set("rigor", rigor);
  return HandleVerify(task->job, task->context);
}

TEST_CASE("a right kernel passes every workload, the ends of the domain, and hidden shapes") {
  KernelTask task;
  const JobResult result = Verify(&task, "full", kTwiceRight);
  REQUIRE_FALSE(result.failure.has_value());
  CHECK_MESSAGE(result.verdict == Verdict::kOk, result.message);
  CHECK(result.facts["workloads"].AsInt() == 10);
  CHECK(result.facts["held_out"].AsInt() == 4);
  CHECK(result.facts["worst_error"].AsDouble(-1) == 0);
  CHECK(result.facts["bit_differences"].AsInt(-1) == 0);
  CHECK(result.facts["isolation"].AsString().ends_with(", seccomp"));
  CHECK(result.facts["deterministic"].AsBool());
  CHECK(result.facts["errors"]["accepted"].AsBool());
}

TEST_CASE("smoke looks at one seed of the smallest visible workload") {
  KernelTask task;
  const JobResult result = Verify(&task, "smoke", kTwiceRight);
  CHECK(result.verdict == Verdict::kOk);
  CHECK(result.facts["workloads"].AsInt() == 1);
  CHECK(result.facts["held_out"].AsInt() == 0);
}

TEST_CASE("an error within the tolerance is right and told as a share of it") {
  KernelTask task;
  const JobResult result =
      Verify(&task, "full", "for (int64_t i = 0; i < n; i++) y[i] = 2 * x[i] * 1.000003f;");
  CHECK(result.verdict == Verdict::kOk);
  CHECK(result.facts["worst_error"].AsDouble() > 0.1);
  CHECK(result.facts["worst_error"].AsDouble() < 1);
}

TEST_CASE("a forgotten tail is wrong, with the first wrong element") {
  KernelTask task;
  const JobResult result =
      Verify(&task, "smoke", "for (int64_t i = 0; i < n - 3; i++) y[i] = 2 * x[i];");
  CHECK(result.verdict == Verdict::kWrong);
  CHECK_MESSAGE(result.message.starts_with("y[63,6"), result.message);
  CHECK_MESSAGE(result.message.find("(workload square, seed 1): ") != std::string::npos,
                result.message);
  CHECK(result.facts["worst_error"].AsDouble() > 1);
}

TEST_CASE("a kernel that is wrong at the least of an axis only is wrong, and told where") {
  KernelTask task;
  const JobResult result =
      Verify(&task, "full",
             "for (int64_t i = 0; i < n; i++) y[i] = rows == 1 && cols > 1 ? 0 : 2 * x[i];");
  CHECK(result.verdict == Verdict::kWrong);
  CHECK_MESSAGE(result.message.find("(workload rows=1, seed 1)") != std::string::npos,
                result.message);
}

TEST_CASE("a kernel that is right on visible shapes only is wrong, and hears no shape") {
  KernelTask task;
  const JobResult result =
      Verify(&task, "full", "for (int64_t i = 0; i < n; i++) y[i] = n == 7 * 131 ? 0 : 2 * x[i];");
  CHECK(result.verdict == Verdict::kWrong);
  CHECK(result.message == "held-out workload: what it left is wrong");
  CHECK(result.facts["errors"]["accepted"].AsBool());
}

TEST_CASE("what a kernel could choose on a hidden shape is not told, even when it is accepted") {
  Task without_domain = test::TwiceTask();
  without_domain.domain.clear();
  KernelTask task(without_domain);
  // A small error, bits that differ from call to call, and words: all say how many elements.
  const JobResult result = Verify(&task, "full",
                                  "for (int64_t i = 0; i < n; i++) y[i] = 2 * x[i];"
                                  "if (n == 7 * 131) {"
                                  "  y[0] *= calls++ % 2 == 0 ? 1.000001f : 1; usleep(200000); "
                                  "fprintf(stderr, \"%ld\", (long)n); }",
                                  "static int calls;");
  CHECK_MESSAGE(result.verdict == Verdict::kOk, result.message);
  CHECK(result.facts["worst_error"].AsDouble(-1) == 0);
  CHECK(result.facts["bit_differences"].AsInt(-1) == 0);
  CHECK(result.facts["deterministic"].AsBool());
  CHECK(result.usage.wall_ms < 400);
  CHECK(result.blobs.count("stderr") == 0);
}

TEST_CASE("NaN is never within the tolerance") {
  KernelTask task;
  const JobResult result =
      Verify(&task, "smoke", "for (int64_t i = 0; i < n; i++) y[i] = 0.0f / 0.0f * x[i];");
  CHECK(result.verdict == Verdict::kWrong);
  CHECK(result.message.find("nan, expected ") != std::string::npos);
}

TEST_CASE("writing outside an array or into an input is refused though the outputs are right") {
  KernelTask task;
  SUBCASE("outside") {
    const JobResult result = Verify(&task, "smoke", std::string(kTwiceRight) + "y[n] = 1;");
    CHECK(result.verdict == Verdict::kWrong);
    CHECK(result.message == "workload square, seed 1: it wrote past the end of y");
  }
  SUBCASE("input") {
    const JobResult result =
        Verify(&task, "smoke", std::string(kTwiceRight) + "((float*)x)[0] += 1;");
    CHECK(result.verdict == Verdict::kCrashed);
    CHECK(result.message ==
          "workload square, seed 1: SIGSEGV, it touched memory that is not its own, or wrote to an "
          "input, when it was called");
  }
}

TEST_CASE("a kernel that is right only the first time is nondeterministic") {
  KernelTask task;
  const JobResult result =
      Verify(&task, "full", "if (calls++ == 0) for (int64_t i = 0; i < n; i++) y[i] = 2 * x[i];",
             "static int calls;");
  CHECK(result.verdict == Verdict::kNondeterministic);
  CHECK(result.facts["bit_differences"].AsInt() > 0);
}

TEST_CASE("crash, endless loop and missing function are verdicts with what was printed") {
  KernelTask task;
  SUBCASE("crash") {
    const JobResult result =
        Verify(&task, "smoke", "fputs(\"going down\\n\", stderr); *(volatile int*)0 = 1;");
    CHECK(result.verdict == Verdict::kCrashed);
    CHECK(task.Blob(result, "stderr") == "going down\n");
  }
  SUBCASE("endless loop") {
    task.job.running_limit_ms = 800;
    const JobResult result = Verify(&task, "smoke", "for (volatile int i = 0;;) i = 1;");
    CHECK(result.verdict == Verdict::kTimeout);
  }
  SUBCASE("missing function") {
    CHECK(Verify(&task, "smoke", kTwiceRight, "", "thrice").verdict == Verdict::kUnusable);
  }
}

TEST_CASE("a reference that crashes is the task's fault, not the candidate's") {
  KernelTask task;
  task.Add("candidate", "c1", kTwiceRight);
  task.Add("reference", "reference", "abort();");
  const JobResult result = HandleVerify(task.job, task.context);
  REQUIRE(result.failure.has_value());
  CHECK(result.failure->failure == FailureClass::kTaskBroken);
  CHECK(result.failure->message ==
        "task twice, workload cols=1, rows=1: its reference fails: SIGABRT, it aborted, when it "
        "was called");
}

TEST_CASE("expected outputs are computed once and kept, and another secret gives other inputs") {
  KernelTask task;
  const auto kept = [&] {
    const std::filesystem::path folder = task.context.CacheFolder() + "/expected";
    std::error_code none;
    return std::distance(std::filesystem::directory_iterator(folder, none),
                         std::filesystem::directory_iterator());
  };
  // A reference of its own: this process may remember what the others gave.
  task.Add("reference", "reference", std::string(kTwiceRight) + "(void)mark[n & 1];",
           "static volatile const char mark[] = \"kept once\";");
  CHECK(Verify(&task, "smoke", kTwiceRight).verdict == Verdict::kOk);
  CHECK(kept() == 1);
  task.context.NewAttempt();
  CHECK(HandleVerify(task.job, task.context).verdict == Verdict::kOk);
  CHECK(kept() == 1);
  task.context.NewAttempt();
  task.job.secret.Set("seed", "another");
  CHECK(HandleVerify(task.job, task.context).verdict == Verdict::kOk);
  CHECK(kept() == 2);
}

TEST_CASE("a cancelled job comes back without a check") {
  KernelTask task;
  task.context.cancelled = true;
  CHECK(Verify(&task, "full", kTwiceRight).verdict == Verdict::kCancelled);
}

}  // namespace
}  // namespace kev
