// ClientProtocol: the side of one who asks and orders (kevolve pause, attach, …) without sockets,
// threads or clocks. A call is sent again in each new session until it is answered, so an engine
// that comes back may see it twice: methods that must not act twice carry a key of their own.
//
// Threads: one at a time. Errors: ending(); a call that is not answered stays `done == false`, its
// deadline is the caller's to keep. Blocking, over ZeroMQ: queue/client_session.h; in memory:
// queue/fake/memory_network.h.
#ifndef KEV_QUEUE_CLIENT_PROTOCOL_H_
#define KEV_QUEUE_CLIENT_PROTOCOL_H_

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/host/transport.h"
#include "queue/peer_protocol.h"

namespace kev {

struct ClientProtocolOptions {
  Hello hello;           // role, worker (a name for logs), host, version are looked at
  std::string instance;  // random name of this process
  std::string engine;    // its address, for messages
  std::chrono::milliseconds engine_lost_grace{30000};
};

struct ClientQuestion {
  std::string method;
  Value arguments;
  std::vector<std::pair<BlobRef, std::string>> blobs;
  bool sent = false;  // in this session
  bool done = false;
  Status status;
  Value value;
};

class ClientProtocol final : public PeerProtocol {
 public:
  explicit ClientProtocol(ClientProtocolOptions options)
      : options_(std::move(options)), link_(options_.engine, options_.engine_lost_grace) {}

  void Opened(int64_t now_us) override;
  PeerNext Closed(int64_t now_us) override { return link_.Closed(now_us); }
  PeerNext Refused(Error why) override { return link_.End(std::move(why)); }
  PeerNext Read(const Frames& frames, int64_t now_us) override;
  PeerNext Write(FrameSink* sink, int64_t now_us) override;
  int64_t WakeUs(int64_t now_us) const override {
    return said_bye_ ? now_us + link_.heartbeat_us() : link_.WakeUs(now_us);
  }

  std::shared_ptr<const ClientQuestion> Call(
      std::string method, Value arguments, std::vector<std::pair<BlobRef, std::string>> blobs = {});
  // The answer does not interest any more.
  void Forget(const std::shared_ptr<const ClientQuestion>& question);
  void Leave() { leaving_ = true; }  // says BYE when nothing is open, ends on BYE_ACK

  bool over() const { return link_.over(); }
  bool welcomed() const { return link_.welcomed(); }
  const Status& ending() const { return link_.ending(); }

 private:
  ClientProtocolOptions options_;
  PeerLink link_;
  std::map<uint64_t, std::shared_ptr<ClientQuestion>> open_;  // by id
  uint64_t last_id_ = 0;
  bool leaving_ = false;
  bool said_bye_ = false;
};

}  // namespace kev

#endif  // KEV_QUEUE_CLIENT_PROTOCOL_H_
