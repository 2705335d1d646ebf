// Hooks: what stands between the real parts of a simulation. A test puts faulty ones there, to see
// that what they do is found (tests/tools/sim_test.cc).
//
// Threads: one at a time. Errors: none.
#ifndef KEV_TOOLS_SIM_HOOKS_H_
#define KEV_TOOLS_SIM_HOOKS_H_

#include <functional>
#include <memory>

#include "engine/host/store.h"
#include "engine/host/transport.h"
#include "queue/peer_protocol.h"

namespace kev::sim {

// Each is given the real one; what it gives is used in its stead. Empty: the real one is.
struct Hooks {
  std::function<std::unique_ptr<Transport>(Transport*)> transport;     // below the host
  std::function<std::unique_ptr<Store>(Store*)> store;                 // likewise
  std::function<std::unique_ptr<PeerProtocol>(PeerProtocol*)> worker;  // above its connection
};

}  // namespace kev::sim

#endif  // KEV_TOOLS_SIM_HOOKS_H_
