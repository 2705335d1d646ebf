#include "tools/sim/peer_tap.h"

#include <algorithm>

#include "queue/codec.h"

namespace kev::sim {

class PeerTap::Sink final : public FrameSink {
 public:
  Sink(PeerTap* tap, FrameSink* link) : tap_(tap), link_(link) {}
  bool Send(std::string_view, const Frames& frames) override { return tap_->Pass(link_, frames); }

 private:
  PeerTap* tap_;
  FrameSink* link_;
};

void PeerTap::Opened(int64_t now_us) {
  welcomed_ = false;
  received_ = room_ = forged_ = last_out_ = 0;
  inner_->Opened(now_us);
}

PeerNext PeerTap::Read(const Frames& frames, int64_t now_us) {
  const Result<WireHeader> header = DecodeHeader(frames[0]);
  if (header && header->type == MessageType::kWelcome) {
    const Result<Value> body = Decode(frames[1]);
    const Result<WelcomeBody> welcome = body ? WelcomeFrom(*body) : body.error();
    if (welcome) {
      welcomed_ = true;
      // Until it hears of credit, the engine counts on the slots that are free.
      room_ = std::max<uint64_t>(room_,
                                 slots_ - std::min<uint64_t>(slots_, welcome->welcome.keep.size()));
    }
  } else if (header && header->type == MessageType::kJobs && welcomed_) {
    received_ += header->count;
    if (received_ > room_) {
      story_->Violate(name_ + " was sent " + std::to_string(received_) + " jobs with credit for " +
                      std::to_string(room_));
    }
  }
  return inner_->Read(frames, now_us);
}

PeerNext PeerTap::Write(FrameSink* sink, int64_t now_us) {
  Sink tapped(this, sink);
  const PeerNext next = inner_->Write(&tapped, now_us);
  if (next == PeerNext::kGoOn && lie_ && welcomed_) Forge(sink);
  return next;
}

bool PeerTap::Pass(FrameSink* sink, const Frames& frames) {
  const Result<WireHeader> header = DecodeHeader(frames[0]);
  if (!header) return sink->Send("", frames);
  if (header->type == MessageType::kCredit) {
    const Result<Value> body = Decode(frames[1]);
    const Result<uint64_t> limit = body ? CreditFrom(*body) : body.error();
    if (limit) room_ = std::max(room_, *limit);
  } else if (header->type == MessageType::kResult && forged_ == 0) {
    last_result_.assign(frames.begin(), frames.end());
  }
  if (header->type == MessageType::kHello && claim_) return Claim(sink, frames);
  WireHeader moved = *header;
  moved.seq += forged_;
  const std::string head = EncodeHeader(moved);
  Frames sent = frames;
  sent[0] = head;
  if (!sink->Send("", sent)) return false;
  last_out_ = moved.seq;
  return true;
}

bool PeerTap::Claim(FrameSink* sink, const Frames& frames) {
  std::string instance;
  const Result<Value> body = Decode(frames[1]);
  Result<Hello> hello = body ? HelloFrom(*body, &instance) : body.error();
  if (!hello) return sink->Send("", frames);
  hello->in_flight.push_back({claim_->run, claim_->key, claim_->attempt});
  claim_.reset();
  claimed_ = true;
  ++story_->tally.lies;
  if (story_->told()) story_->Tell(name_ + " claims what it does not have");
  const std::string forged = EncodeHello(*hello, instance);
  return sink->Send("", {frames[0], forged});
}

bool PeerTap::Put(FrameSink* sink, MessageType type, const std::string& body,
                  const std::vector<std::string_view>& payloads, size_t count) {
  WireHeader header;
  header.type = type;
  header.count = static_cast<uint16_t>(count);
  header.seq = last_out_ + 1;
  const std::string head = EncodeHeader(header);
  Frames frames{head, body};
  frames.insert(frames.end(), payloads.begin(), payloads.end());
  if (!sink->Send("", frames)) return false;
  ++forged_;
  last_out_ = header.seq;
  return true;
}

void PeerTap::Forge(FrameSink* sink) {
  lie_ = false;
  ++story_->tally.lies;
  BatchBody batch;
  if (victim_) batch.Add(victim_->run, victim_->key, victim_->attempt);
  JobResult result;
  result.verdict = Verdict::kWrong;
  result.message = "forged";
  std::string packed;
  Encode(result, &packed);
  const uint64_t kind = random_.Below(7);
  if (story_->told()) story_->Tell(name_ + " lies (" + std::to_string(kind) + ")");
  switch (kind) {
    case 0:
      if (!last_result_.empty()) {
        const std::vector<std::string_view> payloads(last_result_.begin() + 2, last_result_.end());
        const Result<WireHeader> header = DecodeHeader(last_result_[0]);
        Put(sink, MessageType::kResult, last_result_[1], payloads, header->count);
      }
      break;
    case 1:
      Put(sink, MessageType::kCredit, EncodeCredit(received_ + 100'000), {}, 1);
      break;
    case 2:
      Put(sink, MessageType::kPong, "\xc1 no msgpack", {}, 0);
      break;
    case 3:
      if (victim_) Put(sink, MessageType::kTaken, batch.Finish(), {}, 1);
      break;
    case 4:
      if (victim_) Put(sink, MessageType::kReturned, batch.Finish(), {}, 1);
      break;
    case 5:
      ++last_out_;  // a gap
      Put(sink, MessageType::kPing, kEmptyBody, {}, 0);
      break;
    default:
      if (victim_) {
        batch.Clear();
        batch.AddBlobs(victim_->run, victim_->key, victim_->attempt, {});
        Put(sink, MessageType::kResult, batch.Finish(), {packed}, 1);
      }
  }
}

}  // namespace kev::sim
