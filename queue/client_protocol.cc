#include "queue/client_protocol.h"

namespace kev {

void ClientProtocol::Opened(int64_t now_us) {
  link_.Opened(now_us);
  said_bye_ = false;
  for (auto& [id, question] : open_) question->sent = false;
}

PeerNext ClientProtocol::Read(const Frames& frames, int64_t now_us) {
  const Result<PeerMessage> message = DecodePeerMessage(frames);
  if (!message) return link_.Unreadable(message.error());
  bool take = false;
  const PeerNext next = link_.Read(*message, now_us, &take);
  if (!take) return next;
  switch (message->header.type) {
    case MessageType::kWelcome:
      return PeerNext::kGoOn;
    case MessageType::kReply: {
      Result<ClientReply> reply = ReplyFrom(message->body);
      if (!reply) return link_.Unreadable(reply.error());
      link_.Accepted();
      const auto it = open_.find(reply->id);
      if (it == open_.end()) return PeerNext::kGoOn;
      it->second->status = std::move(reply->status);
      it->second->value = std::move(reply->value);
      it->second->done = true;
      open_.erase(it);
      return PeerNext::kGoOn;
    }
    case MessageType::kDrain:
      leaving_ = true;
      return PeerNext::kGoOn;
    case MessageType::kByeAck:
      return link_.End({});
    default:
      return PeerNext::kReopen;
  }
}

PeerNext ClientProtocol::Write(FrameSink* sink, int64_t now_us) {
  const PeerNext next = link_.CheckSilence(now_us);
  if (next != PeerNext::kGoOn) return next;
  if (leaving_ && open_.empty() && !link_.welcomed()) return link_.End({});
  if (!link_.greeted()) {
    link_.Greet(sink, EncodeHello(options_.hello, options_.instance));
    return PeerNext::kGoOn;
  }
  if (!link_.welcomed() || said_bye_) return PeerNext::kGoOn;
  for (auto& [id, question] : open_) {
    if (question->sent) continue;
    std::vector<BlobRef> refs;
    std::vector<std::string_view> payloads;
    for (const auto& [ref, bytes] : question->blobs) {
      refs.push_back(ref);
      payloads.push_back(bytes);
    }
    const std::string body = EncodeCall(id, question->method, question->arguments, refs);
    if (!link_.Send(sink, MessageType::kCall, body, payloads, 1)) return PeerNext::kGoOn;
    question->sent = true;
  }
  if (leaving_ && open_.empty()) {
    said_bye_ = link_.Send(sink, MessageType::kBye, kEmptyBody);
    return PeerNext::kGoOn;
  }
  link_.Ping(sink, now_us);
  return PeerNext::kGoOn;
}

std::shared_ptr<const ClientQuestion> ClientProtocol::Call(
    std::string method, Value arguments, std::vector<std::pair<BlobRef, std::string>> blobs) {
  auto question = std::make_shared<ClientQuestion>();
  question->method = std::move(method);
  question->arguments = std::move(arguments);
  question->blobs = std::move(blobs);
  open_[++last_id_] = question;
  return question;
}

void ClientProtocol::Forget(const std::shared_ptr<const ClientQuestion>& question) {
  std::erase_if(open_, [&](const auto& open) { return open.second == question; });
}

}  // namespace kev
