#include "tools/live/stage_fleet.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "tools/live/home.h"

namespace kev {
namespace {

using std::chrono::milliseconds;

constexpr unsigned kExitsInARow = 5;  // of one program, before it is given up
constexpr milliseconds kLivedWell{10000};

int PidOf(const Hello& hello) {
  const size_t colon = hello.worker.rfind(':');
  return colon == std::string::npos ? 0 : std::atoi(hello.worker.c_str() + colon + 1);
}

}  // namespace

size_t StageFleet::Count(const std::string& program) const {
  const auto waiting = std::count_if(restarts_.begin(), restarts_.end(),
                                     [&](const Restart& r) { return r.child.program == program; });
  const auto there = std::count_if(children_.begin(), children_.end(),
                                   [&](const auto& c) { return c.second.program == program; });
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
  children_[*pid] = child;
  return {};
}

Status StageFleet::Watch(int64_t now_ms) {
  if (stopping_) return {};
  for (const ChildExit& exit : fleet_.Reap()) {
    const auto child = children_.find(exit.pid);
    if (child == children_.end()) continue;
    const ChildOptions options = std::move(child->second);
    children_.erase(child);
    unsigned& exits = exits_in_a_row_[exit.program];
    exits = exit.lived > kLivedWell ? 1 : exits + 1;
    if (exits >= kExitsInARow) {
      const unsigned times = std::exchange(exits, 0);
      return Error{Code::kUnavailable,
                   exit.Text() + "; it ended " + std::to_string(times) + " times in a row"};
    }
    note_(exit.Text() + "; starting it again");
    restarts_.push_back({options, now_ms + RestartDelay(exits).count()});
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
