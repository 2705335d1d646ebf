#include "tools/sim/sim_worker.h"

#include <algorithm>
#include <utility>

#include "tools/sim/ledger.h"

namespace kev::sim {
namespace {

constexpr int64_t kProgressUs = 400'000;

}  // namespace

SimWorker::SimWorker(uint32_t number, WorkerKind kind, uint64_t seed, Story* story,
                     const Hooks* hooks)
    : number_(number),
      kind_(std::move(kind)),
      seed_(seed),
      random_(seed, "worker " + std::to_string(number)),
      story_(story),
      hooks_(hooks) {}

void SimWorker::Start(MemoryNetwork* network) {
  ++life_;
  network_ = network;
  frozen_ = false;
  handlers_.clear();
  questions_.clear();
  name_ = kind_.host + ":" + std::to_string(number_ * 1000 + life_);
  WorkerProtocolOptions options;
  options.hello.worker = name_;
  options.hello.program = "simulated";
  options.hello.stages = kind_.stages;
  options.hello.slots = kind_.slots;
  options.hello.host = kind_.host;
  options.hello.resources = kind_.resources;
  options.hello.labels = kind_.labels;
  options.hello.expires_in_ms = static_cast<uint64_t>(kind_.lives_ms);
  options.instance = name_ + "/" + std::to_string(random_.Next());
  options.engine = "the simulation";
  options.engine_lost_grace = std::chrono::milliseconds(kind_.engine_lost_grace_ms);
  options.prefetch = kind_.prefetch;
  protocol_ = std::make_unique<WorkerProtocol>(std::move(options));
  tap_ = std::make_unique<PeerTap>(protocol_.get(), name_, kind_.slots, seed_, story_);
  ends_us_ = kind_.lives_ms == 0 ? INT64_MAX : network->now_us() + kind_.lives_ms * 1000;
  if (hooks_->worker) hook_ = hooks_->worker(tap_.get());
  link_ = network_->Attach(peer());
  network_->Delay(link_, 50, kind_.delay_us);
  if (story_->told()) story_->Tell(name_ + " starts");
}

void SimWorker::Exit() {
  handlers_.clear();
  questions_.clear();
  hook_.reset();
  tap_.reset();
  protocol_.reset();
  frozen_ = false;
  restart_at_ms = network_->now_ms() + 50 + static_cast<int64_t>(random_.Below(1500));
}

void SimWorker::Crash(bool engine_notices) {
  if (!up()) return;
  if (story_->told()) story_->Tell(name_ + " crashes");
  ++story_->tally.worker_deaths;
  network_->Detach(link_, engine_notices);
  Exit();
}

void SimWorker::Freeze(bool frozen) {
  if (!up() || frozen == frozen_) return;
  if (story_->told()) story_->Tell(name_ + (frozen ? " stops" : " goes on"));
  frozen_ = frozen;
  network_->Freeze(link_, frozen);
}

void SimWorker::Move(MemoryNetwork* network) {
  if (!up() || network == network_) return;
  if (story_->told()) story_->Tell(name_ + " turns to the other engine");
  network_->Detach(link_, true);
  network_ = network;
  link_ = network_->Attach(peer());
  network_->Delay(link_, 50, kind_.delay_us);
  network_->Freeze(link_, frozen_);
}

void SimWorker::Calm() {
  kind_.fates = {kind_.fates.bad, 0, 0, 0, kind_.fates.poison};
  Freeze(false);
  const bool stuck = std::any_of(handlers_.begin(), handlers_.end(),
                                 [](const Handler& h) { return h.fate == Fate::kHangs; });
  // What it has claimed and does not have, it will never answer.
  if (stuck || (up() && tap_->claimed())) Crash(true);
  if (!up()) return;
  tap_->ClaimNothing();
  network_->Delay(link_, 50, kind_.delay_us);
  network_->Block(link_, MemoryNetwork::Direction::kToEngine, false);
  network_->Block(link_, MemoryNetwork::Direction::kToPeer, false);
  network_->Jam(link_, false);
}

void SimWorker::Work() {
  if (!up() || frozen_) return;
  const int64_t now_us = network_->now_us();
  if (now_us >= ends_us_) return Crash(true);
  if (protocol_->over() || !network_->Attached(link_)) {
    if (story_->told()) {
      story_->Tell(name_ + " ends" +
                   (protocol_->ending().ok() ? "" : ": " + protocol_->ending().error().message));
    }
    network_->Detach(link_, true);
    return Exit();
  }
  for (size_t i = 0; i < handlers_.size();) {
    if (!Step(handlers_[i], now_us)) {
      ++i;
      continue;
    }
    if (!up()) return;
    handlers_.erase(handlers_.begin() + static_cast<ptrdiff_t>(i));
  }
  while (handlers_.size() < kind_.slots) {
    auto begun = protocol_->Begin(now_us);
    if (!begun) break;
    Begin(std::move(*begun), now_us);
  }
  std::erase_if(questions_, [&](const auto& question) {
    if (question->done && on_history) on_history(*question);
    return question->done;
  });
}

void SimWorker::Begin(WorkerInventory::Begun begun, int64_t now_us) {
  Handler handler;
  handler.fingerprint = FingerprintOf(begun.payload);
  const Result<Job> job = JobFrom(PackedView(begun.payload));
  if (!job) {
    story_->Violate(name_ + " got a job that cannot be read: " + job.error().message);
    return;
  }
  handler.fate = FateOf(*job, kind_.fates, random_);
  handler.answer = AnswerTo(*job, handler.fate, random_);
  // Mostly short ones; some take ten times as long.
  uint64_t mean = static_cast<uint64_t>(kind_.job_us);
  if (random_.Below(16) == 0) mean *= 10;
  int64_t took = static_cast<int64_t>(random_.Below(2 * mean + 1));
  const int64_t limit = int64_t{1000} * job->running_limit_ms;
  if (limit != 0 && took > limit && handler.fate != Fate::kHangs) {
    took = limit;
    if (!handler.answer.result.failure) {
      handler.answer.result = JobResult();
      handler.answer.result.verdict = Verdict::kTimeout;
      handler.answer.blobs.clear();
      // What directs the search must not fail by a verdict.
      if (job->key.subject.kind != SubjectKind::kCandidate) {
        handler.answer.result.failure = Failure{FailureClass::kInfrastructure, "it took too long"};
      }
    }
  }
  handler.end_us = now_us + took;
  if (handler.fate == Fate::kHangs) handler.end_us = INT64_MAX;
  if (random_.Below(2) == 0) handler.progress_us = now_us + kProgressUs;
  if (job->history_seq != 0 && random_.Below(4) == 0)
    questions_.push_back(protocol_->AskHistory({job->run, 1, job->history_seq}));
  handler.begun = std::move(begun);
  handlers_.push_back(std::move(handler));
}

// Whether it is over with this one.
bool SimWorker::Step(Handler& handler, int64_t now_us) {
  const bool killed = handler.begun.flags->kill.load();
  if (handler.begun.flags->cancelled.load() && !handler.stopped) {
    handler.stopped = true;
    // Some see it at once, some later, some not before they are killed.
    if (handler.fate != Fate::kHangs && random_.Below(3) != 0)
      handler.end_us =
          std::min(handler.end_us, now_us + static_cast<int64_t>(random_.Below(200'000)));
  }
  if (now_us >= handler.progress_us) {
    handler.progress_us = now_us + kProgressUs;
    const InFlight& id = handler.begun.id;
    if (handler.fate != Fate::kHangs)
      protocol_->Note({id.run, id.key, id.attempt, random_.Unit(), "at it"});
  }
  if (now_us < handler.end_us && !killed) return false;
  if (handler.fate == Fate::kCrashes && !handler.stopped) {
    Crash(random_.Below(2) == 0);
    return true;
  }
  End(handler, now_us);
  return true;
}

void SimWorker::End(Handler& handler, int64_t now_us) {
  JobResult& result = handler.answer.result;
  if (handler.stopped) {
    result = JobResult();
    result.verdict = Verdict::kCancelled;
    handler.answer.blobs.clear();
  }
  std::string& message = result.failure ? result.failure->message : result.message;
  message += " by " + name_ + " " + MarkOf(handler.fingerprint);
  auto finished = std::make_shared<FinishedAttempt>();
  finished->id = handler.begun.id;
  Encode(result, &finished->result);
  finished->blobs = std::move(handler.answer.blobs);
  protocol_->Finish(std::move(finished), now_us);
}

int64_t SimWorker::NextMs() const {
  if (!up() || frozen_) return INT64_MAX;
  int64_t next = ends_us_;
  for (const Handler& handler : handlers_)
    next = std::min({next, handler.end_us, handler.progress_us});
  return next == INT64_MAX ? next : next / 1000 + 1;
}

bool SimWorker::Empty() const {
  return !up() || (protocol_->queued() == 0 && protocol_->running() == 0 &&
                   protocol_->unacknowledged() == 0);
}

}  // namespace kev::sim
