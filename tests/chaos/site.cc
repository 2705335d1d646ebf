#include "tests/chaos/site.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/chaos/torn_tail.h"

namespace kev::chaos {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kBeginMs = 60000;      // for the first result
constexpr int64_t kRestartAfterMs = 50;  // between an engine's end and the next one
constexpr int64_t kGoneMs = 20000;       // for a killed process to be gone
constexpr int64_t kCommandMs = 120000;

// Looks each few milliseconds until `holds`; false when the time is over.
template <typename Holds>
bool Until(int64_t limit_ms, Holds holds) {
  const int64_t until = NowMs() + limit_ms;
  while (!holds()) {
    if (NowMs() > until) return false;
    poll(nullptr, 0, 5);
  }
  return true;
}

}  // namespace

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Site::Site(SiteOptions options) : options_(std::move(options)), workers_(options_.workers) {}

std::map<std::string, std::string> Site::Environment() const {
  return {{"KEVOLVE_HOME", options_.home},
          {"KEVOLVE_NULL_OPTIONS", "--record " + options_.notes + "/children.record --job-time " +
                                       std::to_string(options_.job_time_ms)}};
}

Status Site::StartEngine() {
  std::vector<std::string> argv = {options_.bin + "/kevolve"};
  if (run_.empty()) {
    argv.insert(argv.end(),
                {"run", options_.workflow, "--candidates", std::to_string(options_.candidates),
                 "--seed", std::to_string(options_.seed)});
  } else {
    argv.insert(argv.end(), {"resume", run_});
  }
  argv.insert(argv.end(), {"--durability", options_.durability, "--json"});
  if (options_.snapshot_every != 0)
    argv.insert(argv.end(), {"--snapshot-every", std::to_string(options_.snapshot_every)});
  auto child = Child::Start(argv, Environment(), options_.notes + "/engine");
  if (!child) return child.error();
  engine_ = std::move(*child);
  std::error_code none;
  read_out_ = engine_starts_ == 0 ? 0 : fs::file_size(engine_.OutPath(), none);
  ++engine_starts_;
  engine_told_ = engine_started_ = store_hurt_ = disk_was_full_ = false;
  restart_at_ms_ = -1;
  return {};
}

Status Site::Begin() {
  if (Status s = StartEngine(); !s.ok()) return s;
  const bool started = Until(kBeginMs, [&] { return !engine_.alive() || Started(); });
  if (!started || run_.empty())
    return Error{Code::kInternal, "the run did not begin:\n" + EngineWords()};
  for (size_t i = 0; i < workers_.size(); ++i) {
    if (Status s = StartWorker(i); !s.ok()) return s;
  }
  if (Until(kBeginMs, [&] { return !engine_.alive() || Acknowledged() > 0; }) && engine_.alive())
    return {};
  return Error{Code::kInternal, "nothing was done in the new run:\n" + EngineWords()};
}

bool Site::Started() {
  if (engine_started_) return true;
  const std::string out = WholeFile(engine_.OutPath()).substr(read_out_);
  const size_t at = out.find("\"event\":\"started\"");
  if (at == std::string::npos || out.find('\n', at) == std::string::npos) return false;
  if (run_.empty()) {
    const std::string key = "\"run\":\"";
    const size_t begin = out.find(key, at) + key.size();
    run_ = out.substr(begin, out.find('"', begin) - begin);
  }
  torn_ = false;  // the store has been read
  return engine_started_ = true;
}

Status Site::StartWorker(size_t i) {
  Worker& worker = workers_[i];
  const std::string name = options_.notes + "/worker-" + std::to_string(i);
  auto child = Child::Start(
      {options_.bin + "/kevolve-null", "--record",
       name + "-" + std::to_string(++worker.life) + ".record", "--job-time",
       std::to_string(options_.job_time_ms), "--connect", "ipc://" + RunFolder() + "/engine.sock",
       "--slots", "4", "--engine-lost-grace", "30m", "--home", options_.notes + "/worker-home"},
      {}, name);
  if (!child) return child.error();
  worker.child = std::move(*child);
  worker.told = false;
  return {};
}

Status Site::Supervise() {
  if (complete_) return {};
  if (engine_.alive())
    Started();
  else if (restart_at_ms_ < 0) {
    if (Status s = EngineEnded(); !s.ok() || complete_) return s;
  } else if (NowMs() >= restart_at_ms_) {
    if (Status s = StartEngine(); !s.ok()) return s;
  }
  for (size_t i = 0; i < workers_.size(); ++i) {
    Worker& worker = workers_[i];
    if (worker.child.alive()) continue;
    // An engine whose run has ended sends its workers home with status 0.
    const bool sent_home = worker.child.Ending() == "ended with status 0";
    if (!worker.told && !sent_home) {
      return Error{Code::kInternal, "worker " + std::to_string(i) + " " + worker.child.Ending() +
                                        " by itself:\n" + Tail(worker.child.ErrPath())};
    }
    if (!worker.told && !engine_started_) continue;
    if (!worker.told && fs::exists(Archive())) continue;
    if (Status s = StartWorker(i); !s.ok()) return s;
  }
  return {};
}

// Ended by us, or because its store was taken from it where it cannot go on without: while it
// starts, or while it writes the archive. Everything else must not be.
Status Site::EngineEnded() {
  const int status = engine_.status();
  const bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (well || fs::exists(Archive())) {
    complete_ = fs::exists(Archive());
    if (complete_) return {};
    return Error{Code::kInternal, "the engine ended well, and there is no " + Archive()};
  }
  if (!engine_told_) {
    const bool concluding =
        Tail(engine_.ErrPath(), 600).find("the run is kept") != std::string::npos;
    if (!disk_was_full_ && !(store_hurt_ && (!engine_started_ || concluding))) {
      return Error{Code::kInternal,
                   "the engine " + engine_.Ending() + " by itself:\n" + EngineWords()};
    }
    ++forgiven_;
  }
  restart_at_ms_ = NowMs() + kRestartAfterMs;
  return {};
}

bool Site::EngineUp() { return engine_.alive() && Started(); }

std::vector<std::string> Site::Records() const {
  std::vector<std::string> paths;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(options_.notes, ignored)) {
    if (entry.path().extension() == ".record") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

uint64_t Site::Acknowledged() {
  uint64_t sum = 0;
  for (const std::string& path : Records()) {
    auto& [read, acks] = acknowledged_[path];
    std::ifstream in(path, std::ios::binary);
    in.seekg(static_cast<std::streamoff>(read));
    for (std::string line; std::getline(in, line) && !in.eof(); read += line.size() + 1)
      acks += line.starts_with("acked ") ? 1 : 0;
    sum += acks;
  }
  return sum;
}

bool Site::KillEngine() {
  if (!engine_.alive()) return false;
  engine_told_ = true;
  engine_.Signal(SIGKILL);
  return true;
}

bool Site::TerminateEngine() {
  if (!engine_.alive()) return false;
  engine_told_ = true;
  engine_.Signal(SIGTERM);
  return true;
}

bool Site::KillRedis() {
  const pid_t redis = RedisIn(RunFolder() + "/redis");
  if (redis == 0) return false;
  store_hurt_ = true;
  return kill(redis, SIGKILL) == 0;
}

bool Site::StopEngine(bool stop) {
  if (!engine_.alive()) return false;
  engine_.Signal(stop ? SIGSTOP : SIGCONT);
  return true;
}

bool Site::StopRedis(bool stop) {
  const pid_t redis = RedisIn(RunFolder() + "/redis");
  if (redis == 0) return false;
  store_hurt_ = true;
  return kill(redis, stop ? SIGSTOP : SIGCONT) == 0;
}

Status Site::TornTail(uint64_t pick, bool* done) {
  const pid_t redis = RedisIn(RunFolder() + "/redis");
  *done = redis != 0 && engine_.alive();
  if (!*done) return {};
  engine_told_ = true;
  kill(redis, SIGKILL);
  engine_.Signal(SIGKILL);
  const bool gone = Until(kGoneMs, [&] { return !engine_.alive() && !Exists(redis); });
  if (!gone) return Error{Code::kInternal, "Redis does not go away when it is killed"};
  if (fs::exists(Archive())) return {};
  // The engine may have started another one just before it died.
  if (const pid_t another = RedisIn(RunFolder() + "/redis"); another != 0) {
    kill(another, SIGKILL);
    Until(kGoneMs, [&] { return !Exists(another); });
  }
  // One that was killed before it had cut the last torn tail off has appended nothing behind it.
  if (std::exchange(torn_, true)) return {};
  return TearTail(RunFolder() + "/redis", run_, pick);
}

Child* Site::WorkerOf(uint64_t pick) {
  Worker& worker = workers_[pick % workers_.size()];
  return worker.child.alive() ? &worker.child : nullptr;
}

bool Site::KillWorker(uint64_t pick) {
  Child* child = WorkerOf(pick);
  if (child == nullptr) return false;
  workers_[pick % workers_.size()].told = true;
  child->Signal(SIGKILL);
  return true;
}

bool Site::TerminateWorker(uint64_t pick) {
  Child* child = WorkerOf(pick);
  if (child == nullptr) return false;
  workers_[pick % workers_.size()].told = true;
  child->Signal(SIGTERM);
  return true;
}

pid_t Site::StopWorker(uint64_t pick) {
  Child* child = WorkerOf(pick);
  if (child == nullptr) return 0;
  child->Signal(SIGSTOP);
  return child->pid();
}

void Site::Leave() {
  const auto all_gone = [&] {
    return std::none_of(workers_.begin(), workers_.end(),
                        [](Worker& w) { return w.child.alive(); });
  };
  for (Worker& worker : workers_) worker.child.Signal(SIGCONT);
  if (Until(3000, all_gone)) return;
  // Without an engine to say goodbye to, a worker that is drained would wait for one.
  for (Worker& worker : workers_) worker.child.Signal(SIGKILL);
  Until(kGoneMs, all_gone);
}

Result<std::string> Site::Kevolve(const std::vector<std::string>& words) {
  std::vector<std::string> argv = {options_.bin + "/kevolve"};
  argv.insert(argv.end(), words.begin(), words.end());
  auto child = Child::Start(argv, Environment(), options_.notes + "/" + words.front());
  if (!child) return child.error();
  if (!Until(kCommandMs, [&] { return !child->alive(); }))
    return Error{Code::kInternal, "kevolve " + words.front() + " does not end"};
  if (child->Ending() == "ended with status 0") return WholeFile(child->OutPath());
  return Error{Code::kInternal, "kevolve " + words.front() + " " + child->Ending() + ":\n" +
                                    Tail(child->OutPath()) + Tail(child->ErrPath())};
}

std::string Site::EngineWords() const { return Tail(engine_.OutPath()) + Tail(engine_.ErrPath()); }

}  // namespace kev::chaos
