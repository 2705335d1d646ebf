#include <algorithm>

#include "queue/worker_protocol.h"

namespace kev {
namespace {

constexpr int64_t kByeLimitUs = 500'000;  // everything is acknowledged: BYE_ACK is courtesy

}  // namespace

PeerNext WorkerProtocol::Write(FrameSink* sink, int64_t now_us) {
  now_us_ = now_us;
  busy_ = false;
  inventory_.KillDue(now_us);
  if (link_.over()) return PeerNext::kEnd;
  const PeerNext next = link_.CheckSilence(now_us);
  if (next == PeerNext::kEnd) return End(link_.ending());
  if (next == PeerNext::kReopen) return next;
  if (draining_ && !link_.welcomed() && IsDone()) return End({});
  if (!link_.greeted()) {
    Hello hello = options_.hello;
    hello.in_flight = inventory_.All();
    link_.Greet(sink, EncodeHello(hello, options_.instance));
    return PeerNext::kGoOn;
  }
  if (!link_.welcomed()) return PeerNext::kGoOn;
  if (said_bye_) return now_us - bye_us_ > kByeLimitUs ? End({}) : PeerNext::kGoOn;
  const uint64_t before = link_.sent();
  if (!WriteBatches(sink, now_us) || !WriteCredit(sink) || !WriteQuestions(sink))
    return PeerNext::kGoOn;
  if (draining_ && IsDone()) {
    said_bye_ = link_.Send(sink, MessageType::kBye, EncodeBye(drain_reason_));
    bye_us_ = now_us;
    return PeerNext::kGoOn;
  }
  link_.Ping(sink, now_us);
  busy_ = link_.sent() != before || got_jobs_;
  got_jobs_ = false;
  return PeerNext::kGoOn;
}

int64_t WorkerProtocol::WakeUs(int64_t now_us) const {
  int64_t next = said_bye_ ? bye_us_ + kByeLimitUs + 1000 : link_.WakeUs(now_us);
  if (const auto kill = inventory_.NextKill()) next = std::min(next, *kill);
  return next;
}

bool WorkerProtocol::IsDone() const {
  return inventory_.running() == 0 && inventory_.unacknowledged() == 0 &&
         inventory_.returned.empty();
}

bool WorkerProtocol::WriteBatches(FrameSink* sink, int64_t now_us) {
  if (link_.engine_minor() == 0) {  // it does not know these
    inventory_.progress.clear();
    inventory_.returned.clear();
  }
  return WriteIds(sink, MessageType::kTaken, &inventory_.taken) && WriteProgress(sink) &&
         WriteResults(sink, now_us) && WriteIds(sink, MessageType::kReturned, &inventory_.returned);
}

bool WorkerProtocol::WriteIds(FrameSink* sink, MessageType type, std::deque<InFlight>* ids) {
  while (!ids->empty()) {
    batch_.Clear();
    const size_t n = std::min(ids->size(), kWireBatchItems);
    for (size_t i = 0; i < n; ++i) batch_.Add((*ids)[i].run, (*ids)[i].key, (*ids)[i].attempt);
    if (!link_.Send(sink, type, batch_.Finish(), {}, n)) return false;
    ids->erase(ids->begin(), ids->begin() + static_cast<ptrdiff_t>(n));
  }
  return true;
}

bool WorkerProtocol::WriteProgress(FrameSink* sink) {
  auto& progress = inventory_.progress;
  while (!progress.empty()) {
    batch_.Clear();
    const size_t n = std::min(progress.size(), kWireBatchItems);
    for (size_t i = 0; i < n; ++i) batch_.AddProgress(progress[i]);
    if (!link_.Send(sink, MessageType::kProgress, batch_.Finish(), {}, n)) return false;
    progress.erase(progress.begin(), progress.begin() + static_cast<ptrdiff_t>(n));
  }
  return true;
}

bool WorkerProtocol::WriteResults(FrameSink* sink, int64_t now_us) {
  auto& finished = inventory_.finished;
  while (!finished.empty()) {
    batch_.Clear();
    payloads_.clear();
    size_t bytes = 0;
    for (const auto& done : finished) {
      batch_.AddBlobs(done->id.run, done->id.key, done->id.attempt, done->blobs);
      payloads_.push_back(done->result);
      bytes += done->result.size();
      for (const auto& [ref, content] : done->blobs) {
        payloads_.push_back(content);
        bytes += content.size();
      }
      if (batch_.size() == kWireBatchItems || bytes > kWireBatchBytes) break;
    }
    const size_t n = batch_.size();
    if (!link_.Send(sink, MessageType::kResult, batch_.Finish(), payloads_, n)) return false;
    // One stands for all: how long the ACK takes to come.
    inventory_.Sent(finished.front()->id, now_us);
    finished.erase(finished.begin(), finished.begin() + static_cast<ptrdiff_t>(n));
  }
  return true;
}

// Cumulative, and never less than what was granted before. Small rises are kept back until they are
// a quarter of the window: the engine has the other three quarters meanwhile.
bool WorkerProtocol::WriteCredit(FrameSink* sink) {
  if (draining_ || link_.engine_minor() == 0) return true;
  const uint64_t window = options_.hello.slots + prefetch_.Count(options_.hello.slots);
  const uint64_t held = inventory_.queued() + inventory_.running();
  const uint64_t limit = received_ + (window > held ? window - held : 0);
  if (limit <= credit_ || limit - credit_ < std::max<uint64_t>(1, window / 4)) return true;
  if (!link_.Send(sink, MessageType::kCredit, EncodeCredit(limit), {}, 1)) return false;
  credit_ = limit;
  return true;
}

bool WorkerProtocol::WriteQuestions(FrameSink* sink) {
  for (auto& [sha256, question] : blobs_) {
    if (question->asked) continue;
    if (!link_.Send(sink, MessageType::kBlobGet, EncodeBlobGet(sha256), {}, 1)) return false;
    question->asked = true;
  }
  for (auto& [key, question] : histories_) {
    if (question->asked) continue;
    if (!link_.Send(sink, MessageType::kHistoryGet, EncodeHistoryGet(question->wanted), {}, 1))
      return false;
    question->asked = true;
  }
  return true;
}

}  // namespace kev
