#include "tools/live/stage_fleet.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "tools/live/home.h"

namespace kev {
namespace {

using std::chrono::milliseconds;

// Exits of one program in a row before it is given up. One that takes jobs and ends may do so
// because of the jobs, which become poison one by one; these deaths are counted less strictly.
constexpr unsigned kMostUnjoined = 5;
constexpr unsigned kMostFruitless = 30;
constexpr milliseconds kLivedWell{10000};
constexpr milliseconds kMostDelayOfJoined{1000};

int PidOf(const Hello& hello) {
  const size_t colon = hello.worker.rfind(':');
  return colon == std::string::npos ? 0 : std::atoi(hello.worker.c_str() + colon + 1);
}

}  // namespace

size_t StageFleet::Count(const std::string& program) const {
  const auto waiting = std::count_if(restarts_.begin(), restarts_.end(),
                                     [&](const Restart& r) { return r.child.program == program; });
  const auto there = std::count_if(children_.begin(), children_.end(), [&](const auto& c) {
    return c.second.options.program == program;
  });
  return static_cast<size_t>(waiting + there);
}

Status StageFleet::Want(const std::vector<StageProcess>& processes) {
  stopping_ = false;
  for (const StageProcess& process : processes) {
    ChildOptions child;
    child.program = "kevolve-" + process.program;
    child.arguments = process.arguments;
    for (const std::string& word :
         {std::string("--connect"), place_.endpoint, std::string("--slots"),
          std::to_string(process.slots), std::string("--home"), HomeFolder()}) {
      child.arguments.push_back(word);
    }
    child.cores = place_.cores;
    // Processes with words of their own (the benchmark's) are not alike: all are started.
    const size_t there = process.arguments.empty() ? Count(child.program) : 0;
    for (size_t i = there; i < process.processes; ++i) {
      child.log =
          place_.logs + "/" + process.program + (i == 0 ? "" : "-" + std::to_string(i)) + ".log";
      if (Status s = Start(child); !s.ok()) return s;
    }
  }
  return {};
}

Status StageFleet::Start(const ChildOptions& child) {
  auto pid = fleet_.Start(child);
  if (!pid) return pid.error();
  children_[*pid] = Process{child, Did::kNothing};
  return {};
}

Status StageFleet::Watch(int64_t now_ms) {
  if (stopping_) return {};
  for (const ChildExit& exit : fleet_.Reap()) {
    const auto child = children_.find(exit.pid);
    if (child == children_.end()) continue;
    const Process process = std::move(child->second);
    children_.erase(child);
    const Result<milliseconds> delay = Judge(exit, process.did);
    if (!delay) return delay.error();
    note_(exit.Text() + "; starting it again");
    restarts_.push_back({process.options, now_ms + delay->count()});
  }
  for (auto it = restarts_.begin(); it != restarts_.end();) {
    if (it->at_ms > now_ms) {
      ++it;
      continue;
    }
    const ChildOptions child = std::move(it->child);
    it = restarts_.erase(it);
    if (Status s = Start(child); !s.ok()) return s;
  }
  return {};
}

// How long to wait before it is started again; an error when it is given up.
Result<milliseconds> StageFleet::Judge(const ChildExit& exit, Did did) {
  Exits& exits = exits_[exit.program];
  if (did == Did::kWorked || exit.lived > kLivedWell) {
    exits = {};
    return RestartDelay(1);
  }
  const bool joined = did == Did::kJoined;
  const unsigned times = joined ? ++exits.fruitless : ++exits.unjoined;
  if (times < (joined ? kMostFruitless : kMostUnjoined))
    return joined ? RestartDelay(times, milliseconds(100), kMostDelayOfJoined)
                  : RestartDelay(times);
  exits = {};
  return Error{Code::kUnavailable,
               exit.Text() + "; it ended " + std::to_string(times) + " times in a row" +
                   (joined ? ", each time with jobs and without finishing one" : "")};
}

void StageFleet::Seen(const Hello& hello, uint64_t finished) {
  if (!Owns(hello)) return;
  Did& did = children_.at(PidOf(hello)).did;
  did = std::max(did, finished > 0 ? Did::kWorked : Did::kJoined);
}

bool StageFleet::Owns(const Hello& hello) const {
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  return hello.host == host && children_.contains(PidOf(hello));
}

void StageFleet::SessionLost(const Hello& hello, bool still_there) {
  if (!stopping_ && !still_there && Owns(hello)) (void)fleet_.Signal(PidOf(hello), SIGKILL);
}

void StageFleet::Stop(milliseconds grace) {
  stopping_ = true;
  fleet_.Stop(grace);
  children_.clear();
  restarts_.clear();
}

}  // namespace kev
