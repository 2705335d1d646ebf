#include <algorithm>
#include <utility>

#include "queue/engine_session.h"

namespace kev {

void EngineSession::Queue(Outbound message) {
  if (auto* job = std::get_if<Assign>(&message)) {
    waiting_.push_back(std::move(*job));
  } else if (auto* ack = std::get_if<Acknowledge>(&message)) {
    outbox_.acks.push_back(std::move(*ack));
  } else if (auto* cancel = std::get_if<Cancel>(&message)) {
    outbox_.cancels.push_back(std::move(*cancel));
  } else if (auto* retract = std::get_if<Retract>(&message)) {
    outbox_.retractions.push_back(std::move(*retract));
  } else if (auto* welcome = std::get_if<Welcome>(&message)) {
    outbox_.welcomes.push_back(std::move(*welcome));
  } else {
    outbox_.rest.push_back(std::move(message));
  }
}

bool EngineSession::Flush(const WelcomeBody& terms, FrameSink* sink, std::deque<Inbound>* inbox) {
  sink_ = sink;
  sent_ = true;
  if (!outbox_.welcomes.empty()) FlushWelcomes(terms);
  for (const Acknowledge& ack : outbox_.acks) {
    batch_.AddNumber(ack.run, ack.key, ack.attempt, ack.stale ? 1 : 0);
    if (batch_.size() == kWireBatchItems) SendBatch(MessageType::kAck);
  }
  SendBatch(MessageType::kAck);
  outbox_.acks.clear();
  FlushJobs();
  FlushWithdrawals(inbox);
  for (const Outbound& message : std::exchange(outbox_.rest, {})) FlushRest(message);
  return sent_;
}

// What is kept from an earlier session counts as given in this one, and takes of its slots until
// the worker says in CREDIT how many are free.
void EngineSession::FlushWelcomes(const WelcomeBody& terms) {
  for (Welcome& welcome : std::exchange(outbox_.welcomes, {})) {
    for (const InFlight& id : welcome.keep) given_.Add(Fingerprint(id.run, id.key, id.attempt));
    if (jobs_sent_ == 0) {
      credit_ = identity_.slots - std::min<uint64_t>(identity_.slots, welcome.keep.size());
    }
    WelcomeBody body = terms;
    body.welcome = std::move(welcome);
    Send(MessageType::kWelcome, EncodeWelcome(body), 0);
  }
}

void EngineSession::FlushJobs() {
  size_t taken = 0, bytes = 0;
  while (taken < waiting_.size() && jobs_sent_ < credit_) {
    const Assign& job = waiting_[taken++];
    ++jobs_sent_;
    given_.Add(Fingerprint(job.run, job.key, job.attempt));
    batch_.AddNumber(job.run, job.key, job.attempt, job.job_digest);
    payloads_.push_back(job.payload);
    bytes += job.payload.size();
    if (batch_.size() == kWireBatchItems || bytes > kWireBatchBytes) {
      SendBatch(MessageType::kJobs);
      bytes = 0;
    }
  }
  SendBatch(MessageType::kJobs);
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(taken));
}

// What has not left can be answered here: the worker has never heard of it.
void EngineSession::FlushWithdrawals(std::deque<Inbound>* inbox) {
  for (const Cancel& cancel : outbox_.cancels) {
    if (TakeWaiting({cancel.run, cancel.key, cancel.attempt}, inbox)) {
      ResultMessage answer{cancel.run, cancel.key, cancel.attempt, {}, {}, {}};
      answer.result.verdict = Verdict::kCancelled;
      answer.result.message = "cancelled before it began";
      Encode(answer.result, &answer.packed);
      inbox->push_back({identity_.id, std::move(answer)});
      continue;
    }
    batch_.AddNumber(cancel.run, cancel.key, cancel.attempt, cancel.grace_ms);
    if (batch_.size() == kWireBatchItems) SendBatch(MessageType::kCancel);
  }
  SendBatch(MessageType::kCancel);
  outbox_.cancels.clear();
  for (const Retract& retract : outbox_.retractions) {
    if (TakeWaiting({retract.run, retract.key, retract.attempt}, inbox)) {
      inbox->push_back({identity_.id, Returned{retract.run, retract.key, retract.attempt}});
    } else if (identity_.minor > 0) {  // a peer of version 1.0 keeps what it has
      const uint64_t fingerprint = Fingerprint(retract.run, retract.key, retract.attempt);
      if (given_.Contains(fingerprint)) retracted_.Add(fingerprint);
      batch_.Add(retract.run, retract.key, retract.attempt);
      if (batch_.size() == kWireBatchItems) SendBatch(MessageType::kRetract);
    }
  }
  SendBatch(MessageType::kRetract);
  outbox_.retractions.clear();
}

bool EngineSession::TakeWaiting(const InFlight& id, std::deque<Inbound>* inbox) {
  const auto it = std::find_if(waiting_.begin(), waiting_.end(), [&](const Assign& job) {
    return job.attempt == id.attempt && job.key == id.key && job.run == id.run;
  });
  if (it == waiting_.end()) return false;
  waiting_.erase(it);
  ++withdrawn_;
  inbox->push_back({identity_.id, HostCredit()});
  return true;
}

void EngineSession::FlushRest(const Outbound& message) {
  if (const auto* blob = std::get_if<BlobAnswer>(&message)) {
    if (blob->found) payloads_.push_back(blob->bytes);
    Send(MessageType::kBlob, EncodeBlob(blob->sha256, blob->found), 1);
  } else if (const auto* history = std::get_if<HistoryAnswer>(&message)) {
    payloads_.assign(history->groups.begin(), history->groups.end());
    Send(MessageType::kHistory, EncodeHistory(history->run, history->from),
         std::min<size_t>(payloads_.size(), UINT16_MAX));
  } else if (const auto* reply = std::get_if<ClientReply>(&message)) {
    Send(MessageType::kReply, EncodeReply(*reply), 1);
  } else if (std::holds_alternative<Drain>(message)) {
    Send(MessageType::kDrain, kEmptyBody, 0);
  }
}

bool EngineSession::SendNow(MessageType type, std::string_view body, FrameSink* sink) {
  sink_ = sink;
  sent_ = true;
  Send(type, body, 0);
  return sent_;
}

void EngineSession::SendBatch(MessageType type) {
  if (batch_.size() == 0) return;
  Send(type, batch_.Finish(), batch_.size());
  batch_.Clear();
}

void EngineSession::Send(MessageType type, std::string_view body, size_t count) {
  WireHeader head;
  head.type = type;
  head.count = static_cast<uint16_t>(count);
  head.seq = seq_out_ + 1;
  const std::string header = EncodeHeader(head);
  Frames frames;
  frames.reserve(2 + payloads_.size());
  frames.push_back(header);
  frames.push_back(body);
  frames.insert(frames.end(), payloads_.begin(), payloads_.end());
  payloads_.clear();
  sent_ = sent_ && sink_->Send(identity_.route, frames);
  if (sent_) ++seq_out_;
}

}  // namespace kev
