#include <algorithm>
#include <utility>

#include "queue/blob_id.h"
#include "queue/codec.h"
#include "queue/engine_session.h"

namespace kev {
namespace {

constexpr size_t kLongestParting = 1024;

Error Wrong(const std::string& what) { return {Code::kCorrupt, what}; }

Status CheckBlob(const BlobRef& ref, std::string_view bytes) {
  if (bytes.size() != ref.size)
    return Wrong("malformed message: blob " + ref.sha256 + " has another size than it says");
  if (Sha256Hex(bytes) != ref.sha256)
    return Wrong("malformed message: blob " + ref.sha256 + " does not have that SHA-256");
  return {};
}

// What a budget counts must not go down, nor up without end.
bool Believable(const Usage& usage) {
  constexpr double kMost = 1e15;
  constexpr int64_t kMostTokens = int64_t{1} << 50;
  return usage.tokens_in >= 0 && usage.tokens_in <= kMostTokens && usage.tokens_out >= 0 &&
         usage.tokens_out <= kMostTokens && usage.usd >= 0 && usage.usd <= kMost &&
         usage.device_ms >= 0 && usage.device_ms <= kMost && usage.wall_ms >= 0 &&
         usage.wall_ms <= kMost;
}

// Who may send what. PING and BYE are everybody's.
bool MaySend(Role role, MessageType type) {
  switch (type) {
    case MessageType::kPing:
    case MessageType::kBye:
    case MessageType::kBlobGet:
    case MessageType::kHistoryGet:
      return true;
    case MessageType::kTaken:
    case MessageType::kResult:
    case MessageType::kCredit:
    case MessageType::kProgress:
    case MessageType::kReturned:
      return role == Role::kWorker;
    case MessageType::kCall:
      return role != Role::kWorker;
    default:
      return false;
  }
}

}  // namespace

Status EngineSession::Read(const WireHeader& header, const Value& body, const Frames& frames,
                           std::deque<Inbound>* inbox) {
  wants_pong_ = false;
  if (header.seq != seq_in_ + 1) {
    return Error{Code::kConflict, "messages are missing between " + std::to_string(seq_in_) +
                                      " and " + std::to_string(header.seq)};
  }
  seq_in_ = header.seq;
  if (!MaySend(identity_.role, header.type)) {
    return Error{Code::kPermission,
                 std::string(WithArticle(identity_.role)) + " may not send " + Name(header.type)};
  }
  if (IsBatch(header.type)) {
    Result<std::vector<BatchItem>> batch = BatchFrom(body);
    if (!batch) return batch.error();
    if (batch->size() != header.count) {
      return Wrong(std::string("malformed message: ") + Name(header.type) + " says " +
                   std::to_string(header.count) + " items and has " +
                   std::to_string(batch->size()));
    }
    return ReadBatch(header.type, *batch, frames, inbox);
  }
  switch (header.type) {
    case MessageType::kPing:
      wants_pong_ = true;
      return {};
    case MessageType::kBye:
      left_ = true;
      parting_ = body["reason"].AsString().substr(0, kLongestParting);
      // It ends up in lines of the engine's log.
      std::replace_if(
          parting_.begin(), parting_.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; },
          ' ');
      return {};
    case MessageType::kCredit:
      return ReadCredit(body, inbox);
    case MessageType::kCall:
      return ReadCall(body, frames, inbox);
    case MessageType::kBlobGet: {
      Result<BlobWanted> wanted = BlobGetFrom(body);
      if (!wanted) return wanted.error();
      inbox->push_back({identity_.id, std::move(*wanted)});
      return {};
    }
    default: {
      Result<HistoryWanted> wanted = HistoryGetFrom(body);
      if (!wanted) return wanted.error();
      inbox->push_back({identity_.id, std::move(*wanted)});
      return {};
    }
  }
}

Status EngineSession::ReadBatch(MessageType type, std::vector<BatchItem>& batch,
                                const Frames& frames, std::deque<Inbound>* inbox) {
  size_t frame = 2;
  for (BatchItem& item : batch) {
    InFlight& id = item.id;
    const uint64_t fingerprint = Fingerprint(id.run, id.key, id.attempt);
    const bool answer = type == MessageType::kResult || type == MessageType::kReturned;
    if (!(answer ? given_.Remove(fingerprint) : given_.Contains(fingerprint))) {
      return Wrong(std::string("sent ") + Name(type) + " for " + Name(id) +
                   ", which it was not given in this session or has answered");
    }
    if (type == MessageType::kResult && retracted_.size() > 0) retracted_.Remove(fingerprint);
    if (type == MessageType::kTaken) {
      inbox->push_back({identity_.id, Taken{std::move(id.run), id.key, id.attempt}});
    } else if (type == MessageType::kProgress) {
      inbox->push_back({identity_.id, Progress{std::move(id.run), id.key, id.attempt, item.fraction,
                                               std::move(item.note)}});
    } else if (type == MessageType::kReturned) {
      const bool asked = retracted_.Remove(fingerprint);
      leaving_ = leaving_ || !asked;
      inbox->push_back({identity_.id, Returned{std::move(id.run), id.key, id.attempt, !asked}});
    } else if (Status s = ReadResult(item, frames, &frame, inbox); !s.ok()) {
      return s;
    }
  }
  if (frame != frames.size()) {
    return Wrong(std::string("malformed message: ") + Name(type) + " with " +
                 std::to_string(frames.size() - frame) + " frames too many");
  }
  // A peer of version 1.0 knows no CREDIT: it may have as many as it has slots.
  if (identity_.minor == 0 && type == MessageType::kResult) {
    answered_ += batch.size();
    credit_ = answered_ + identity_.slots;
    inbox->push_back({identity_.id, HostCredit()});
  }
  return {};
}

Status EngineSession::ReadResult(BatchItem& item, const Frames& frames, size_t* frame,
                                 std::deque<Inbound>* inbox) {
  if (frames.size() - *frame < 1 + item.blobs.size()) {
    return Wrong("malformed message: RESULT has fewer frames than it names");
  }
  const std::string_view packed = frames[(*frame)++];
  if (packed.size() > kMostResultBytes) {
    return Wrong("malformed message: a RESULT of " + std::to_string(packed.size()) +
                 " bytes without its blobs, and at most " + std::to_string(kMostResultBytes) +
                 " are taken: what is large belongs into a blob");
  }
  const Result<PackedView> view = CheckPacked(packed, kResultLimits);
  if (!view) return view.error();
  Result<JobResult> result = JobResultFrom(*view);
  if (!result) return result.error();
  if (!Believable(result->usage))
    return Wrong(
        "malformed message: a RESULT whose usage is negative, no number or beyond all measure");
  ResultMessage out;
  out.run = std::move(item.id.run);
  out.key = item.id.key;
  out.attempt = item.id.attempt;
  out.result = std::move(*result);
  out.packed = packed;
  out.blobs.reserve(item.blobs.size());
  for (BlobRef& ref : item.blobs) {
    const std::string_view bytes = frames[(*frame)++];
    if (Status s = CheckBlob(ref, bytes); !s.ok()) return s;
    out.blobs.emplace_back(std::move(ref), std::string(bytes));
  }
  inbox->push_back({identity_.id, std::move(out)});
  return {};
}

// What the worker says that it received cannot be more than was sent.
Status EngineSession::ReadCredit(const Value& body, std::deque<Inbound>* inbox) {
  const Result<uint64_t> limit = CreditFrom(body);
  if (!limit) return limit.error();
  const uint64_t most = jobs_sent_ + identity_.slots + kMostPrefetch;
  if (*limit > most) {
    return Wrong("grants credit up to " + std::to_string(*limit) + "; with " +
                 std::to_string(identity_.slots) + " slots and " + std::to_string(jobs_sent_) +
                 " jobs sent it can take at most " + std::to_string(most));
  }
  if (*limit <= credit_) return {};
  if (leaving_) {
    return Wrong("grants credit for more work after it has handed back work that nobody asked for");
  }
  credit_ = *limit;
  inbox->push_back({identity_.id, HostCredit()});
  return {};
}

Status EngineSession::ReadCall(const Value& body, const Frames& frames,
                               std::deque<Inbound>* inbox) {
  Result<CallBody> call = CallFrom(body);
  if (!call) return call.error();
  if (frames.size() != 2 + call->blobs.size()) {
    return Wrong("malformed message: CALL names " + std::to_string(call->blobs.size()) +
                 " blobs and has " + std::to_string(frames.size() - 2));
  }
  for (size_t i = 0; i < call->blobs.size(); ++i) {
    const std::string_view bytes = frames[2 + i];
    if (Status s = CheckBlob(call->blobs[i], bytes); !s.ok()) return s;
    call->call.blobs.emplace_back(std::move(call->blobs[i]), std::string(bytes));
  }
  inbox->push_back({identity_.id, std::move(call->call)});
  return {};
}

}  // namespace kev
