#include "tests/engine/support/host_rig.h"

#include <stdexcept>
#include <utility>

#include "engine/core/result_fit.h"
#include "tests/engine/support/canonical_reader.h"
#include "tests/engine/support/plans.h"

namespace kev::testing {

Plan OneAtATime() {
  auto b = LinearPlan();
  b.plan().in_flight = 1;
  return b.plan();
}

HostRig::HostRig(Plan plan, Value secret) : plan_(std::move(plan)), secret_(std::move(secret)) {
  core = std::make_unique<RunCore>("run");
  Begin(1, 0);
  run->Post(RunSubmitted{plan_, Value()});
}

void HostRig::Begin(uint64_t epoch, int64_t run_time_ms) {
  HostedRunOptions options;
  options.run = "run";
  options.epoch = epoch;
  options.run_time_ms = run_time_ms;
  options.secret = secret_;
  transport = std::make_unique<FakeTransport>();
  store.ForgetAnswers();
  store.SetEpoch(epoch);
  options.restart_grace_ms = grace_ms;
  options.retain_ms = retain_ms;
  options.snapshot_events = snapshot_events;
  options.snapshot_seq = snapshot_seq;
  options.over = over;
  host = std::make_unique<Host>(transport.get(), &store, &clock);
  run = &host->Add(options, core.get());
}

void HostRig::Restart() {
  host.reset();
  core = std::make_unique<RunCore>(Refold());
  core->TakeChanged();
  Begin(++epoch_, core->run_time_ms());
  if (core->last_seq() == 0) run->Post(RunSubmitted{plan_, Value()});
  host->PostRestart(*run, kDecisionVersion);
}

RunCore HostRig::Refold() const {
  RunCore folded("run");
  for (const FakeStore::Entry& entry : store.log("run")) {
    const auto value = ReadCanonical(entry.body);
    if (!value) throw std::runtime_error("a log entry cannot be read");
    const Result<EventGroup> group = EventGroupFrom(PackedView(entry.body));
    if (!group) throw std::runtime_error(group.error().message);
    if (RunCore::DigestCommands(folded.Apply(*group)).Hex() != entry.digest) {
      throw std::runtime_error("refolding seq " + std::to_string(entry.last_seq) +
                               " gives other commands");
    }
  }
  return folded;
}

std::optional<Error> HostRig::Broken() const {
  return run->broken() ? run->broken() : host->store_lost();
}

void HostRig::Settle() {
  for (int i = 0; host->Turn(); ++i) {
    if (i > 10000) throw std::runtime_error("the host does not settle");
  }
}

SessionId HostRig::Connect(const std::vector<std::string>& stages, uint32_t slots) {
  Hello hello;
  hello.worker = "host:1";
  hello.stages = stages;
  hello.slots = slots;
  hello.host = "host";
  return Connect(std::move(hello));
}

SessionId HostRig::Connect(Hello hello) {
  const SessionId session = transport->Connect(std::move(hello));
  Settle();
  return session;
}

void HostRig::Report(SessionId session, const Assign& job, JobResult result) {
  ResultMessage message{job.run, job.key, job.attempt, std::move(result), {}};
  ForEachBlob(message.result, [&](const BlobRef& ref) {
    message.blobs.emplace_back(ref, "some bytes");  // the transport has checked them
    return true;
  });
  transport->Arrive(session, std::move(message));
}

std::vector<Assign> HostRig::Do(SessionId session, const Assign& job) {
  Report(session, job, GoodAnswer(ReadJob(job.payload)));
  Settle();
  return Assigned(session);
}

std::string HostRig::Told() const {
  std::string told;
  for (const FakeStore::Entry& entry : store.log("run")) told += entry.what + "\n";
  return told;
}

}  // namespace kev::testing
