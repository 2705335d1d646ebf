// StageFleet: the stage processes of this machine. Starts what is asked for and not there yet,
// starts again what ended by itself or lost its session, and gives up on what keeps ending.
//
// Threads: the main one only (children die with the thread that started them). Errors: Watch says
// which program keeps ending, and where its log is; it is not started again by itself then.
#ifndef KEV_TOOLS_LIVE_STAGE_FLEET_H_
#define KEV_TOOLS_LIVE_STAGE_FLEET_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "engine/host/transport.h"
#include "runners/fleet/fleet.h"
#include "tools/live/machine.h"

namespace kev {

class StageFleet {
 public:
  struct Place {
    std::string endpoint;    // the engine's
    std::string logs;        // folder
    std::vector<int> cores;  // that they may use
  };
  StageFleet(Place place, std::function<void(const std::string&)> note)
      : place_(std::move(place)), note_(std::move(note)) {}

  // Starts of each program as many processes as are wanted and missing.
  Status Want(const std::vector<StageProcess>& processes);
  Status Watch(int64_t now_ms);
  // A worker has, or had, a session, and finished so many jobs in it.
  void Seen(const Hello& hello, uint64_t finished);
  // A worker lost its session; if it is one of ours it is ended, and so started again.
  // `still_there`: it has another session.
  void SessionLost(const Hello& hello, bool still_there);
  bool Owns(const Hello& hello) const;
  void LetGo() { stopping_ = true; }  // from now on nothing is started again
  void Stop(std::chrono::milliseconds grace);
  size_t Running() const { return fleet_.Running(); }

 private:
  // What a process has done since it was started.
  enum class Did { kNothing, kJoined, kWorked };
  struct Process {
    ChildOptions options;  // to start it again
    Did did = Did::kNothing;
  };
  struct Exits {  // in a row, of one program
    unsigned unjoined = 0;
    unsigned fruitless = 0;  // it had joined, and finished nothing
  };
  struct Restart {
    ChildOptions child;
    int64_t at_ms;
  };
  size_t Count(const std::string& program) const;
  Status Start(const ChildOptions& child);
  Result<std::chrono::milliseconds> Judge(const ChildExit& exit, Did did);

  Place place_;
  std::function<void(const std::string&)> note_;
  Fleet fleet_;
  std::map<int, Process> children_;  // by pid
  std::map<std::string, Exits> exits_;
  std::vector<Restart> restarts_;
  bool stopping_ = false;
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_STAGE_FLEET_H_
