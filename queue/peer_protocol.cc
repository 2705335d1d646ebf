#include "queue/peer_protocol.h"

#include <algorithm>
#include <utility>

#include "queue/codec.h"

namespace kev {
namespace {

constexpr int64_t kReopenPauseUs = 250'000;  // for connections that break before WELCOME
constexpr int kMostRefusals = 3;

}  // namespace

Result<PeerMessage> DecodePeerMessage(const Frames& frames) {
  const auto malformed = [](const std::string& what) {
    return Error{Code::kCorrupt, "malformed message: " + what};
  };
  if (frames.size() < 2) return malformed("frames are missing");
  Result<WireHeader> header = DecodeHeader(frames[0]);
  if (!header) return header.error();
  Result<Value> body = Decode(frames[1]);
  if (!body) return body.error();
  PeerMessage message{*header, std::move(*body), {}};
  if (!IsBatch(header->type)) return message;
  Result<std::vector<BatchItem>> batch = BatchFrom(message.body);
  if (!batch) return batch.error();
  if (batch->size() != header->count) return malformed("a batch has another count than it says");
  if (frames.size() != 2 + (header->type == MessageType::kJobs ? batch->size() : 0))
    return malformed(std::string(Name(header->type)) + " with frames missing or left over");
  message.batch = std::move(*batch);
  return message;
}

PeerLink::PeerLink(std::string engine, std::chrono::milliseconds lost_grace)
    : engine_(std::move(engine)), lost_grace_us_(std::chrono::microseconds(lost_grace).count()) {}

void PeerLink::Opened(int64_t now_us) {
  greeted_ = welcomed_ = blocked_ = false;
  seq_in_ = seq_out_ = 0;
  opened_us_ = pinged_us_ = now_us;
  if (heard_us_ < 0) heard_us_ = now_us;
}

PeerNext PeerLink::Closed(int64_t now_us) {
  if (over_) return PeerNext::kEnd;
  // One that was never made, or broke at once, is tried again at the adapter's own pace.
  if (welcomed_ || (greeted_ && now_us - opened_us_ >= kReopenPauseUs)) return PeerNext::kReopen;
  return PeerNext::kGoOn;
}

PeerNext PeerLink::End(Status status) {
  if (!over_) ending_ = std::move(status);
  over_ = true;
  return PeerNext::kEnd;
}

PeerNext PeerLink::Unreadable(const Error& error) {
  if (over_) return PeerNext::kEnd;
  if (error.code == Code::kConflict) return End(error);
  if (++refusals_ < kMostRefusals) return PeerNext::kReopen;
  return End(Error{Code::kCorrupt,
                   "what the engine at " + engine_ + " sends cannot be read: " + error.message});
}

PeerNext PeerLink::Read(const PeerMessage& message, int64_t now_us, bool* take) {
  *take = false;
  if (over_) return PeerNext::kEnd;
  heard_us_ = now_us;
  const WireHeader& header = message.header;
  if (header.type == MessageType::kReject) {
    const Rejected rejected = RejectFrom(message.body);
    switch (rejected.reason) {
      case RejectReason::kResync:
        return PeerNext::kReopen;
      case RejectReason::kVersion:
        return End(Error{Code::kInvalid,
                         "the engine at " + engine_ + " refused this process: " + rejected.text});
      case RejectReason::kRefused:
        return End(Error{Code::kPermission,
                         "the engine at " + engine_ + " refused this process: " + rejected.text});
      case RejectReason::kMalformed:
        if (++refusals_ < kMostRefusals) return PeerNext::kReopen;
        return End(Error{
            Code::kInternal,
            "the engine at " + engine_ + " cannot take what this process sends: " + rejected.text});
    }
  }
  if (header.seq != seq_in_ + 1) return PeerNext::kReopen;
  seq_in_ = header.seq;
  if (header.type == MessageType::kPong) {
    round_trip_us_ = static_cast<double>(now_us - pinged_us_);
    return PeerNext::kGoOn;
  }
  if (header.type == MessageType::kWelcome) {
    const Result<WelcomeBody> welcome = WelcomeFrom(message.body);
    if (!welcome) return Unreadable(welcome.error());
    if (welcomed_) return PeerNext::kReopen;
    welcomed_ = true;
    engine_minor_ = header.minor;
    heartbeat_us_ = std::chrono::microseconds(welcome->heartbeat).count();
    liveness_ = welcome->liveness;
  } else if (!welcomed_) {
    return PeerNext::kReopen;
  }
  *take = true;
  return PeerNext::kGoOn;
}

PeerNext PeerLink::CheckSilence(int64_t now_us) {
  if (over_) return PeerNext::kEnd;
  if (now_us - heard_us_ > lost_grace_us_) {
    return End(Error{Code::kUnavailable, "nothing heard from the engine at " + engine_ + " for " +
                                             std::to_string(lost_grace_us_ / 1000) + " ms"});
  }
  const int64_t limit_us = heartbeat_us_ * liveness_;
  return now_us - std::max(heard_us_, opened_us_) > limit_us ? PeerNext::kReopen : PeerNext::kGoOn;
}

bool PeerLink::Greet(FrameSink* sink, std::string_view hello) {
  greeted_ = Send(sink, MessageType::kHello, hello);
  return greeted_;
}

bool PeerLink::Send(FrameSink* sink, MessageType type, std::string_view body,
                    const std::vector<std::string_view>& payloads, size_t count) {
  WireHeader head;
  head.type = type;
  head.count = static_cast<uint16_t>(count);
  head.seq = seq_out_ + 1;
  const std::string header = EncodeHeader(head);
  Frames frames{header, body};
  frames.insert(frames.end(), payloads.begin(), payloads.end());
  blocked_ = !sink->Send("", frames);
  if (!blocked_) ++seq_out_;
  return !blocked_;
}

void PeerLink::Ping(FrameSink* sink, int64_t now_us) {
  if (now_us - pinged_us_ < heartbeat_us_) return;
  if (Send(sink, MessageType::kPing, kEmptyBody)) pinged_us_ = now_us;
}

int64_t PeerLink::WakeUs(int64_t now_us) const {
  int64_t next = pinged_us_ + heartbeat_us_;
  if (!welcomed_ || blocked_) next = now_us + std::min<int64_t>(heartbeat_us_, kReopenPauseUs);
  return std::min(next, heard_us_ + lost_grace_us_ + 1000);
}

}  // namespace kev
