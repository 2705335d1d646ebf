// Arbitrary multipart messages, and arbitrary turns of host and worker, into both ends of the
// protocol. Nothing may crash; what the machines send can always be read; the engine never sends a
// worker more than it granted.
//
// Input: a list of steps. A step is a byte that says what happens, then its arguments; texts are a
// length byte and the bytes. Messages "in sequence" get a true header, so that their bodies are
// reached.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "queue/codec.h"
#include "queue/engine_protocol.h"
#include "queue/worker_protocol.h"

namespace {

using namespace kev;
using Message = std::vector<std::string>;

class Input {
 public:
  Input(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}
  bool empty() const { return at_ == end_; }
  uint8_t Byte() { return empty() ? 0 : *at_++; }
  std::string Text() {
    const size_t wanted = Byte();
    const size_t size = std::min(wanted, static_cast<size_t>(end_ - at_));
    std::string text(reinterpret_cast<const char*>(at_), size);
    at_ += size;
    return text;
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

void Check(bool good) {
  if (!good) std::abort();
}

void CheckReadable(const Frames& frames) {
  Check(frames.size() >= 2);
  Check(DecodeHeader(frames[0]).ok());
}

class Match : public FrameSink {
 public:
  Match() : engine_({}, this), worker_(Options()) { worker_.Opened(now_us_); }

  void Step(Input* in) {
    const uint8_t what = in->Byte();
    switch (what % 12) {
      case 0: {  // as it comes, to the engine
        const size_t route = in->Byte() % 3;
        return ToEngine(route, Raw(in));
      }
      case 1:  // as it comes, to the worker
        return ToWorker(Raw(in));
      case 2:
      case 3:  // in sequence, to the engine
        return Sequenced(in);
      case 4:  // in sequence, to the worker
        return ToWorker(Head(in, ++from_engine_));
      case 5:
        return Exchange(in->Byte());
      case 6:
        return Host(in);
      case 7:
        return Work(in);
      case 8:
        now_us_ += in->Byte() * 20'000;
        engine_.Expire(now_us_);
        return;
      case 9:
        return engine_.Closed(in->Byte() % 4);
      case 10:
        return Follow(worker_.Closed(now_us_));
      default:
        jammed_ = in->Byte() % 4 == 0;
    }
  }
  void End() {
    engine_.Flush();
    engine_.Take(10000);
  }

  bool Send(std::string_view route, const Frames& frames) override {
    CheckReadable(frames);
    if (jammed_) return false;
    if (route != "worker") return true;
    const WireHeader header = *DecodeHeader(frames[0]);
    if (header.type == MessageType::kJobs) given_ += header.count;
    Check(given_ <= granted_);
    to_worker_.emplace_back(frames.begin(), frames.end());
    return true;
  }

 private:
  static constexpr uint32_t kSlots = 2;
  struct WorkerLink : public FrameSink {
    Match* match;
    bool Send(std::string_view, const Frames& frames) override {
      CheckReadable(frames);
      if (match->jammed_) return false;
      match->from_worker_.emplace_back(frames.begin(), frames.end());
      return true;
    }
  };
  static WorkerProtocolOptions Options() {
    WorkerProtocolOptions options;
    options.hello.worker = "worker:1";
    options.hello.slots = kSlots;
    options.instance = "worker";
    return options;
  }
  static std::string Name(size_t route) {
    static const char* const kRoutes[] = {"worker", "a", "b"};
    return kRoutes[route];
  }

  Message Raw(Input* in) {
    Message message;
    for (int frames = in->Byte() % 5; frames > 0; --frames) message.push_back(in->Text());
    return message;
  }
  Message Head(Input* in, uint64_t seq) {
    WireHeader header;
    header.type = static_cast<MessageType>(1 + in->Byte() % kLastMessageType);
    header.count = in->Byte();
    header.seq = header.type == MessageType::kReject ? 0 : seq;
    Message message = Raw(in);
    message.insert(message.begin(), EncodeHeader(header));
    return message;
  }
  void Sequenced(Input* in) {
    const size_t route = 1 + in->Byte() % 2;
    const Message message = Head(in, from_peer_[route] + 1);
    ++from_peer_[route];
    ToEngine(route, message);
  }
  void ToEngine(size_t route, const Message& message) {
    const Frames frames(message.begin(), message.end());
    if (route == 0 && frames.size() >= 2) Credit(frames);
    engine_.Read(Name(route), frames, now_us_, [&] {
      PeerProof proof;
      proof.connection = route + 1;
      proof.keyless = route != 2;
      if (route == 2) proof.role = Role::kClient;
      return proof;
    });
    for (const Inbound& m : engine_.Take(1000)) {
      if (std::holds_alternative<Hello>(m.message)) {
        sessions_.push_back(m.session);
        if (route != 0) {
          from_peer_[route] = 1;
        } else {
          given_ = 0;
          granted_ = kSlots;
        }
      }
    }
  }
  void Credit(const Frames& frames) {
    const Result<WireHeader> header = DecodeHeader(frames[0]);
    if (!header || header->type != MessageType::kCredit) return;
    const Result<Value> body = Decode(frames[1]);
    const Result<uint64_t> limit = body ? CreditFrom(*body) : Result<uint64_t>(body.error());
    if (limit && *limit <= given_ + kSlots + kMostPrefetch) granted_ = std::max(granted_, *limit);
  }
  void ToWorker(const Message& message) {
    Follow(worker_.Read(Frames(message.begin(), message.end()), now_us_));
  }
  // What the two have to say to each other.
  void Exchange(uint8_t most) {
    WorkerLink link;
    link.match = this;
    Follow(worker_.Write(&link, now_us_));
    engine_.Flush();
    for (int i = 0; i < most && !from_worker_.empty(); ++i) {
      const Message message = std::move(from_worker_.front());
      from_worker_.pop_front();
      ToEngine(0, message);
    }
    for (int i = 0; i < most && !to_worker_.empty(); ++i) {
      const Message message = std::move(to_worker_.front());
      to_worker_.pop_front();
      const Result<WireHeader> header = DecodeHeader(message[0]);
      from_engine_ = header->seq;
      ToWorker(message);
    }
  }
  void Follow(PeerNext next) {
    if (next != PeerNext::kReopen) return;
    from_worker_.clear();
    to_worker_.clear();
    from_engine_ = 0;
    engine_.Closed(1);
    worker_.Opened(now_us_);
  }
  void Host(Input* in) {
    const uint8_t what = in->Byte();
    const SessionId session =
        sessions_.empty() ? what : sessions_[sessions_.size() - 1 - what / 16 % sessions_.size()];
    const InFlight id{"R", {{SubjectKind::kCandidate, in->Byte()}, 1, 0}, 1};
    switch (what % 9) {
      case 0:
        return engine_.Send(session, Welcome{1, {id}});
      case 1:
      case 2:
        return engine_.Send(session, Assign{id.run, id.key, id.attempt, in->Text()});
      case 3:
        return engine_.Send(session, Cancel{id.run, id.key, id.attempt, in->Byte()});
      case 4:
        return engine_.Send(session, Retract{id.run, id.key, id.attempt});
      case 5:
        return engine_.Send(session, Acknowledge{id.run, id.key, id.attempt, false});
      case 6:
        return engine_.Send(session, BlobAnswer{in->Text(), true, "bytes"});
      case 7:
        return engine_.Send(session, ClientReply{1, {}, in->Text()});
      default:
        return engine_.Send(session, Drain{});
    }
  }
  void Work(Input* in) {
    const uint8_t what = in->Byte();
    if (what % 4 == 0) {
      if (auto begun = worker_.Begin(now_us_)) running_.push_back(begun->id);
    } else if (what % 4 == 1 && !running_.empty()) {
      auto finished = std::make_shared<FinishedAttempt>();
      finished->id = running_.front();
      finished->result = EncodeCanonical(ToValue(JobResult()));
      running_.pop_front();
      worker_.Finish(std::move(finished), now_us_);
    } else if (what % 4 == 2 && !running_.empty()) {
      worker_.Note(
          {running_.front().run, running_.front().key, running_.front().attempt, 0.5, in->Text()});
    } else if (what == 255) {
      worker_.Drain(in->Text());
    } else {
      worker_.AskHistory({in->Text(), what, what});
    }
  }

  int64_t now_us_ = 1'000'000;
  EngineProtocol engine_;
  WorkerProtocol worker_;
  std::deque<Message> to_worker_, from_worker_;
  std::deque<InFlight> running_;
  std::vector<SessionId> sessions_;
  std::map<size_t, uint64_t> from_peer_;
  uint64_t from_engine_ = 0;
  uint64_t given_ = 0, granted_ = kSlots;
  bool jammed_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 16384) return 0;
  Input input(data, size);
  Match match;
  while (!input.empty()) match.Step(&input);
  match.End();
  return 0;
}
