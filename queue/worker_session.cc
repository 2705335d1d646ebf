#include "queue/worker_session.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "queue/blob_id.h"
#include "queue/codec.h"
#include "queue/peer_options.h"
#include "queue/worker_protocol.h"
#include "queue/zmq_peer.h"

namespace kev {
namespace {

int64_t NowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Slot threads and the I/O thread meet under one lock. A slot thread wakes the I/O thread only when
// it would otherwise sleep past something: right after it was busy, the I/O thread looks again
// within kLinger by itself, so that a stream of small results leaves in few messages.
class Session final : public WorkerSession, private PeerProtocol {
 public:
  Session(WorkerProtocolOptions protocol, ZmqPeerOptions peer, int wake,
          std::function<void(const SettledAttempt&)> on_settled)
      : wake_(wake),
        on_settled_(std::move(on_settled)),
        protocol_(std::move(protocol)),
        peer_(std::move(peer), this) {}
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
    if (Status s = peer_.Open(); !s.ok()) return s;
    thread_ = std::thread([this] { Run(); });
    return {};
  }

  std::optional<WorkItem> Next() override;
  void Finish(const WorkItem& item, JobResult result,
              std::vector<std::pair<BlobRef, std::string>> blobs) override;
  void Progress(const Job& job, double fraction, const std::string& note) override;
  Result<std::string> FetchBlob(const BlobRef& ref) override;
  Result<std::vector<EventGroup>> FetchHistory(const std::string& run, uint64_t from,
                                               uint64_t to) override;
  void Drain(const std::string& reason) override;
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

  void FinishAttempt(InFlight id, const JobResult& result,
                     std::vector<std::pair<BlobRef, std::string>> blobs);
  void Wake();  // REQUIRES: mutex_ held

  // The I/O thread's: the protocol's calls, each under the lock.
  void Opened(int64_t now_us) override;
  PeerNext Closed(int64_t now_us) override;
  PeerNext Refused(Error why) override;
  PeerNext Read(const Frames& frames, int64_t now_us) override;
  PeerNext Write(FrameSink* sink, int64_t now_us) override;
  int64_t WakeUs(int64_t now_us) const override;
  void Run();
  void End(Status status);
  void KillLeftOver();

  const int wake_;  // eventfd
  const std::function<void(const SettledAttempt&)> on_settled_;

  mutable std::mutex mutex_;
  std::condition_variable jobs_;
  std::condition_variable answers_;
  WorkerProtocol protocol_;
  size_t idle_ = 0;           // slot threads that wait in Next
  bool looks_again_ = false;  // the I/O thread will look at the outbox within kLingerMs
  bool woken_ = false;
  bool over_ = false;
  bool stop_ = false;
  Status ending_;
  uint64_t news_ = 0;

  ZmqPeer peer_;  // only the I/O thread's
  std::thread thread_;
};

std::optional<WorkItem> Session::Next() {
  for (;;) {
    WorkerInventory::Begun begun;
    {
      std::unique_lock lock(mutex_);
      ++idle_;
      jobs_.wait(lock, [&] { return over_ || protocol_.draining() || protocol_.queued() > 0; });
      --idle_;
      if (over_ || protocol_.draining()) return std::nullopt;
      begun = std::move(*protocol_.Begin(NowUs()));
      if (!looks_again_) Wake();
    }
    const Result<PackedView> view = CheckPacked(begun.payload);
    Result<Job> job = view ? JobFrom(*view) : Result<Job>(view.error());
    if (job) {
      return WorkItem{std::move(*job),
                      {begun.flags, &begun.flags->cancelled},
                      {begun.flags, &begun.flags->kill},
                      begun.id.job_digest};
    }
    JobResult broken;
    broken.failure =
        Failure{FailureClass::kInfrastructure, "the job cannot be read: " + job.error().message};
    FinishAttempt(std::move(begun.id), broken, {});
  }
}

void Session::Finish(const WorkItem& item, JobResult result,
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
  FinishAttempt({item.job.run, item.job.key, item.job.attempt, item.job_digest}, result,
                std::move(blobs));
}

void Session::FinishAttempt(InFlight id, const JobResult& result,
                            std::vector<std::pair<BlobRef, std::string>> blobs) {
  auto finished = std::make_shared<FinishedAttempt>();
  finished->id = std::move(id);
  Encode(result, &finished->result);
  finished->blobs = std::move(blobs);
  std::lock_guard lock(mutex_);
  protocol_.Finish(std::move(finished), NowUs());
  if (!looks_again_ || protocol_.queued() == 0) Wake();
}

void Session::Progress(const Job& job, double fraction, const std::string& note) {
  std::lock_guard lock(mutex_);
  protocol_.Note({job.run, job.key, job.attempt, std::min(fraction, 1.0), note});
  if (!looks_again_) Wake();
}

Result<std::string> Session::FetchBlob(const BlobRef& ref) {
  std::unique_lock lock(mutex_);
  const std::shared_ptr<const BlobQuestion> question = protocol_.AskBlob(ref.sha256);
  Wake();
  answers_.wait(lock, [&] { return question->done || over_; });
  if (!question->done)
    return Error{Code::kUnavailable,
                 "the engine went away while blob " + ref.sha256 + " was fetched"};
  if (!question->found) return Error{Code::kNotFound, "the engine has no blob " + ref.sha256};
  lock.unlock();
  if (Sha256Hex(question->bytes) != ref.sha256) {
    return Error{Code::kCorrupt,
                 "the engine's bytes for blob " + ref.sha256 + " do not have that digest"};
  }
  return question->bytes;
}

Result<std::vector<EventGroup>> Session::FetchHistory(const std::string& run, uint64_t from,
                                                      uint64_t to) {
  std::shared_ptr<const HistoryQuestion> question;
  {
    std::unique_lock lock(mutex_);
    answers_.wait(lock, [&] { return over_ || !protocol_.Asks(run, from); });
    if (!over_) {
      question = protocol_.AskHistory({run, from, to});
      Wake();
      answers_.wait(lock, [&] { return question->done || over_; });
    }
    if (!question || !question->done) {
      return Error{Code::kUnavailable,
                   "the engine went away while the history of " + run + " was fetched"};
    }
  }
  std::vector<EventGroup> groups;
  groups.reserve(question->groups.size());
  for (const std::string& body : question->groups) {
    Result<EventGroup> group = DecodeGroup(body, "");
    if (!group) return group.error();
    groups.push_back(std::move(*group));
  }
  return groups;
}

void Session::Drain(const std::string& reason) {
  std::lock_guard lock(mutex_);
  protocol_.Drain(reason);
  jobs_.notify_all();
  Wake();
}

void Session::Wake() {
  if (woken_) return;
  woken_ = true;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(wake_, &one, sizeof one);
}

void Session::Opened(int64_t now_us) {
  std::lock_guard lock(mutex_);
  protocol_.Opened(now_us);
}

PeerNext Session::Closed(int64_t now_us) {
  std::lock_guard lock(mutex_);
  return protocol_.Closed(now_us);
}

PeerNext Session::Refused(Error why) {
  std::lock_guard lock(mutex_);
  return protocol_.Refused(std::move(why));
}

// Decoding is outside the lock: slot threads go on meanwhile.
PeerNext Session::Read(const Frames& frames, int64_t now_us) {
  Result<PeerMessage> message = DecodePeerMessage(frames);
  std::unique_lock lock(mutex_);
  const size_t before = protocol_.queued();
  const PeerNext next = protocol_.Apply(std::move(message), frames, now_us);
  const size_t added = protocol_.queued() > before ? protocol_.queued() - before : 0;
  for (size_t i = std::min(added, idle_); i > 0; --i) jobs_.notify_one();
  if (protocol_.news() != news_) {
    news_ = protocol_.news();
    jobs_.notify_all();
    answers_.notify_all();
  }
  if (on_settled_) {
    const std::vector<std::pair<InFlight, bool>> settled = protocol_.TakeSettled();
    lock.unlock();
    for (const auto& [id, committed] : settled)
      on_settled_({id.run, id.key, id.attempt, committed});
  }
  return next;
}

PeerNext Session::Write(FrameSink* sink, int64_t now_us) {
  std::lock_guard lock(mutex_);
  woken_ = looks_again_ = false;
  const PeerNext next = protocol_.Write(sink, now_us);
  // Write has emptied the outbox, or the socket is blocked; in both cases nothing is overslept.
  looks_again_ = next == PeerNext::kGoOn && protocol_.busy();
  return next;
}

int64_t Session::WakeUs(int64_t now_us) const {
  std::lock_guard lock(mutex_);
  return protocol_.WakeUs(now_us);
}

void Session::Run() {
  for (;;) {
    const Result<bool> on = peer_.Turn();
    if (!on) return End(on.error());
    bool linger = false;
    {
      std::lock_guard lock(mutex_);
      if (stop_) break;
      linger = looks_again_;
    }
    if (!*on) break;
    peer_.Wait(wake_, linger ? kLingerMs : 60000);
    uint64_t count;
    [[maybe_unused]] const ssize_t n = read(wake_, &count, sizeof count);
  }
  std::unique_lock lock(mutex_);
  const Status ending = protocol_.over()
                            ? protocol_.ending()
                            : Status(Error{Code::kUnavailable, "the session was closed"});
  lock.unlock();
  End(ending);
  KillLeftOver();
}

void Session::End(Status status) {
  std::lock_guard lock(mutex_);
  if (!protocol_.over()) protocol_.Refused({Code::kUnavailable, "the session was closed"});
  over_ = true;
  ending_ = std::move(status);
  jobs_.notify_all();
  answers_.notify_all();
}

// Handlers that were asked to stop get their grace; what they started is killed after it.
void Session::KillLeftOver() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const std::optional<int64_t> next = protocol_.KillDue(NowUs());
    if (!next) return;
    jobs_.wait_for(lock, std::chrono::microseconds(std::max<int64_t>(1000, *next - NowUs())));
  }
  protocol_.KillAll();
}

}  // namespace

Result<std::unique_ptr<WorkerSession>> WorkerSession::Open(const WorkerSessionOptions& options) {
  Result<PeerOptions> common = PeerOptionsFor(Role::kWorker, options.endpoint, options.access_file);
  if (!common) return common.error();
  if (options.prefetch && *options.prefetch > kMostPrefetch) {
    return Error{Code::kInvalid, "prefetch of " + std::to_string(*options.prefetch) +
                                     ": at most 256 attempts can be taken beyond the slots"};
  }
  WorkerProtocolOptions protocol;
  protocol.hello = std::move(common->hello);
  protocol.hello.program = options.program;
  protocol.hello.stages = options.stages;
  protocol.hello.slots = options.slots;
  protocol.hello.resources = options.resources;
  protocol.hello.labels = options.labels;
  protocol.hello.expires_in_ms = static_cast<uint64_t>(options.expires_in.count());
  protocol.instance = std::move(common->instance);
  protocol.engine = common->zmq.endpoints.front();
  protocol.engine_lost_grace = options.engine_lost_grace;
  protocol.prefetch = options.prefetch;
  protocol.keep_settled = options.on_settled != nullptr;
  const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0) return Error{Code::kInternal, std::string("eventfd: ") + std::strerror(errno)};
  auto session = std::make_unique<Session>(std::move(protocol), std::move(common->zmq), wake,
                                           options.on_settled);
  if (Status s = session->Start(); !s.ok()) return s.error();
  return std::unique_ptr<WorkerSession>(std::move(session));
}

}  // namespace kev
