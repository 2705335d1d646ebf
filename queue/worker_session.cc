#include "queue/worker_session.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "queue/blob_id.h"
#include "queue/codec.h"
#include "queue/wire.h"
#include "queue/worker_inventory.h"
#include "queue/zmq_socket.h"

namespace kev {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::string HostName() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0) return "host";
  return name;
}

std::string RandomName() {
  std::random_device device;
  std::string name;
  for (int i = 0; i < 4; ++i) {
    char part[9];
    snprintf(part, sizeof part, "%08x", device());
    name += part;
  }
  return name;
}

struct BlobWait {
  bool asked = false;
  bool done = false;
  bool found = false;
  std::string bytes;
};
struct HistoryWait {
  HistoryWanted wanted;
  bool asked = false;
  bool done = false;
  std::vector<std::string> groups;
};

// Slot threads and the I/O thread meet under one lock. A slot thread wakes the I/O thread only when
// it would otherwise sleep past something: right after it was busy, the I/O thread looks again
// within kLinger by itself, so that a stream of small results leaves in few messages.
class Session final : public WorkerSession {
 public:
  Session(const WorkerSessionOptions& options, int wake)
      : options_(options), host_(HostName()), instance_(RandomName()), wake_(wake) {
    hello_.worker = host_ + ":" + std::to_string(getpid());
    hello_.program = options.program;
    hello_.stages = options.stages;
    hello_.slots = options.slots;
    hello_.host = host_;
    hello_.version = KEVOLVE_VERSION;
  }
  ~Session() override {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
      Wake();
    }
    if (thread_.joinable()) thread_.join();
    close(wake_);
  }
  Status Start() {
    if (Status s = Reconnect(); !s.ok()) return s;
    thread_ = std::thread([this] { Run(); });
    return {};
  }

  std::optional<WorkItem> Next() override;
  void Finish(const Job& job, JobResult result,
              std::vector<std::pair<BlobRef, std::string>> blobs) override;
  Result<std::string> FetchBlob(const BlobRef& ref) override;
  Result<std::vector<EventGroup>> FetchHistory(const std::string& run, uint64_t from,
                                               uint64_t to) override;
  void Drain() override;
  Status Ending() const override {
    std::lock_guard lock(mutex_);
    return ending_;
  }
  Status WaitEnd() override {
    std::unique_lock lock(mutex_);
    answers_.wait(lock, [&] { return over_; });
    return ending_;
  }

 private:
  static constexpr long kLingerMs = 1;
  static constexpr milliseconds kByeLimit{500};  // everything is acknowledged: BYE_ACK is courtesy

  void FinishAttempt(InFlight id, const JobResult& result,
                     std::vector<std::pair<BlobRef, std::string>> blobs);
  // REQUIRES mutex_ held, for all of these.
  void Wake();
  void End(Status status);

  // The I/O thread's.
  void Run();
  Status Reconnect();
  void Read(Clock::time_point now);
  bool Handle(const WireHeader& header, const Value& body);
  void Write(Clock::time_point now);
  bool WriteBatches();
  bool WriteQuestions();
  bool Send(MessageType type, std::string_view body, const std::vector<std::string_view>& payloads,
            size_t count);
  long Timeout(Clock::time_point now) const;

  const WorkerSessionOptions options_;
  const std::string host_;
  const std::string instance_;
  const int wake_;  // eventfd
  Hello hello_;

  mutable std::mutex mutex_;
  std::condition_variable jobs_;
  std::condition_variable answers_;
  WorkerInventory inventory_;
  std::map<std::string, std::shared_ptr<BlobWait>> blobs_;
  std::map<std::pair<std::string, uint64_t>, std::shared_ptr<HistoryWait>> histories_;
  size_t idle_ = 0;           // slot threads that wait in Next
  bool looks_again_ = false;  // the I/O thread will look at the outbox within kLingerMs
  bool woken_ = false;
  bool draining_ = false;
  bool over_ = false;
  bool stop_ = false;
  Status ending_;

  // Only the I/O thread's.
  ZmqContext context_;
  std::optional<ZmqSocket> socket_;
  Multipart message_;
  BatchBody batch_;
  bool greeted_ = false;  // HELLO is out
  bool welcome_ = false;  // the session stands
  bool said_bye_ = false;
  bool got_jobs_ = false;  // since the last Write
  int malformed_ =
      0;  // sessions that ended in REJECT malformed since something was last acknowledged
  bool blocked_ = false;  // the socket takes no more for now
  uint64_t seq_in_ = 0;
  uint64_t seq_out_ = 0;
  milliseconds heartbeat_{1000};
  int liveness_ = 4;
  Clock::time_point heard_ = Clock::now();      // last frame of any engine
  Clock::time_point connected_ = Clock::now();  // when this socket was made
  Clock::time_point pinged_ = Clock::now();
  Clock::time_point bye_at_;
  std::thread thread_;
};

std::optional<WorkItem> Session::Next() {
  for (;;) {
    WorkerInventory::Begun begun;
    {
      std::unique_lock lock(mutex_);
      ++idle_;
      jobs_.wait(lock, [&] { return over_ || draining_ || inventory_.queued() > 0; });
      --idle_;
      if (over_ || draining_) return std::nullopt;
      begun = std::move(*inventory_.Begin());
      if (!looks_again_) Wake();
    }
    const Result<PackedView> view = CheckPacked(begun.payload);
    Result<Job> job = view ? JobFrom(*view) : Result<Job>(view.error());
    if (job) return WorkItem{std::move(*job), std::move(begun.cancelled)};
    JobResult broken;
    broken.failure =
        Failure{FailureClass::kInfrastructure, "the job cannot be read: " + job.error().message};
    FinishAttempt(std::move(begun.id), broken, {});
  }
}

void Session::Finish(const Job& job, JobResult result,
                     std::vector<std::pair<BlobRef, std::string>> blobs) {
  for (const auto& [ref, bytes] : blobs) {
    if (bytes.size() <= static_cast<size_t>(kWireMaxFrame)) continue;
    result = JobResult();
    result.failure =
        Failure{FailureClass::kInfrastructure, "a blob of " + std::to_string(bytes.size()) +
                                                   " bytes is above the limit of 256 MiB"};
    blobs.clear();
    break;
  }
  FinishAttempt({job.run, job.key, job.attempt}, result, std::move(blobs));
}

void Session::FinishAttempt(InFlight id, const JobResult& result,
                            std::vector<std::pair<BlobRef, std::string>> blobs) {
  auto finished = std::make_shared<FinishedAttempt>();
  finished->id = std::move(id);
  Encode(result, &finished->result);
  finished->blobs = std::move(blobs);
  std::lock_guard lock(mutex_);
  inventory_.Finish(std::move(finished));
  if (!looks_again_ || inventory_.queued() == 0) Wake();
}

Result<std::string> Session::FetchBlob(const BlobRef& ref) {
  std::unique_lock lock(mutex_);
  auto& slot = blobs_[ref.sha256];
  if (!slot) slot = std::make_shared<BlobWait>();
  const std::shared_ptr<BlobWait> wait = slot;
  Wake();
  answers_.wait(lock, [&] { return wait->done || over_; });
  if (!wait->done)
    return Error{Code::kUnavailable,
                 "the engine went away while blob " + ref.sha256 + " was fetched"};
  if (!wait->found) return Error{Code::kNotFound, "the engine has no blob " + ref.sha256};
  lock.unlock();
  if (Sha256Hex(wait->bytes) != ref.sha256) {
    return Error{Code::kCorrupt,
                 "the engine's bytes for blob " + ref.sha256 + " do not have that digest"};
  }
  return wait->bytes;
}

Result<std::vector<EventGroup>> Session::FetchHistory(const std::string& run, uint64_t from,
                                                      uint64_t to) {
  std::shared_ptr<HistoryWait> wait;
  {
    std::unique_lock lock(mutex_);
    const std::pair key(run, from);
    answers_.wait(lock, [&] { return over_ || !histories_.contains(key); });
    if (!over_) {
      wait = std::make_shared<HistoryWait>();
      wait->wanted = {run, from, to};
      histories_[key] = wait;
      Wake();
      answers_.wait(lock, [&] { return wait->done || over_; });
    }
    if (!wait || !wait->done) {
      return Error{Code::kUnavailable,
                   "the engine went away while the history of " + run + " was fetched"};
    }
  }
  std::vector<EventGroup> groups;
  groups.reserve(wait->groups.size());
  for (const std::string& body : wait->groups) {
    Result<EventGroup> group = DecodeGroup(body, "");
    if (!group) return group.error();
    groups.push_back(std::move(*group));
  }
  return groups;
}

void Session::Drain() {
  std::lock_guard lock(mutex_);
  draining_ = true;
  inventory_.DropQueued();  // handed back: the engine offers them elsewhere when it reads BYE
  jobs_.notify_all();
  Wake();
}

void Session::Wake() {
  if (woken_) return;
  woken_ = true;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_, &one, sizeof one);
}

void Session::End(Status status) {
  over_ = true;
  ending_ = std::move(status);
  inventory_.CancelRunning();
  jobs_.notify_all();
  answers_.notify_all();
}

void Session::Run() {
  for (;;) {
    const Clock::time_point now = Clock::now();
    Read(now);
    Write(now);
    bool linger = false;
    {
      std::lock_guard lock(mutex_);
      if (over_ || stop_) break;
      // Write has emptied the outbox, or the socket is blocked; in both cases nothing is overslept.
      linger = looks_again_;
    }
    const Readiness ready = WaitFor(*socket_, blocked_, wake_,
                                    linger ? std::min(kLingerMs, Timeout(now)) : Timeout(now));
    if (ready.descriptor) {
      uint64_t count;
      [[maybe_unused]] const ssize_t n = read(wake_, &count, sizeof count);
    }
    if (ready.socket) blocked_ = false;
  }
  std::lock_guard lock(mutex_);
  if (!over_) End(Error{Code::kUnavailable, "the session was closed"});
  socket_.reset();
}

// A fresh socket for every new session: what is left in the old one's pipes must not reach the new
// session.
Status Session::Reconnect() {
  socket_.reset();
  Result<ZmqSocket> socket = ZmqSocket::Make(context_, SocketKind::kDealer);
  if (!socket) return socket.error();
  if (Status s = socket->Connect(options_.endpoint); !s.ok()) return s;
  socket_.emplace(std::move(*socket));
  greeted_ = welcome_ = said_bye_ = false;
  seq_in_ = seq_out_ = 0;
  connected_ = pinged_ = Clock::now();
  blocked_ = false;
  return {};
}

void Session::Read(Clock::time_point now) {
  while (socket_ && socket_->Receive(&message_)) {
    bool good = false;
    if (message_.size() >= 2) {
      const Result<WireHeader> header = DecodeHeader(message_[0]);
      const Result<Value> body = header ? Decode(message_[1]) : Result<Value>(header.error());
      if (body) {
        heard_ = now;
        good = Handle(*header, *body);
      } else if (!header && header.error().code == Code::kConflict) {
        std::lock_guard lock(mutex_);
        return End(header.error());
      }
    }
    if (good) continue;
    std::lock_guard lock(mutex_);
    if (over_) return;
    if (Status s = Reconnect(); !s.ok()) return End(s);
  }
}

// False: this session cannot go on; begin a new one.
bool Session::Handle(const WireHeader& header, const Value& body) {
  std::lock_guard lock(mutex_);
  if (header.type == MessageType::kReject) {
    const Rejected rejected = RejectFrom(body);
    if (rejected.reason == RejectReason::kVersion) {
      End(Error{Code::kInvalid, "the engine refused this worker: " + rejected.text});
    } else if (rejected.reason == RejectReason::kMalformed && ++malformed_ == 3) {
      End(Error{Code::kInternal,
                "the engine cannot read what this worker sends: " + rejected.text});
    }
    return false;
  }
  if (header.seq != ++seq_in_) return false;
  switch (header.type) {
    case MessageType::kWelcome: {
      Result<WelcomeBody> welcome = WelcomeFrom(body);
      if (!welcome || welcome_) return false;
      welcome_ = true;
      heartbeat_ = welcome->heartbeat;
      liveness_ = welcome->liveness;
      inventory_.KeepOnly(welcome->welcome.keep);
      for (auto& [sha256, wait] : blobs_) wait->asked = false;
      for (auto& [key, wait] : histories_) wait->asked = false;
      return true;
    }
    case MessageType::kJobs: {
      Result<std::vector<BatchItem>> batch = BatchFrom(body);
      if (!batch || message_.size() != 2 + batch->size()) return false;
      if (draining_) return true;  // not begun: handed back by BYE
      got_jobs_ = true;
      size_t added = 0;
      for (size_t i = 0; i < batch->size(); ++i) {
        if (inventory_.Add(std::move((*batch)[i].id), std::string(message_[2 + i]))) ++added;
      }
      for (size_t i = std::min(added, idle_); i > 0; --i) jobs_.notify_one();
      return true;
    }
    case MessageType::kAck:
    case MessageType::kCancel: {
      Result<std::vector<BatchItem>> batch = BatchFrom(body);
      if (!batch) return false;
      malformed_ = 0;
      for (const BatchItem& item : *batch) {
        if (header.type == MessageType::kAck)
          inventory_.Settle(item.id);
        else
          inventory_.Cancel(item.id);
      }
      return true;
    }
    case MessageType::kBlob: {
      const auto it = blobs_.find(body["sha256"].AsString());
      if (it == blobs_.end()) return true;
      it->second->found = body["found"].AsBool() && message_.size() == 3;
      if (it->second->found) it->second->bytes.assign(message_[2]);
      it->second->done = true;
      blobs_.erase(it);
      answers_.notify_all();
      return true;
    }
    case MessageType::kHistory: {
      const auto it =
          histories_.find({body["run"].AsString(), static_cast<uint64_t>(body["from"].AsInt())});
      if (it == histories_.end()) return true;
      for (size_t i = 2; i < message_.size(); ++i) it->second->groups.emplace_back(message_[i]);
      it->second->done = true;
      histories_.erase(it);
      answers_.notify_all();
      return true;
    }
    case MessageType::kDrain:
      draining_ = true;
      inventory_.DropQueued();
      jobs_.notify_all();
      return true;
    case MessageType::kPong:
      return true;
    case MessageType::kByeAck:
      End({});
      return true;
    default:
      return false;
  }
}

void Session::Write(Clock::time_point now) {
  std::lock_guard lock(mutex_);
  woken_ = false;
  looks_again_ = false;
  if (over_ || stop_) return;
  if (now - heard_ > options_.engine_lost_grace) {
    return End(Error{Code::kUnavailable,
                     "nothing heard from the engine at " + options_.endpoint + " for " +
                         std::to_string(options_.engine_lost_grace.count()) + " ms"});
  }
  const auto limit = heartbeat_ * liveness_;
  if (now - std::max(heard_, connected_) > limit) {
    if (Status s = Reconnect(); !s.ok()) return End(s);
  }
  if (draining_ && !welcome_ && inventory_.running() == 0 && inventory_.unacknowledged() == 0)
    return End({});
  if (blocked_) return;
  if (!greeted_) {
    hello_.in_flight = inventory_.All();
    greeted_ = Send(MessageType::kHello, EncodeHello(hello_, instance_), {}, 0);
    return;
  }
  if (!welcome_ || said_bye_) {
    if (said_bye_ && now - bye_at_ > kByeLimit) End({});
    return;
  }
  const uint64_t before = seq_out_;
  if (!WriteBatches() || !WriteQuestions()) return;
  if (draining_ && inventory_.running() == 0 && inventory_.unacknowledged() == 0) {
    said_bye_ = Send(MessageType::kBye, "\x80", {}, 0);
    bye_at_ = now;
    return;
  }
  if (now - pinged_ >= heartbeat_) {
    if (Send(MessageType::kPing, "\x80", {}, 0)) pinged_ = now;
  }
  // Busy: look again soon without being woken.
  looks_again_ = seq_out_ != before || got_jobs_;
  got_jobs_ = false;
}

bool Session::WriteBatches() {
  while (!inventory_.taken.empty()) {
    batch_.Clear();
    const size_t n = std::min(inventory_.taken.size(), kWireBatchItems);
    for (size_t i = 0; i < n; ++i) {
      const InFlight& id = inventory_.taken[i];
      batch_.Add(id.run, id.key, id.attempt);
    }
    if (!Send(MessageType::kTaken, batch_.Finish(), {}, n)) return false;
    inventory_.taken.erase(inventory_.taken.begin(),
                           inventory_.taken.begin() + static_cast<ptrdiff_t>(n));
  }
  std::vector<std::string_view> payloads;
  while (!inventory_.finished.empty()) {
    batch_.Clear();
    payloads.clear();
    size_t bytes = 0;
    for (const auto& done : inventory_.finished) {
      batch_.AddBlobs(done->id.run, done->id.key, done->id.attempt, done->blobs);
      payloads.push_back(done->result);
      bytes += done->result.size();
      for (const auto& [ref, content] : done->blobs) {
        payloads.push_back(content);
        bytes += content.size();
      }
      if (batch_.size() == kWireBatchItems || bytes > kWireBatchBytes) break;
    }
    if (!Send(MessageType::kResult, batch_.Finish(), payloads, batch_.size())) return false;
    inventory_.finished.erase(inventory_.finished.begin(),
                              inventory_.finished.begin() + static_cast<ptrdiff_t>(batch_.size()));
  }
  return true;
}

bool Session::WriteQuestions() {
  for (auto& [sha256, wait] : blobs_) {
    if (wait->asked) continue;
    if (!Send(MessageType::kBlobGet, EncodeBlobGet(sha256), {}, 1)) return false;
    wait->asked = true;
  }
  for (auto& [key, wait] : histories_) {
    if (wait->asked) continue;
    if (!Send(MessageType::kHistoryGet, EncodeHistoryGet(wait->wanted), {}, 1)) return false;
    wait->asked = true;
  }
  return true;
}

bool Session::Send(MessageType type, std::string_view body,
                   const std::vector<std::string_view>& payloads, size_t count) {
  const std::string header = EncodeHeader({type, 0, static_cast<uint16_t>(count), seq_out_ + 1});
  std::vector<std::string_view> frames{header, body};
  frames.insert(frames.end(), payloads.begin(), payloads.end());
  if (socket_->Send(frames) != SendOutcome::kSent) {
    blocked_ = true;  // no connection yet, or a full pipe: go on when it can be written
    return false;
  }
  ++seq_out_;
  return true;
}

long Session::Timeout(Clock::time_point now) const {
  auto next = pinged_ + heartbeat_;
  if (!welcome_ || blocked_) next = now + std::min<Clock::duration>(heartbeat_, milliseconds(250));
  if (said_bye_) next = bye_at_ + kByeLimit + milliseconds(1);
  next = std::min(next, heard_ + options_.engine_lost_grace + milliseconds(1));
  if (next <= now) return 0;
  return static_cast<long>(std::chrono::ceil<milliseconds>(next - now).count());
}

}  // namespace

Result<std::unique_ptr<WorkerSession>> WorkerSession::Open(const WorkerSessionOptions& options) {
  const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0) return Error{Code::kInternal, std::string("eventfd: ") + std::strerror(errno)};
  auto session = std::make_unique<Session>(options, wake);
  if (Status s = session->Start(); !s.ok()) return s.error();
  return std::unique_ptr<WorkerSession>(std::move(session));
}

}  // namespace kev
