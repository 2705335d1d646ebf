// FakeTransport: scripted sessions. A test says what arrives and looks at what was sent.
//
// Messages are sent when they are flushed, as with the real one. Threads: one at a time. Errors:
// none; what is sent to a session that is gone is dropped and counted.
#ifndef KEV_ENGINE_HOST_FAKE_FAKE_TRANSPORT_H_
#define KEV_ENGINE_HOST_FAKE_FAKE_TRANSPORT_H_

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "engine/host/transport.h"

namespace kev {

class FakeTransport : public Transport {
 public:
  // A new session whose first message is `hello`.
  SessionId Connect(Hello hello);
  // The session ends; `orderly` when the worker said BYE.
  void Disconnect(SessionId session, const std::string& reason, bool orderly = false);
  // `message` arrives on `session`; dropped when the session has ended.
  void Arrive(SessionId session, decltype(Inbound::message) message);

  // What was sent on `session` since the last call, in order.
  std::vector<Outbound> TakeSent(SessionId session);
  // Of what was sent on `session`, the messages of type T; the others stay.
  template <typename T>
  std::vector<T> TakeSent(SessionId session) {
    std::vector<T> taken;
    std::vector<Outbound> rest;
    for (Outbound& message : sent_[session]) {
      if (T* wanted = std::get_if<T>(&message))
        taken.push_back(std::move(*wanted));
      else
        rest.push_back(std::move(message));
    }
    sent_[session] = std::move(rest);
    return taken;
  }
  uint64_t dropped() const { return dropped_; }

  std::vector<Inbound> Receive(size_t most) override;
  void Send(SessionId session, Outbound message) override;
  void Flush() override;
  int Descriptor() const override { return -1; }

 private:
  SessionId last_ = 0;
  std::map<SessionId, bool> live_;
  std::deque<Inbound> arriving_;
  std::vector<std::pair<SessionId, Outbound>> queued_;
  std::map<SessionId, std::vector<Outbound>> sent_;
  uint64_t dropped_ = 0;
};

}  // namespace kev

#endif  // KEV_ENGINE_HOST_FAKE_FAKE_TRANSPORT_H_
