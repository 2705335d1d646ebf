#include "tools/live/live_run.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <map>

#include "queue/archive.h"
#include "queue/codec.h"
#include "queue/redis_store.h"
#include "queue/zmq_transport.h"
#include "runners/fleet/fleet.h"
#include "tools/live/exit_code.h"
#include "tools/live/report.h"
#include "tools/live/stored_run.h"

namespace kev {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int64_t kTickMs = 250;     // progress, children, disk
constexpr int64_t kMostWaitMs = 50;  // upper bound of one wait, so that silent workers are noticed
constexpr int64_t kOrderlyStopMs = 10000;  // how long Ctrl-C waits for jobs under way
constexpr unsigned kExitsInARow = 5;       // of one stage program, before the run stops

volatile std::sig_atomic_t g_interrupts = 0;
extern "C" void CountInterrupt(int) { g_interrupts = g_interrupts + 1; }

// Counts SIGINT, SIGTERM and SIGHUP while it lives; puts the old handlers back.
class InterruptCounter {
 public:
  InterruptCounter() {
    g_interrupts = 0;
    struct sigaction action{};
    action.sa_handler = CountInterrupt;
    sigaction(SIGINT, &action, &old_int_);
    sigaction(SIGTERM, &action, &old_term_);
    // A terminal that is closed stops the run in good order, unless nohup asked for going on.
    sigaction(SIGHUP, &action, &old_hup_);
    if (old_hup_.sa_handler == SIG_IGN) signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
  }
  ~InterruptCounter() {
    sigaction(SIGINT, &old_int_, nullptr);
    sigaction(SIGTERM, &old_term_, nullptr);
    sigaction(SIGHUP, &old_hup_, nullptr);
  }

 private:
  struct sigaction old_int_{};
  struct sigaction old_term_{};
  struct sigaction old_hup_{};
};

// The address part of tcp://ADDRESS:PORT names this machine only.
bool IsLoopback(const std::string& endpoint) {
  const std::string address = endpoint.substr(6, endpoint.rfind(':') - 6);
  const bool numeric = address.find_first_not_of("0123456789.") == std::string::npos;
  return (numeric && address.starts_with("127.")) || address == "localhost" || address == "[::1]";
}

}  // namespace

struct LiveRun::Parts {
  std::unique_ptr<RunLock> lock;
  std::unique_ptr<EmbeddedRedis> redis;
  std::unique_ptr<RedisStore> store;
  std::unique_ptr<ZmqTransport> transport;
  Fleet fleet;
  SteadyClock clock;
  struct Restart {
    ChildOptions child;
    int64_t at_ms;
  };
  std::map<int, ChildOptions> children;            // by pid, to start them again
  std::map<std::string, unsigned> exits_in_a_row;  // by program
  std::vector<Restart> restarts;
};

LiveRun::LiveRun(LiveOptions options)
    : options_(std::move(options)), parts_(std::make_unique<Parts>()) {}
LiveRun::~LiveRun() = default;

Status CheckListen(const std::vector<std::string>& endpoints, bool insecure) {
  for (const std::string& endpoint : endpoints) {
    const size_t colon = endpoint.rfind(':');
    if (!endpoint.starts_with("tcp://") || colon == std::string::npos || colon <= 6 ||
        colon + 1 == endpoint.size()) {
      return Error{
          Code::kInvalid,
          "--listen " + endpoint + ": write it as tcp://ADDRESS:PORT, e.g. tcp://127.0.0.1:5555"};
    }
    const std::string port = endpoint.substr(colon + 1);
    const bool digits = port.find_first_not_of("0123456789") == std::string::npos;
    if (port != "*" && (!digits || port.size() > 5 || std::stoi(port) > 65535)) {
      return Error{Code::kInvalid, "--listen " + endpoint + ": '" + port +
                                       "' is no port; write a number up to 65535, or * for a free "
                                       "one"};
    }
    if (!IsLoopback(endpoint) && !insecure) {
      return Error{Code::kInvalid,
                   "--listen " + endpoint +
                       ": other machines could join without keys and have their code run here; "
                       "listen on 127.0.0.1, "
                       "or accept that with --insecure on a network that you trust"};
    }
  }
  return {};
}

Status LiveRun::Open() {
  auto lock = RunLock::Take(options_.folder);
  if (!lock) return lock.error();
  parts_->lock = std::move(*lock);
  const auto free = FreeBytes(options_.folder.path);
  if (free && *free < options_.keep_free_bytes) {
    return Error{Code::kDiskFull, "only " + std::to_string(*free >> 20) + " MiB are free in " +
                                      options_.folder.path + ", and a run needs " +
                                      std::to_string(options_.keep_free_bytes >> 20) +
                                      " MiB: make room, or set KEVOLVE_HOME to another disk"};
  }
  PinTo(options_.cores.others);
  EmbeddedRedisOptions redis;
  redis.folder = options_.folder.Redis();
  redis.durability = options_.durability;
  auto server = EmbeddedRedis::Start(redis);
  if (!server) return server.error();
  parts_->redis = std::move(*server);
  auto store = RedisStore::Connect(parts_->redis->Address());
  if (!store) return store.error();
  parts_->store = std::move(*store);
  auto log = parts_->store->WholeLog(options_.folder.id);
  if (!log) return log.error();
  auto core = Fold(options_.folder.id, *log, nullptr);
  if (!core) return core.error();
  core_ = std::move(*core);
  core_->TakeChanged();
  auto epoch = parts_->store->TakeEpoch(options_.folder.id);
  if (!epoch) return epoch.error();
  epoch_ = *epoch;
  return {};
}

Status LiveRun::StartParts() {
  ZmqTransportOptions transport;
  std::error_code ignored;
  fs::remove(options_.folder.EngineSocket(),
             ignored);  // left by an engine that was killed; the lock says it is gone
  transport.endpoints.push_back("ipc://" + options_.folder.EngineSocket());
  for (const std::string& endpoint : options_.listen) transport.endpoints.push_back(endpoint);
  auto bound = ZmqTransport::Bind(transport);
  if (!bound) return bound.error();
  parts_->transport = std::move(*bound);
  for (const std::string& endpoint : parts_->transport->Endpoints()) {
    if (endpoint.starts_with("tcp://"))
      progress_->Note("workers can join: " + CommandName() + " worker --stage STAGE --connect " +
                      endpoint);
  }
  for (const StageProcess& process : options_.processes) {
    for (uint32_t i = 0; i < process.processes; ++i) {
      ChildOptions child;
      child.program = "kevolve-" + process.program;
      child.arguments = process.arguments;
      for (const std::string& word :
           {std::string("--connect"), "ipc://" + options_.folder.EngineSocket(),
            std::string("--slots"), std::to_string(process.slots), std::string("--home"),
            HomeFolder()}) {
        child.arguments.push_back(word);
      }
      child.cores = options_.cores.others;
      child.log = options_.folder.Logs() + "/" + process.program +
                  (i == 0 ? "" : "-" + std::to_string(i)) + ".log";
      auto pid = parts_->fleet.Start(child);
      if (!pid) return pid.error();
      parts_->children[*pid] = std::move(child);
    }
  }
  return {};
}

LiveOutcome LiveRun::Drive(const Beginning& beginning) {
  InterruptCounter interrupts;
  progress_ = std::make_unique<LiveProgress>(options_.output);
  const auto failed = [&](const Error& error, int exit_code) {
    parts_->fleet.Stop(milliseconds(1000));
    return LiveOutcome{exit_code, error.message, ""};
  };
  if (core_->phase() == Phase::kEnded)
    return Conclude();  // it was stopped between its end and its archive
  for (const auto& [ref, bytes] : beginning.blobs) {
    if (const Status s = parts_->store->PutBlob(ref, bytes); !s.ok())
      return failed(s.error(), kExitStoreLost);
  }
  const bool fresh = core_->last_seq() == 0;
  const Plan* plan = &core_->plan();
  for (const Event& event : beginning.events) {
    if (const auto* submitted = std::get_if<RunSubmitted>(&event)) plan = &submitted->plan;
  }
  progress_->Started(options_.folder.id, options_.folder.path, *plan);
  if (const Status s = StartParts(); !s.ok()) return failed(s.error(), kExitEnvironment);

  HostedRunOptions run;
  run.run = options_.folder.id;
  run.epoch = epoch_;
  run.run_time_ms = core_->run_time_ms();
  run.projections = options_.projections;
  auto secret = SecretOf(options_.folder);
  if (!secret) return failed(secret.error(), kExitEnvironment);
  run.secret.Set("seed", *secret);
  host_ = std::make_unique<Host>(parts_->transport.get(), parts_->store.get(), &parts_->clock);
  run_ = &host_->Add(run, core_.get());
  run_->on_committed = [this](const EventGroup& group, const Commit&) {
    progress_->Committed(group, *core_);
  };
  host_->on_worker = [this](const Hello& hello, bool joined, const std::string& why) {
    if (!joined) ReplaceSilent(hello);
    if (!joined && !why.empty() && g_interrupts == 0 && core_->phase() != Phase::kEnded) {
      progress_->Note("lost worker " + hello.worker + " (" + hello.program + "): " + why);
    }
  };
  if (fresh) {
    for (const Event& event : beginning.events) run_->Post(event);
  } else {
    host_->PostRestart(*run_, kDecisionVersion);
  }
  LiveOutcome outcome = Loop();
  if (outcome.exit_code != kExitDone) {
    progress_->ClearLine();
    if (options_.output == OutputMode::kJson)
      std::cout << ToJson(DoneLine(*core_, "")) << std::endl;
    return outcome;
  }
  return Conclude();
}

LiveOutcome LiveRun::Loop() {
  int64_t next_tick = 0;
  int64_t interrupted_at = -1;
  while (!run_->Ended()) {
    bool moved = host_->Turn();
    if (on_turn) on_turn(*host_);
    if (const std::optional<Error> broken = run_->broken() ? run_->broken() : host_->store_lost()) {
      parts_->fleet.Stop(milliseconds(1000));
      std::string message = "the store was lost: " + broken->message;
      if (parts_->redis && !parts_->redis->Alive())
        message += " (" + parts_->redis->LastWords().message + ")";
      return {kExitStoreLost,
              message + "; what was committed is kept: `" + CommandName() + " resume " +
                  options_.folder.id + "` goes on",
              ""};
    }
    const int64_t now = parts_->clock.NowMs();
    if (g_interrupts >= 2) return Interrupted(/*at_once=*/true);
    if (g_interrupts == 1) {
      if (interrupted_at < 0) {
        interrupted_at = now;
        host_->Hold(true);
        progress_->Note("interrupted: waiting for the jobs under way (Ctrl-C again stops at once)");
      }
      const bool quiet = host_->placer().out() == 0 && host_->Settled();
      if (quiet || now - interrupted_at > kOrderlyStopMs) return Interrupted(/*at_once=*/false);
    }
    if (now >= next_tick) {
      next_tick = now + kTickMs;
      progress_->Tick(*core_, {host_->placer().ready(), host_->placer().out()},
                      run_->RunTimeMs(now));
      LiveOutcome outcome;
      if (!WatchChildren(&outcome) || !WatchDisk(&outcome)) return outcome;
    }
    if (moved) continue;
    pollfd fds[2] = {{parts_->transport->Descriptor(), POLLIN, 0},
                     {parts_->store->Descriptor(),
                      static_cast<short>(POLLIN | (parts_->store->WantsWrite() ? POLLOUT : 0)), 0}};
    int64_t wait = host_->WaitMs();
    if (wait < 0 || wait > kMostWaitMs) wait = kMostWaitMs;
    poll(fds, 2, static_cast<int>(wait));
  }
  return {};
}

// Restarts stage processes that ended by themselves; gives up when one keeps ending.
bool LiveRun::WatchChildren(LiveOutcome* outcome) {
  if (g_interrupts > 0) return true;
  for (const ChildExit& exit : parts_->fleet.Reap()) {
    const auto child = parts_->children.find(exit.pid);
    if (child == parts_->children.end()) continue;
    unsigned& exits = parts_->exits_in_a_row[exit.program];
    exits = exit.lived > milliseconds(10000) ? 1 : exits + 1;
    if (exits >= kExitsInARow) {
      parts_->fleet.Stop(milliseconds(1000));
      *outcome = {kExitEnvironment,
                  exit.Text() + "; it ended " + std::to_string(exits) +
                      " times in a row. Mend what its log says, then `" + CommandName() +
                      " resume " + options_.folder.id + "`",
                  ""};
      return false;
    }
    progress_->Note(exit.Text() + "; starting it again");
    parts_->restarts.push_back(
        {child->second, parts_->clock.NowMs() + RestartDelay(exits).count()});
    parts_->children.erase(child);
  }
  auto& restarts = parts_->restarts;
  for (auto it = restarts.begin(); it != restarts.end();) {
    if (it->at_ms > parts_->clock.NowMs()) {
      ++it;
      continue;
    }
    auto pid = parts_->fleet.Start(it->child);
    if (!pid) {
      *outcome = {kExitEnvironment, pid.error().message, ""};
      return false;
    }
    parts_->children[*pid] = it->child;
    it = restarts.erase(it);
  }
  return true;
}

void LiveRun::ReplaceSilent(const Hello& hello) {
  const size_t colon = hello.worker.rfind(':');
  const int pid = colon == std::string::npos ? 0 : std::atoi(hello.worker.c_str() + colon + 1);
  const auto child = parts_->children.find(pid);
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  if (child == parts_->children.end() || hello.host != host) return;
  // A worker that has come back has a session of its own again.
  const auto& sessions = host_->sessions();
  const auto same = [&](const auto& entry) { return entry.second.worker == hello.worker; };
  if (std::count_if(sessions.begin(), sessions.end(), same) > 1) return;
  if (g_interrupts == 0 && core_->phase() != Phase::kEnded)
    (void)parts_->fleet.Signal(pid, SIGKILL);
}

bool LiveRun::WatchDisk(LiveOutcome* outcome) {
  const auto free = FreeBytes(options_.folder.path);
  if (!free || *free >= options_.keep_free_bytes) return true;
  host_->Hold(true);
  parts_->fleet.Stop(milliseconds(1000));
  *outcome = {kExitEnvironment,
              "the disk is nearly full: " + std::to_string(*free >> 20) + " MiB are left for " +
                  options_.folder.path + "; nothing more is started. Make room, then `" +
                  CommandName() + " resume " + options_.folder.id + "`",
              ""};
  return false;
}

LiveOutcome LiveRun::Interrupted(bool at_once) {
  parts_->fleet.Stop(at_once ? milliseconds(0) : milliseconds(2000));
  // What was reported before the stop is still committed.
  if (!at_once) {
    const int64_t until = parts_->clock.NowMs() + 2000;
    while (!host_->Settled() && !host_->store_lost() && parts_->clock.NowMs() < until) {
      if (!host_->Turn()) poll(nullptr, 0, 1);
    }
  }
  return {kExitInterrupted,
          "interrupted after " + std::to_string(core_->candidates().size()) +
              " candidates; the state is kept: `" + CommandName() + " resume " +
              options_.folder.id + "` goes on",
          ""};
}

Result<std::string> LiveRun::SaveBest() {
  if (!core_->best()) return std::string();
  const Candidate& c = core_->candidates()[core_->best()->candidate.number - 1];
  auto source = parts_->store->Blob(c.view.source.sha256);
  if (!source) return source.error();
  std::error_code error;
  fs::create_directories(options_.folder.Best(), error);
  const std::string path = options_.folder.Best() + "/" + core_->plan().task +
                           fs::path(c.view.source_name).extension().string();
  if (const Status s = WriteFile(path, *source); !s.ok()) return s.error();
  return path;
}

Status LiveRun::WriteArchive() {
  auto log = parts_->store->WholeLog(options_.folder.id);
  if (!log) return log.error();
  auto writer = ArchiveWriter::Create(options_.folder.Archive());
  if (!writer) return writer.error();
  Value header;
  header.Set("run", options_.folder.id);
  header.Set("format", "kevrun");
  header.Set("about", core_->about());
  header.Set("decision_version", kDecisionVersion);
  if (Status s = (*writer)->AddHeader(header); !s.ok()) return s;
  // Every blob that the log names goes along: what the attempts printed, samples, artefacts,
  // sources.
  std::map<std::string, BlobRef> blobs;
  const auto want = [&](const BlobRef& ref) {
    if (!ref.empty()) blobs[ref.sha256] = ref;
  };
  for (const LogEntry& entry : *log) {
    if (Status s = (*writer)->AddLog(entry); !s.ok()) return s;
    auto group = DecodeGroup(entry.body, entry.digest);
    if (!group) return group.error();
    for (const Event& event : group->events) {
      if (const auto* submitted = std::get_if<RunSubmitted>(&event)) {
        want(submitted->plan.context);
        for (const Prepared& prepared : submitted->plan.prepared) want(prepared.source);
      } else if (const auto* report = std::get_if<JobReported>(&event)) {
        for (const auto& [name, ref] : report->result.blobs) want(ref);
        for (const Artefact& artefact : report->result.artefacts) want(artefact.blob);
        for (const Proposal& proposal : report->result.proposals) want(proposal.source);
      }
    }
  }
  for (const auto& [sha, ref] : blobs) {
    auto bytes = parts_->store->Blob(sha);
    if (!bytes) {
      if (bytes.error().code == Code::kNotFound)
        continue;  // named by a result, never sent (null stages)
      return bytes.error();
    }
    if (Status s = (*writer)->AddBlob(ref, *bytes); !s.ok()) return s;
  }
  return (*writer)->Finish();
}

LiveOutcome LiveRun::Conclude() {
  if (host_) {
    host_->DrainWorkers();
    parts_->fleet.Stop(milliseconds(2000));
  }
  progress_->ClearLine();
  const RunEnded& ended = *core_->ended();
  LiveOutcome outcome;
  Result<std::string> source = std::string();
  if (options_.archive) source = SaveBest();
  if (!source)
    return {kExitEnvironment,
            "cannot save the best kernel: " + source.error().message + "; the run is kept: `" +
                CommandName() + " resume " + options_.folder.id + "`",
            ""};
  outcome.source_path = *source;
  if (options_.archive) {
    if (const Status s = WriteArchive(); !s.ok()) {
      return {kExitEnvironment,
              "cannot write the archive: " + s.error().message + "; the run is kept: `" +
                  CommandName() + " resume " + options_.folder.id + "` tries again",
              ""};
    }
    parts_->store.reset();
    if (const Status s = parts_->redis->Stop(); !s.ok()) outcome.message = s.error().message;
    std::error_code ignored;
    fs::remove_all(options_.folder.Redis(), ignored);
    fs::remove(options_.folder.EngineSocket(), ignored);
  }
  if (options_.output == OutputMode::kJson) {
    std::cout << ToJson(DoneLine(*core_, outcome.source_path)) << std::endl;
  } else if (options_.output != OutputMode::kSilent) {
    std::cout << ClosingReport(*core_, outcome.source_path, CommandName()) << std::flush;
  }
  if (ended.status == "failed") {
    outcome.exit_code = kExitTaskBroken;
    if (options_.output == OutputMode::kJson) outcome.message = ended.message;
  } else if (!core_->best()) {
    outcome.exit_code = kExitNoneStood;
  }
  return outcome;
}

}  // namespace kev
