#include "queue/worker_protocol.h"

#include <algorithm>

namespace kev {
namespace {

constexpr int64_t kDropGraceUs = 2'000'000;  // for attempts that nobody wants any more

}  // namespace

WorkerProtocol::WorkerProtocol(WorkerProtocolOptions options)
    : options_(std::move(options)),
      link_(options_.engine, options_.engine_lost_grace),
      prefetch_(options_.prefetch) {}

void WorkerProtocol::Opened(int64_t now_us) {
  now_us_ = now_us;
  link_.Opened(now_us);
  said_bye_ = false;
  received_ = credit_ = 0;
}

PeerNext WorkerProtocol::End(Status status) {
  inventory_.CancelRunning(now_us_ + kDropGraceUs);
  ++news_;
  return link_.End(std::move(status));
}

void WorkerProtocol::KillAll() {
  inventory_.CancelRunning(now_us_);
  inventory_.KillDue(INT64_MAX);
}

PeerNext WorkerProtocol::Read(const Frames& frames, int64_t now_us) {
  return Apply(DecodePeerMessage(frames), frames, now_us);
}

PeerNext WorkerProtocol::Apply(Result<PeerMessage> message, const Frames& frames, int64_t now_us) {
  now_us_ = now_us;
  const bool was_over = link_.over();
  bool take = false;
  PeerNext next = message ? link_.Read(*message, now_us, &take) : link_.Unreadable(message.error());
  if (take) next = Take(*message, frames, now_us);
  if (link_.over() && !was_over) End(link_.ending());  // tell those who wait
  return next;
}

PeerNext WorkerProtocol::Take(PeerMessage& message, const Frames& frames, int64_t now_us) {
  switch (message.header.type) {
    case MessageType::kWelcome: {
      const Result<WelcomeBody> welcome = WelcomeFrom(message.body);
      if (!welcome) return PeerNext::kReopen;
      inventory_.KeepOnly(welcome->welcome.keep, now_us + kDropGraceUs);
      for (auto& [sha256, question] : blobs_) question->asked = false;
      for (auto& [key, question] : histories_) question->asked = false;
      return PeerNext::kGoOn;
    }
    case MessageType::kJobs:
      TakeJobs(message, frames);
      return PeerNext::kGoOn;
    case MessageType::kAck:
      link_.Accepted();
      for (const BatchItem& item : message.batch) {
        const double took = inventory_.Settle(item.id, now_us).round_trip_us;
        if (took >= 0) prefetch_.RoundTripTook(took);
        if (options_.keep_settled) settled_.push_back({item.id, item.number == 0});
      }
      return PeerNext::kGoOn;
    case MessageType::kCancel:
      for (const BatchItem& item : message.batch) {
        inventory_.Cancel(
            item.id,
            now_us + static_cast<int64_t>(std::min<uint64_t>(item.number, 86'400'000)) * 1000);
      }
      return PeerNext::kGoOn;
    case MessageType::kRetract:
      for (const BatchItem& item : message.batch) inventory_.Retract(item.id);
      return PeerNext::kGoOn;
    case MessageType::kBlob:
      TakeBlob(message.body, frames);
      return PeerNext::kGoOn;
    case MessageType::kHistory:
      TakeHistory(message.body, frames);
      return PeerNext::kGoOn;
    case MessageType::kDrain:
      Drain("the engine asked for it");
      return PeerNext::kGoOn;
    case MessageType::kByeAck:
      return End({});
    default:
      return PeerNext::kReopen;
  }
}

void WorkerProtocol::TakeJobs(PeerMessage& message, const Frames& frames) {
  got_jobs_ = true;
  received_ += message.batch.size();
  for (size_t i = 0; i < message.batch.size(); ++i) {
    InFlight& id = message.batch[i].id;
    id.job_digest = message.batch[i].number;
    if (draining_)
      inventory_.returned.push_back(std::move(id));
    else
      inventory_.Add(std::move(id), std::string(frames[2 + i]));
  }
}

void WorkerProtocol::TakeBlob(const Value& body, const Frames& frames) {
  const auto it = blobs_.find(body["sha256"].AsString());
  if (it == blobs_.end()) return;
  BlobQuestion& question = *it->second;
  question.found = body["found"].AsBool() && frames.size() == 3;
  if (question.found) question.bytes.assign(frames[2]);
  question.done = true;
  blobs_.erase(it);
  ++news_;
}

void WorkerProtocol::TakeHistory(const Value& body, const Frames& frames) {
  const auto it =
      histories_.find({body["run"].AsString(), static_cast<uint64_t>(body["from"].AsInt())});
  if (it == histories_.end()) return;
  for (size_t i = 2; i < frames.size(); ++i) it->second->groups.emplace_back(frames[i]);
  it->second->done = true;
  histories_.erase(it);
  ++news_;
}

std::optional<WorkerInventory::Begun> WorkerProtocol::Begin(int64_t now_us) {
  if (draining_ || link_.over()) return std::nullopt;
  return inventory_.Begin(now_us);
}

void WorkerProtocol::Finish(std::shared_ptr<const FinishedAttempt> finished, int64_t now_us) {
  const double took = inventory_.Finish(std::move(finished), now_us).job_us;
  if (took >= 0) prefetch_.JobTook(took);
}

std::shared_ptr<const BlobQuestion> WorkerProtocol::AskBlob(const std::string& sha256) {
  auto& question = blobs_[sha256];
  if (!question) question = std::make_shared<BlobQuestion>();
  return question;
}

std::shared_ptr<const HistoryQuestion> WorkerProtocol::AskHistory(const HistoryWanted& wanted) {
  auto& question = histories_[{wanted.run, wanted.from}];
  if (!question) {
    question = std::make_shared<HistoryQuestion>();
    question->wanted = wanted;
  }
  return question;
}

void WorkerProtocol::Drain(const std::string& reason) {
  if (draining_) return;
  draining_ = true;
  drain_reason_ = reason;
  ++news_;
  // Without a session there is nobody to hand back to: HELLO will not list them. An engine of
  // version 1.0 knows no RETURNED: it takes back what is left when it reads BYE.
  if (!link_.welcomed() || link_.engine_minor() == 0)
    inventory_.DropQueued();
  else
    inventory_.ReturnQueued();
}

}  // namespace kev
