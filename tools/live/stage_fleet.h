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
  // A worker lost its session; if it is one of ours it is ended, and so started again.
  // `still_there`: it has another session.
  void SessionLost(const Hello& hello, bool still_there);
  bool Owns(const Hello& hello) const;
  void LetGo() { stopping_ = true; }  // from now on nothing is started again
  void Stop(std::chrono::milliseconds grace);
  size_t Running() const { return fleet_.Running(); }

 private:
  struct Restart {
    ChildOptions child;
    int64_t at_ms;
  };
  size_t Count(const std::string& program) const;
  Status Start(const ChildOptions& child);

  Place place_;
  std::function<void(const std::string&)> note_;
  Fleet fleet_;
  std::map<int, ChildOptions> children_;  // by pid, to start them again
  std::map<std::string, unsigned> exits_in_a_row_;
  std::vector<Restart> restarts_;
  bool stopping_ = false;
};

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_STAGE_FLEET_H_
