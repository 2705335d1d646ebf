#include "engine/host/fake/fake_transport.h"

namespace kev {

SessionId FakeTransport::Connect(Hello hello) {
  const SessionId session = ++last_;
  live_[session] = true;
  arriving_.push_back({session, std::move(hello)});
  return session;
}

void FakeTransport::Disconnect(SessionId session, const std::string& reason, bool orderly) {
  if (!live_[session]) return;
  live_[session] = false;
  sent_.erase(session);
  arriving_.push_back({session, SessionLost{reason, orderly}});
}

void FakeTransport::Arrive(SessionId session, decltype(Inbound::message) message) {
  if (live_[session]) arriving_.push_back({session, std::move(message)});
}

std::vector<Outbound> FakeTransport::TakeSent(SessionId session) {
  return std::exchange(sent_[session], {});
}

std::vector<Inbound> FakeTransport::Receive(size_t most) {
  std::vector<Inbound> given;
  while (!arriving_.empty() && given.size() < most) {
    given.push_back(std::move(arriving_.front()));
    arriving_.pop_front();
  }
  return given;
}

void FakeTransport::Send(SessionId session, Outbound message) {
  queued_.emplace_back(session, std::move(message));
}

void FakeTransport::Flush() {
  for (auto& [session, message] : std::exchange(queued_, {})) {
    if (live_[session])
      sent_[session].push_back(std::move(message));
    else
      ++dropped_;
  }
}

}  // namespace kev
