// The checker of tests/chaos can fail: whole histories are found whole, and each way to doctor one
// is found as what it is.
#include "tests/chaos/checker.h"

#include <doctest/doctest.h>

#include <fstream>

#include "engine/core/event.h"
#include "queue/archive.h"
#include "tests/queue/scratch_folder.h"

using namespace kev;
using namespace kev::chaos;

namespace {

constexpr uint32_t kBuild = 1, kTime = 2;
constexpr LogLine::Kind kLost = LogLine::Kind::kLost, kOpenLost = LogLine::Kind::kOpenLost;

// A history of two candidates, worked on by two workers; c2's build was lost once.
struct History {
  WorkerRecord a, b;
  RunLog log;
  Expected expected{2, {kBuild, kTime}};

  History() {
    a.file = "a";
    b.file = "b";
    Did(&a, "r1/0/0", 1, 2);
    Did(&a, "c1/1/0", 1);
    b.done.push_back({{"c2/1/0", 1}, Nonce()});  // and died
    log.lines.push_back({.kind = kLost, .seq = ++log.events, .attempt = {"c2/1/0", 1}});
    Did(&a, "c2/1/0", 2);
    Did(&b, "c1/2/0", 1);
    Did(&b, "c2/2/0", 1);
  }
  std::string Nonce() { return std::to_string(1000000000000000 + ++nonces); }
  void Did(WorkerRecord* worker, const std::string& job, uint32_t attempt, uint32_t proposals = 0) {
    const std::string nonce = Nonce();
    worker->done.push_back({{job, attempt}, nonce});
    worker->acked.push_back({job, attempt});
    LogLine line;
    line.seq = ++log.events;
    line.attempt = {job, attempt};
    line.nonce = nonce;
    line.proposals = proposals;
    log.lines.push_back(line);
  }
  // A result that does not count, and was not answered.
  void Late(WorkerRecord* worker, const std::string& job, uint32_t attempt) {
    Did(worker, job, attempt);
    worker->acked.pop_back();
  }
  LogLine& Line(const std::string& job) {
    for (LogLine& line : log.lines) {
      if (line.attempt.job == job && line.kind == LogLine::Kind::kResult) return line;
    }
    throw std::runtime_error("no line of " + job);
  }
  void Erase(const std::string& job) {
    std::erase_if(log.lines, [&](const LogLine& line) {
      return line.attempt.job == job && line.kind == LogLine::Kind::kResult;
    });
  }
  Findings Checked() const { return Check({a, b}, log, expected); }

  uint64_t nonces = 0;
};

bool Says(const Findings& findings, const std::string& text) {
  for (const std::string& line : findings.texts) {
    if (line.find(text) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a whole history is found whole, with a lost attempt and a stale result in it") {
  History history;
  history.b.stale.push_back({"c2/1/0", 1});
  const Findings found = history.Checked();
  CHECK(found.texts == std::vector<std::string>{});
  CHECK(found.Good());
  CHECK(found.acked == 5);
  CHECK(found.accepted == 5);
  CHECK(found.stale == 1);
  CHECK(found.retried == 1);
}

TEST_CASE("an acknowledged result that is not in the log is lost") {
  History history;
  history.Erase("c2/2/0");
  const Findings found = history.Checked();
  CHECK(found.lost == 2);
  CHECK(Says(found, "c2/2/0#1 was acknowledged to b and is not in the log"));
  CHECK(Says(found, "c2/2/0 was never accepted"));
}

TEST_CASE("an acknowledged attempt of which the log has another is lost") {
  History history;
  history.Line("c2/1/0").attempt.attempt = 3;
  const Findings found = history.Checked();
  CHECK(Says(found, "c2/1/0#2 was acknowledged to a and is not in the log"));
  CHECK(found.lost == 1);
}

TEST_CASE("two results of one attempt are counted twice") {
  History history;
  history.log.lines.push_back(history.Line("c1/1/0"));
  const Findings found = history.Checked();
  CHECK(found.duplicated >= 2);
  CHECK(Says(found, "c1/1/0#1 (event 2) has two results in the log"));
  CHECK(Says(found, "c1/1/0 was accepted twice"));
}

TEST_CASE("a job that is accepted in two attempts is counted twice") {
  History history;
  history.Did(&history.b, "c1/1/0", 2);
  const Findings found = history.Checked();
  CHECK(found.duplicated == 1);
  CHECK(Says(found, "c1/1/0 was accepted twice"));
}

TEST_CASE("a job that failed and was done again is in order") {
  History history;
  LogLine failure = history.Line("c1/2/0");
  history.Erase("c1/2/0");
  failure.failed = true;
  history.log.lines.push_back(failure);
  CHECK_FALSE(history.Checked().Good());  // not yet done again
  history.Did(&history.b, "c1/2/0", 2);
  CHECK(history.Checked().Good());
}

TEST_CASE("a result that no worker noted is invented") {
  History history;
  history.Line("c1/2/0").nonce = "ffffffffffffffff";
  const Findings found = history.Checked();
  CHECK(found.invented == 1);
  CHECK(Says(found, "c1/2/0#1 (event 5) is in the log with nonce 'ffffffffffffffff'"));
}

TEST_CASE("a result without a nonce is invented, unless it was cancelled before it began") {
  History history;
  history.Line("c1/2/0").nonce.clear();
  CHECK(history.Checked().invented == 1);
  history.Line("c1/2/0").cancelled = true;
  CHECK(history.Checked().Good());
}

TEST_CASE("a nonce under another job's name is found") {
  History history;
  std::swap(history.Line("c1/2/0").nonce, history.Line("c2/2/0").nonce);
  const Findings found = history.Checked();
  CHECK(found.disorder == 2);
  CHECK(Says(found, "is in the log with the nonce of"));
}

TEST_CASE("a nonce that two workers noted is found") {
  History history;
  history.b.done.push_back(history.a.done[1]);
  const Findings found = history.Checked();
  CHECK(found.duplicated == 1);
  CHECK(Says(found, "was noted twice"));
}

TEST_CASE("an accepted attempt below an accepted one is found") {
  History history;
  std::erase_if(history.log.lines, [](const LogLine& line) { return line.kind == kLost; });
  history.Did(&history.b, "c2/1/0", 1);
  const Findings found = history.Checked();
  CHECK(found.disorder == 1);
  CHECK(Says(found, "c2/1/0#1 (event 7) follows c2/1/0#2"));
}

// The engine puts late results into the log as well: their cost counts. They look like a job that
// was accepted twice, and are not.
TEST_CASE("a late result of a lost attempt is in the log and does not count") {
  History history;
  history.Late(&history.b, "c2/1/0", 1);
  Findings found = history.Checked();
  CHECK(found.texts == std::vector<std::string>{});
  CHECK(found.late == 1);
  CHECK(found.accepted == 5);
  SUBCASE("unless its worker was told that it does") {
    history.b.acked.push_back({"c2/1/0", 1});
    found = history.Checked();
    CHECK(found.lost == 1);
    CHECK(Says(found, "done again under a higher number"));
  }
}

TEST_CASE("a result that comes after all open attempts were lost is late, if its job went on") {
  History history;
  history.Erase("c1/2/0");
  std::erase(history.b.acked, AttemptName{"c1/2/0", 1});
  history.log.lines.push_back({.kind = kOpenLost, .seq = ++history.log.events});
  SUBCASE("before the one that counts") {
    history.Late(&history.b, "c1/2/0", 1);
    CHECK(history.Checked().Good());  // nothing shows that it was open when they were lost
    history.Did(&history.a, "c1/2/0", 2);
    CHECK(history.Checked().Good());
    CHECK(history.Checked().late == 1);
  }
  SUBCASE("and behind it") {
    history.Did(&history.a, "c1/2/0", 2);
    history.Late(&history.b, "c1/2/0", 1);
    CHECK(history.Checked().Good());
    CHECK(history.Checked().late == 1);
  }
  SUBCASE("but not when it was kept") {
    history.log.lines.back().kept.insert({"c1/2/0", 1});
    history.Late(&history.b, "c1/2/0", 1);
    history.Did(&history.a, "c1/2/0", 2);
    CHECK(history.Checked().duplicated == 1);
  }
  SUBCASE("and not when it was acknowledged") {
    history.Did(&history.b, "c1/2/0", 1);
    history.Did(&history.a, "c1/2/0", 2);
    CHECK(history.Checked().lost == 1);
  }
}

TEST_CASE("a result that counts and was called stale is found") {
  History history;
  history.b.stale.push_back({"c1/2/0", 1});
  CHECK(history.Checked().disorder == 1);
}

TEST_CASE("candidates above and below the budget are found") {
  History history;
  history.expected.candidates = 1;
  CHECK(history.Checked().duplicated == 1);
  history.expected.candidates = 3;
  const Findings found = history.Checked();
  CHECK(Says(found, "2 candidates were proposed; the budget is 3"));
  CHECK(Says(found, "c3/1/0 was never accepted"));
}

TEST_CASE("a cut archive is found") {
  History history;
  history.log.cut_tail = true;
  CHECK(history.Checked().disorder == 1);
}

TEST_CASE("a record is read line by line, of one run, and a torn line is an error") {
  const ScratchFolder folder;
  const std::string path = folder / "record";
  const auto write = [&](const std::string& text) { std::ofstream(path) << text; };
  write(
      "done run c1/1/0#1 0123456789abcdef\nacked run c1/1/0#1\ndone other c1/1/0#1 "
      "0000000000000000\nstale run r2/0/0#3\n");
  const Result<WorkerRecord> record = ReadRecord(path, "run");
  REQUIRE(record.ok());
  REQUIRE(record->done.size() == 1);
  CHECK(record->done[0].attempt == AttemptName{"c1/1/0", 1});
  CHECK(record->done[0].nonce == "0123456789abcdef");
  CHECK(record->acked == std::vector<AttemptName>{{"c1/1/0", 1}});
  CHECK(record->stale == std::vector<AttemptName>{{"r2/0/0", 3}});
  for (const char* bad :
       {"done run c1/1/0#1 0123\n", "done run c1/1/0 0123456789abcdef\n", "said run c1/1/0#1\n",
        "acked run c1/1/0#1", "acked run c1/1/0#1 0123456789abcdef\n", "\n"}) {
    write(bad);
    const Result<WorkerRecord> torn = ReadRecord(path, "run");
    CHECK_MESSAGE(!torn.ok(), bad);
  }
}

// The way from the archive to the lines, since everything above begins with lines.
TEST_CASE("the log of an archive is read without a fold") {
  const ScratchFolder folder;
  const std::string path = folder / "run.kevrun";
  JobReported report;
  report.key = {Subject{SubjectKind::kCandidate, 7}, 2, 0};
  report.attempt = 3;
  report.result.message = "nonce 0123456789abcdef";
  EventGroup group;
  group.first_seq = 1;
  OpenAttemptsLost open;
  open.kept = {{report.key, 5}};
  group.events = {TimePassed{}, report, open,
                  AttemptLost{.key = report.key, .attempt = 4, .detail = {}}};
  {
    auto writer = ArchiveWriter::Create(path);
    REQUIRE(writer.ok());
    Value header;
    header.Set("run", "run");
    REQUIRE((*writer)->AddHeader(header).ok());
    LogEntry entry;
    entry.last_seq = 4;
    Encode(group, &entry.body);
    entry.digest = Digest128().Hex();
    REQUIRE((*writer)->AddLog(entry).ok());
    REQUIRE((*writer)->Finish().ok());
  }
  const Result<RunLog> log = ReadLog(path);
  REQUIRE_MESSAGE(log.ok(), log.error().message);
  CHECK(log->events == 4);
  CHECK_FALSE(log->cut_tail);
  REQUIRE(log->lines.size() == 3);
  CHECK(log->lines[0].attempt == AttemptName{"c7/2/0", 3});
  CHECK(log->lines[0].nonce == "0123456789abcdef");
  CHECK(log->lines[0].seq == 2);
  CHECK(log->lines[1].kind == kOpenLost);
  CHECK(log->lines[1].kept == std::set<AttemptName>{{"c7/2/0", 5}});
  CHECK(log->lines[2].kind == kLost);
  CHECK(log->lines[2].attempt == AttemptName{"c7/2/0", 4});
}
