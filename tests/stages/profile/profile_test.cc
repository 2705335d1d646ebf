#include "stages/profile/profile.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <msgpack.hpp>
#include <string>

#include "configs/contract.h"
#include "runners/analysis/machine_peaks.h"
#include "stages/profile/strongest.h"
#include "tests/stages/support/kernel_task.h"

namespace kev {
namespace {

using test::KernelTask;
using test::kTwiceRight;

// The same work `times` times over; the empty asm keeps the compiler from doing it once.
std::string Repeated(int times) {
  return "for (int k = 0; k < " + std::to_string(times) + "; k++) { " + kTwiceRight +
         " __asm__ volatile(\"\" ::: \"memory\"); }";
}

JobResult Profile(KernelTask* task, const std::string& rigor, const std::string& give_up = "20x") {
  task->job.stage = "profile";
  const bool has_reference =
      std::any_of(task->job.artefacts.begin(), task->job.artefacts.end(),
                  [](const Artefact& artefact) { return artefact.role == "reference"; });
  if (!has_reference) task->Add("reference", "reference", kTwiceRight);
  task->job.settings.Set("rigor", rigor);
  task->job.settings.Set("give_up", give_up);
  return HandleProfile(task->job, task->context);
}

TEST_CASE("a kernel that does the work four times over is about four times slower") {
  KernelTask task;
  task.Add("candidate", "c1", Repeated(80));
  task.Add("baseline", "plain", Repeated(20));
  const JobResult result = Profile(&task, "final");
  REQUIRE_MESSAGE(!result.failure.has_value(), result.message);
  CHECK_MESSAGE(result.verdict == Verdict::kOk, result.message);
  const double slower = 1 / result.facts["speedup"].AsDouble();
  CHECK(slower > 2.5);
  CHECK(slower < 6);
  CHECK(result.facts["speedup_low"].AsDouble() <= result.facts["speedup"].AsDouble());
  CHECK(result.facts["speedup_high"].AsDouble() >= result.facts["speedup"].AsDouble());
  CHECK(result.facts["launches"].AsInt() == 10);
  CHECK(result.facts["fidelity"].AsString() == "final");
  CHECK(result.facts["trust"].AsString() == "B");
  CHECK(result.facts["baseline"].AsString() == "plain");
  CHECK(result.usage.device_ms > 0);
  // Held-out workloads are reported but do not count.
  const Value& workloads = result.facts["workloads"];
  CHECK(workloads.AsMap().size() == 3);
  CHECK(workloads["odd"]["held_out"].AsBool());
  CHECK(workloads["square"]["log_ratios"].AsList().size() == 10);
  const double visible = (2 * std::log(workloads["square"]["speedup"].AsDouble()) +
                          std::log(workloads["long"]["speedup"].AsDouble())) /
                         3;
  CHECK(std::fabs(visible - std::log(result.facts["speedup"].AsDouble())) < 0.3);
}

TEST_CASE("an identical copy is as fast as the baseline, within interval and band") {
  KernelTask task;
  task.Add("candidate", "c1", Repeated(20));
  task.Add("baseline", "plain", Repeated(20));
  const JobResult result = Profile(&task, "final");
  REQUIRE_MESSAGE(!result.failure.has_value(), result.message);
  const double band =
      std::exp(result.facts["aa_band"].AsDouble() + 0.1);  // generous: the machine may be busy
  CHECK(result.facts["speedup_low"].AsDouble() <= band);
  CHECK(result.facts["speedup_high"].AsDouble() >= 1 / band);
}

TEST_CASE("a winner is compared in its closing measurement with those that came next to it") {
  KernelTask task;
  task.Add("candidate", "c1", Repeated(20));
  task.Add("rival", "c2", Repeated(10));
  task.Add("rival", "c3", Repeated(60));
  task.Add("rival", "c4",
           std::string("static int calls; if (++calls > 3) __builtin_trap(); ") + kTwiceRight);
  task.Add("baseline", "plain", Repeated(40));
  task.job.settings.Set("claim", true);
  const JobResult result = Profile(&task, "final");
  REQUIRE_MESSAGE(!result.failure.has_value(), result.failure->message);
  REQUIRE_MESSAGE(result.verdict == Verdict::kOk, result.message);
  CHECK(result.facts["launches"].AsInt() == 15);
  const Value& beside = result.facts["head_to_head"];
  CHECK(beside["c2"]["high"].AsDouble() < 1);
  CHECK(beside["c3"]["low"].AsDouble() > 1);
  CHECK_MESSAGE(beside["c4"]["refused"].AsString().find("SIG") != std::string::npos,
                ToJson(beside));
  CHECK(result.facts["overtaken_by"].AsString() == "c2");
  CHECK(result.facts["workloads"].AsMap().size() == 3);
}

TEST_CASE("a screening has few launches, visible workloads and no control") {
  KernelTask task;
  task.Change([](LoadedRun* run) {
    run->task.flops = test::Axis("cols");
    run->task.bytes = test::Axis("rows");
  });
  task.Add("candidate", "c1", Repeated(5));
  task.Add("baseline", "plain", Repeated(20));
  const JobResult result = Profile(&task, "screen");
  REQUIRE_MESSAGE(result.verdict == Verdict::kOk, result.message);
  CHECK(result.facts["speedup"].AsDouble() > 1.5);
  CHECK(result.facts["launches"].AsInt() == 1);
  CHECK(result.facts["workloads"].AsMap().size() == 2);
  CHECK(result.facts["aa_band"].AsDouble() > 0);  // of the baselines' own launches
  CHECK_FALSE(result.facts["faster"].AsBool());   // no claim from a screening
  CHECK(result.facts["latency_ns"].AsDouble() > 0);
  // 64 FLOP a call of "square".
  const Value& square = result.facts["workloads"]["square"];
  CHECK(square["flops"].AsDouble() == doctest::Approx(64 / square["latency_ns"].AsDouble() * 1e9));
  CHECK(result.facts["bytes"].AsDouble() > 0);
}

// {speedup, low, high, workloads} of an incumbent, as an engine gives it; its calls take what this
// kernel's take, `slower` times as long.
Value MeasuredBefore(double speedup, const std::string& body, double slower = 1) {
  KernelTask task;
  task.Add("candidate", "c1", body);
  task.Add("baseline", "plain", Repeated(20));
  const JobResult result = Profile(&task, "screen", "1000x");
  REQUIRE_MESSAGE(result.verdict == Verdict::kOk, result.message);
  Value told;
  told.Set("speedup", speedup);
  told.Set("speedup_low", speedup * 0.98);
  told.Set("speedup_high", speedup * 1.02);
  for (const char* name : {"square", "long"}) {
    Value& one = told.Set("workloads").Set(name);
    one.Set("speedup", speedup);
    one.Set("latency_ns", result.facts["workloads"][name]["latency_ns"].AsDouble() / slower);
  }
  return told;
}

// Windows with calls, by contestant.
std::vector<size_t> WindowsWithCalls(KernelTask& task, const JobResult& result) {
  const std::string bytes = task.Blob(result, "samples");
  REQUIRE_FALSE(bytes.empty());
  const msgpack::object_handle handle = msgpack::unpack(bytes.data(), bytes.size());
  const auto blob = handle.get().as<std::map<std::string, msgpack::object>>();
  std::vector<size_t> windows(8);
  for (const auto& launch :
       blob.at("launches").as<std::vector<std::map<std::string, msgpack::object>>>()) {
    for (const int64_t calls : launch.at("calls").as<std::vector<int64_t>>())
      windows[launch.at("contestant").as<size_t>()] += calls > 0 ? 1 : 0;
  }
  return windows;
}

TEST_CASE(
    "beside a slow baseline a screening is timed with the incumbent, which has been measured") {
  KernelTask task;
  task.Add("candidate", "c9", Repeated(500));
  task.Add("incumbent", "c1", Repeated(1000));
  task.Add("baseline", "plain", Repeated(4000));
  JobResult result;
  // On a busy machine one launch may take half as long again as another, and the incumbent is left
  // out; not each time.
  for (int i = 0; i < 10; ++i) {
    task.job.settings.Set("incumbent", MeasuredBefore(4, Repeated(1000)));
    result = Profile(&task, "screen");
    REQUIRE_MESSAGE(!result.failure.has_value(), result.message);
    REQUIRE_MESSAGE(result.verdict == Verdict::kOk, result.message);
    if (result.facts["incumbent"].Has("anchor")) break;
  }
  const Value& beside = result.facts["incumbent"];
  CHECK(beside["name"] == Value("c1"));
  CHECK(beside["anchor"].AsDouble() == doctest::Approx(4));
  CHECK(beside["speedup"].AsDouble() > 1.4);
  CHECK(beside["speedup"].AsDouble() < 2.8);
  CHECK(result.facts["speedup"].AsDouble() ==
        doctest::Approx(4 * beside["speedup"].AsDouble()).epsilon(1e-6));
  CHECK(result.facts["speedup_low"].AsDouble() < result.facts["speedup"].AsDouble() * 0.98);
  const Value& square = result.facts["workloads"]["square"];
  CHECK(square["baseline_ns"].AsDouble() / square["latency_ns"].AsDouble() ==
        doctest::Approx(square["speedup"].AsDouble()).epsilon(1e-6));
  const std::vector<size_t> windows = WindowsWithCalls(task, result);
  CHECK(windows[0] == 0);  // the baseline is there, and not called
  CHECK(windows[1] > 0);
  CHECK(windows[2] > 0);
}

TEST_CASE("a quick baseline, or an incumbent that is hardly faster, is no reason for an anchor") {
  for (const auto& [repeats, speedup] : {std::pair(20, 4.0), {4000, 1.2}}) {
    KernelTask task;
    task.Add("candidate", "c9", Repeated(repeats / 4));
    task.Add("incumbent", "c1", Repeated(repeats / 4));
    task.Add("baseline", "plain", Repeated(repeats));
    task.job.settings.Set("incumbent", MeasuredBefore(speedup, Repeated(repeats / 4)));
    const JobResult result = Profile(&task, "screen");
    REQUIRE_MESSAGE(result.verdict == Verdict::kOk, result.message);
    CHECK_FALSE(result.facts.Has("incumbent"));
    CHECK(WindowsWithCalls(task, result)[0] > 0);
  }
}

TEST_CASE("an incumbent that has become slow is no anchor: all beside it would seem faster") {
  KernelTask task;
  task.Add("candidate", "c9", Repeated(1000));
  task.Add("incumbent", "c1", Repeated(2000));
  task.Add("baseline", "plain", Repeated(2000));
  task.job.settings.Set("incumbent", MeasuredBefore(4, Repeated(2000), 4));
  const JobResult result = Profile(&task, "screen");
  REQUIRE_MESSAGE(!result.failure.has_value(), result.message);
  REQUIRE_MESSAGE(result.verdict == Verdict::kOk, result.message);
  CHECK(result.facts["incumbent"]["refused"].AsString().find("not as fast") != std::string::npos);
  CHECK(result.facts["speedup"].AsDouble() < 3);
  CHECK(WindowsWithCalls(task, result)[0] > 0);
}

TEST_CASE("an incumbent that fails is left out: the candidate is not to blame") {
  for (const char* rigor : {"screen", "final"}) {
    KernelTask task;
    task.Add("candidate", "c9", Repeated(500));
    task.Add("incumbent", "c1",
             std::string("static int calls; if (++calls > 3) __builtin_trap(); ") + kTwiceRight);
    task.Add("baseline", "plain", Repeated(2000));
    task.job.settings.Set("incumbent", MeasuredBefore(4, Repeated(500)));
    const JobResult result = Profile(&task, rigor);
    REQUIRE_MESSAGE(!result.failure.has_value(), result.message);
    REQUIRE_MESSAGE(result.verdict == Verdict::kOk, result.message);
    CHECK(result.facts["incumbent"]["name"] == Value("c1"));
    CHECK(result.facts["incumbent"]["refused"].AsString().find("SIG") != std::string::npos);
    CHECK(result.facts["speedup"].AsDouble() > 2);
    CHECK(WindowsWithCalls(task, result)[0] > 0);
  }
}

TEST_CASE("a hopeless candidate is given up on after its first launch") {
  KernelTask task;
  task.Add("candidate", "c1", Repeated(400));
  task.Add("baseline", "plain", Repeated(4));
  const JobResult result = Profile(&task, "screen", "3x");
  CHECK(result.verdict == Verdict::kOk);
  CHECK(result.facts["launches"].AsInt() == 1);
  CHECK(result.facts["speedup_high"].AsDouble() < 0.5);
}

TEST_CASE("the headline is against the strongest baseline, the others are told beside it") {
  KernelTask task;
  task.Add("candidate", "c1", Repeated(10));
  task.Add("baseline", "slow", Repeated(200));
  task.Add("baseline", "quick", Repeated(20));
  const JobResult result = Profile(&task, "final");
  REQUIRE_MESSAGE(!result.failure.has_value(), result.message);
  CHECK(result.facts["baseline"].AsString() == "quick");
  CHECK(result.facts["speedup_vs"]["quick"].AsDouble() == result.facts["speedup"].AsDouble());
  CHECK(result.facts["speedup_vs"]["slow"].AsDouble() > 4 * result.facts["speedup"].AsDouble());
}

TEST_CASE("a job without a candidate is the calibration: it ranks the baselines") {
  KernelTask task;
  task.Add("baseline", "slow", Repeated(200));
  task.Add("baseline", "quick", Repeated(20));
  task.job.candidate.reset();
  const JobResult result = Profile(&task, "final");
  REQUIRE_MESSAGE(!result.failure.has_value(), result.message);
  CHECK(result.facts["baseline"].AsString() == "quick");
  const Value& ranking = result.facts["ranking"];
  CHECK(ranking["slow"].AsDouble() > 2 * ranking["quick"].AsDouble());
  CHECK(ranking["quick"].AsDouble() > 0);
}

TEST_CASE("the ranking that the engine gives decides which baseline is the strongest") {
  KernelTask task;
  task.Add("candidate", "c1", Repeated(10));
  task.Add("baseline", "one", Repeated(20));
  task.Add("baseline", "two", Repeated(20));
  for (const char* strongest : {"one", "two"}) {
    Value ranking;
    ranking.Set("one", 100.0);
    ranking.Set("two", 100.0);
    ranking.Set(strongest, 50.0);
    task.job.settings.Set("ranking", ranking);
    task.context.NewAttempt();
    CHECK(Profile(&task, "screen").facts["baseline"].AsString() == strongest);
  }
}

TEST_CASE("a refused candidate has speed-up 0") {
  KernelTask task;
  task.Add("candidate", "c1", "fputs(\"no\", stderr); abort();");
  task.Add("baseline", "plain", Repeated(1));
  const JobResult result = Profile(&task, "screen");
  CHECK(result.verdict == Verdict::kCrashed);
  CHECK(result.facts["speedup"].AsDouble(-1) == 0);
  CHECK(task.Blob(result, "stderr") == "no");
}

TEST_CASE("a kernel that skips calls once it has warmed up is caught while it is timed") {
  KernelTask task;
  task.Add("candidate", "c1", std::string("if (++calls > 6 && calls % 2) return;") + Repeated(40),
           "static int calls;");
  task.Add("baseline", "plain", Repeated(40));
  const JobResult result = Profile(&task, "screen");
  CHECK(result.verdict == Verdict::kWrong);
  CHECK(result.message.starts_with("while it was timed on workload "));
  CHECK(result.facts["speedup"].AsDouble(-1) == 0);
}

TEST_CASE("more than the target's peak is impossible") {
  KernelTask task;
  task.Change([](LoadedRun* run) {
    run->task.flops = test::Axis("cols");
    run->targets[0].peaks["flops"] = 1;
  });
  task.Add("candidate", "c1", Repeated(20));
  task.Add("baseline", "plain", Repeated(20));
  const JobResult result = Profile(&task, "screen");
  CHECK(result.verdict == Verdict::kImpossible);
  CHECK(result.facts["speedup"].AsDouble(-1) == 0);
}

// What `kevolve doctor --measure` would have left: a core that does one operation a second.
void MeasuredAsSlow(KernelTask* task) {
  const CpuIdentity cpu = ThisCpu();
  MachinePeaks peaks;
  peaks.cpu = cpu.Key();
  peaks.flops["f32.scalar"] = 1;
  const std::filesystem::path cache = task->context.CacheFolder();
  REQUIRE(WritePeaks(cache.parent_path().parent_path().string(), cpu, peaks).ok());
  task->Change([](LoadedRun* run) { run->task.flops = test::Axis("cols"); });
}

// A time that no peak measured here allows was taken for a result.
TEST_CASE("a final time above the measured peak is suspect and measured again in full") {
  KernelTask task;
  MeasuredAsSlow(&task);
  task.Add("candidate", "c1", Repeated(20));
  task.Add("baseline", "plain", Repeated(80));
  const JobResult result = Profile(&task, "final");
  REQUIRE_MESSAGE(result.verdict == Verdict::kOk, result.message);
  CHECK(result.facts["suspect"].AsBool());
  CHECK(result.facts["floor_ns"].AsDouble() >= 64e9);
  CHECK(result.message.find("; suspect: workload ") != std::string::npos);
  CHECK(result.message.find("; measured twice") != std::string::npos);
  const std::string samples = task.Blob(result, "samples");
  const std::string other = task.Blob(result, "samples_other");
  CHECK_FALSE(other.empty());
  CHECK(samples != other);
}

TEST_CASE("a screening above the measured peak says so and is not made again") {
  KernelTask task;
  MeasuredAsSlow(&task);
  task.Add("candidate", "c1", Repeated(20));
  task.Add("baseline", "plain", Repeated(80));
  const JobResult result = Profile(&task, "screen");
  CHECK(result.facts["suspect"].AsBool());
  CHECK_FALSE(result.facts["faster"].AsBool());
  CHECK(result.blobs.count("samples_other") == 0);
}

TEST_CASE("a final result says what holds the kernel back, with a record for a prompt") {
  KernelTask task;
  task.Add("candidate", "c1", Repeated(20));
  task.Add("baseline", "plain", Repeated(20));
  const JobResult result = Profile(&task, "final");
  REQUIRE_MESSAGE(result.verdict == Verdict::kOk, result.message);
  CHECK_FALSE(result.facts["suspect"].AsBool());
  CHECK(result.blobs.count("samples_other") == 0);
  const std::string& bottleneck = result.facts["bottleneck"].AsString();
  CHECK(bottleneck == result.facts["workloads"]["square"]["bottleneck"].AsString());
  CHECK_FALSE(result.facts["workloads"]["odd"].Has("bottleneck"));  // held out
  const std::string record = task.Blob(result, "profile");
  CHECK(record.find("\"bottleneck\":\"" + bottleneck + "\"") != std::string::npos);
  CHECK(record.find("\"hot_loop\"") != std::string::npos);
  CHECK(record.find("odd") == std::string::npos);
  CHECK(record.size() < 5000);
}

TEST_CASE("a screening has a class and a small record without the code") {
  KernelTask task;
  task.Add("candidate", "c1", Repeated(20));
  task.Add("baseline", "plain", Repeated(20));
  const JobResult result = Profile(&task, "screen");
  CHECK_FALSE(result.facts["bottleneck"].AsString().empty());
  const std::string record = task.Blob(result, "profile");
  CHECK(record.find("a screening does not look at the code") != std::string::npos);
  CHECK(record.size() < 2000);
}

TEST_CASE("what the compiler said of vectorisation is in the record of a screening, too") {
  KernelTask task;
  task.Add("candidate", "c1", Repeated(20));
  const BlobRef said = task.context.Put("7: missed: the loop has a call\nno remark\n");
  Value& remarks = task.job.artefacts[0].launch.Set("remarks");
  remarks.Set("sha256", said.sha256);
  remarks.Set("size", said.size);
  task.Add("baseline", "plain", Repeated(20));
  const std::string record = task.Blob(Profile(&task, "screen"), "profile");
  CHECK_MESSAGE(record.find("\"remarks\":[\"line 7: the loop has a call\"]") != std::string::npos,
                record);
  CHECK(record.find("nothing of vectorisation") == std::string::npos);
  task.job.artefacts[0].launch.Set("remarks", Value());
  CHECK(task.Blob(Profile(&task, "screen"), "profile").find("nothing of vectorisation") !=
        std::string::npos);
}

TEST_CASE("the facts of a measurement are those that the contract declares") {
  KernelTask task;
  MeasuredAsSlow(&task);
  task.Add("candidate", "c1", Repeated(5));
  task.Add("baseline", "plain", Repeated(20));
  const JobResult result = Profile(&task, "screen");
  const StageContract* contract = FindContract("profile");
  REQUIRE(contract != nullptr);
  for (const auto& [name, value] : result.facts.AsMap()) {
    CHECK_MESSAGE(std::any_of(contract->facts.begin(), contract->facts.end(),
                              [&](const Fact& fact) { return fact.name == name; }),
                  name);
  }
}

TEST_CASE("a baseline that crashes while the baselines are ranked is the task's fault") {
  KernelTask task;
  task.Add("baseline", "plain", "abort();");
  task.job.candidate.reset();
  const JobResult result = Profile(&task, "final");
  REQUIRE(result.failure.has_value());
  CHECK(result.failure->failure == FailureClass::kTaskBroken);
  CHECK(result.failure->message.starts_with("baseline plain cannot be measured: SIGABRT"));
}

// A baseline that was killed from outside in the middle of a search once ended the whole run.
TEST_CASE("a baseline that dies later is tried again, since it was measured before") {
  KernelTask task;
  task.Add("candidate", "c1", kTwiceRight);
  task.Add("baseline", "plain", "abort();");
  task.job.settings.Set("ranking", Value::Map{{"plain", 100.0}});
  const JobResult result = Profile(&task, "screen");
  REQUIRE(result.failure.has_value());
  CHECK(result.failure->failure == FailureClass::kInfrastructure);
}

TEST_CASE("every sample is in the samples blob") {
  KernelTask task;
  task.Add("candidate", "c1", Repeated(5));
  task.Add("baseline", "plain", Repeated(20));
  const JobResult result = Profile(&task, "screen");
  const std::string bytes = task.Blob(result, "samples");
  REQUIRE_FALSE(bytes.empty());
  const msgpack::object_handle handle = msgpack::unpack(bytes.data(), bytes.size());
  const auto blob = handle.get().as<std::map<std::string, msgpack::object>>();
  CHECK(blob.at("unit").as<std::string>() == "ns of a window of so many calls");
  CHECK(blob.at("workloads").as<std::vector<std::string>>() ==
        std::vector<std::string>{"square", "long"});
  const auto launches =
      blob.at("launches").as<std::vector<std::map<std::string, msgpack::object>>>();
  CHECK(launches.size() == 2 * 2 * 1);  // contestants, workloads, launches
  for (const auto& launch : launches) CHECK(launch.at("ns").as<std::vector<double>>().size() >= 3);
}

}  // namespace
}  // namespace kev
