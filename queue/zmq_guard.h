// ZmqGuard: says who may come in where keys are asked for (ZeroMQ's ZAP, RFC 27): only known public
// keys pass, and a message's User-Id is the role of the key it came with. Everything else is
// refused.
//
// libzmq 4.3.4 lets any key in when nobody answers ZAP (measured; enforcing needs the draft API),
// so the transport also refuses sessions without a User-Id. Threads: one of its own, which ends
// with it; the keys are fixed at the start. Errors: of starting it.
#ifndef KEV_QUEUE_ZMQ_GUARD_H_
#define KEV_QUEUE_ZMQ_GUARD_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/core/result.h"
#include "engine/host/transport.h"
#include "queue/zmq_socket.h"

namespace kev {

class ZmqGuard {
 public:
  // `roles`: by public key (Z85). Start it before anything is bound that asks for keys; the context
  // outlives it.
  static Result<std::unique_ptr<ZmqGuard>> Start(const ZmqContext& context,
                                                 std::map<std::string, Role> roles);
  ~ZmqGuard();
  ZmqGuard(const ZmqGuard&) = delete;
  ZmqGuard& operator=(const ZmqGuard&) = delete;
  // Addresses of peers whose keys were refused since the last call. From any thread.
  std::vector<std::string> TakeRefused();

 private:
  ZmqGuard(std::map<std::string, Role> roles, int stop) : roles_(std::move(roles)), stop_(stop) {}
  void Run(void* socket);
  bool Answer(void* socket);

  const std::map<std::string, Role> roles_;
  const int stop_;  // eventfd
  std::mutex mutex_;
  std::vector<std::string> refused_;
  std::thread thread_;
};

}  // namespace kev

#endif  // KEV_QUEUE_ZMQ_GUARD_H_
