// PeerTap: stands between a worker's protocol and its connection. It checks that the engine never
// sends more jobs than the worker has room for, and it can lie: put forged messages between the
// true ones, with sequence numbers that fit.
//
// Threads: one at a time. Errors: too many jobs are told to the Story as a violation.
#ifndef KEV_TOOLS_SIM_PEER_TAP_H_
#define KEV_TOOLS_SIM_PEER_TAP_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/random.h"
#include "queue/peer_protocol.h"
#include "tools/sim/story.h"

namespace kev::sim {

// What a lying worker can claim about an attempt that it does not have.
struct Forgery {
  std::string run;
  JobKey key;
  uint32_t attempt = 0;
};

class PeerTap final : public PeerProtocol {
 public:
  PeerTap(PeerProtocol* inner, std::string name, uint32_t slots, uint64_t seed, Story* story)
      : inner_(inner),
        name_(std::move(name)),
        slots_(slots),
        random_(seed, "tap " + name_),
        story_(story) {}

  // At the next chance: a lie about `victim`, if there is one, or about what it has itself.
  void Lie(std::optional<Forgery> victim) { lie_ = true, victim_ = std::move(victim); }
  // In the next HELLO it says that it has `victim`.
  void Claim(Forgery victim) { claim_ = std::move(victim); }
  void ClaimNothing() { claim_.reset(); }
  bool claimed() const { return claimed_; }  // and the engine may have believed it

  void Opened(int64_t now_us) override;
  PeerNext Closed(int64_t now_us) override { return inner_->Closed(now_us); }
  PeerNext Refused(Error why) override { return inner_->Refused(std::move(why)); }
  PeerNext Read(const Frames& frames, int64_t now_us) override;
  PeerNext Write(FrameSink* sink, int64_t now_us) override;
  int64_t WakeUs(int64_t now_us) const override { return inner_->WakeUs(now_us); }

 private:
  class Sink;
  bool Pass(FrameSink* sink, const Frames& frames);
  bool Claim(FrameSink* sink, const Frames& hello);
  bool Put(FrameSink* sink, MessageType type, const std::string& body,
           const std::vector<std::string_view>& payloads, size_t count);
  void Forge(FrameSink* sink);

  PeerProtocol* inner_;
  std::string name_;
  uint32_t slots_;
  CounterRandom random_;
  Story* story_;
  bool welcomed_ = false;
  uint64_t received_ = 0;  // jobs in this session
  uint64_t room_ = 0;      // what the engine may have sent in it at most
  uint64_t forged_ = 0;    // messages in this session
  uint64_t last_out_ = 0;  // sequence number
  bool lie_ = false;
  std::optional<Forgery> victim_;
  std::optional<Forgery> claim_;
  bool claimed_ = false;
  std::vector<std::string> last_result_;  // frames, to be sent a second time
};

}  // namespace kev::sim

#endif  // KEV_TOOLS_SIM_PEER_TAP_H_
