// What every Transport does, with the real state machines of the peers at the other end: in memory
// and over ZeroMQ.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "queue/blob_id.h"
#include "tests/queue/support/rigs.h"

using namespace kev;

#define EACH_TRANSPORT(name) TEST_CASE_TEMPLATE(name, Rig, MemoryRig, ZmqRig)

EACH_TRANSPORT("a job goes out and its result comes back, with what is said in between") {
  Rig rig;
  EngineEnd<Rig> engine(&rig);
  WorkerProtocolOptions options = WorkerOptionsOf("w:1");
  options.hello.resources["device"] = 2;
  options.hello.labels["gpu.model"] = "H100";
  options.hello.expires_in_ms = 90000;
  WorkerProtocol worker(options);
  rig.Attach(&worker);
  auto hello = engine.template Await<Hello>();
  REQUIRE(hello.has_value());
  CHECK(hello->second.role == Role::kWorker);
  CHECK(hello->second.resources == options.hello.resources);
  CHECK(hello->second.labels == options.hello.labels);
  CHECK(hello->second.expires_in_ms == 90000);
  CHECK_FALSE(hello->second.peer.empty());
  const SessionId id = hello->first;
  engine.Send(id, Welcome{7, {}});
  engine.Send(id, AssignOf(1));
  REQUIRE(engine.Until([&] { return worker.queued() == 1; }));
  auto begun = worker.Begin(rig.NowUs());
  REQUIRE(begun.has_value());
  CHECK(begun->payload == "job 1");
  const auto taken = engine.template Await<Taken>();
  REQUIRE(taken.has_value());
  CHECK(taken->second.key == AttemptOf(1).key);
  worker.Note({"R", begun->id.key, 1, 0.25, "warming up"});
  const auto progress = engine.template Await<Progress>();
  REQUIRE(progress.has_value());
  CHECK(progress->second.fraction == 0.25);
  CHECK(progress->second.note == "warming up");
  const auto finished = FinishedOf(begun->id, {{RefOf("binary"), "binary"}});
  worker.Finish(finished, rig.NowUs());
  const auto result = engine.template Await<ResultMessage>();
  REQUIRE(result.has_value());
  CHECK(result->second.packed == finished->result);
  CHECK(result->second.result.facts["seconds"].AsDouble() == 0.5);
  REQUIRE(result->second.blobs.size() == 1);
  CHECK(result->second.blobs[0].second == "binary");
  CHECK(worker.unacknowledged() == 1);
  engine.Send(id, Acknowledge{"R", begun->id.key, 1, false});
  CHECK(engine.Until([&] { return worker.unacknowledged() == 0; }));
}

EACH_TRANSPORT("no worker has more than it granted, and what waits goes out as credit comes") {
  Rig rig;
  EngineEnd<Rig> engine(&rig);
  WorkerProtocol worker(WorkerOptionsOf("w:1", /*slots=*/2, /*prefetch=*/3));
  rig.Attach(&worker);
  const SessionId id = engine.Greet();
  for (uint32_t n = 1; n <= 100; ++n) rig.engine().Send(id, AssignOf(n));
  rig.engine().Flush();
  REQUIRE(engine.Until([&] { return worker.queued() == 5; }));  // slots and prefetch
  std::set<uint32_t> done;
  size_t most = 0;
  CHECK(engine.Until([&] {
    most = std::max(most, worker.queued() + worker.running());
    if (auto begun = worker.Begin(rig.NowUs())) worker.Finish(FinishedOf(begun->id), rig.NowUs());
    while (!engine.seen().empty()) {
      if (auto* result = std::get_if<ResultMessage>(&engine.seen().front().message)) {
        done.insert(result->key.subject.number);
        engine.Send(id, Acknowledge{"R", result->key, 1, false});
      }
      engine.seen().pop_front();
    }
    return done.size() == 100;
  }));
  CHECK(most == 5);
}

EACH_TRANSPORT("the host hears how much a worker takes, and the limit only rises") {
  Rig rig;
  EngineEnd<Rig> engine(&rig);
  WorkerProtocol worker(WorkerOptionsOf("w:1", 2, 6));
  rig.Attach(&worker);
  const SessionId id = engine.Greet();
  auto credit = engine.template Await<CreditGranted>();
  REQUIRE(credit.has_value());
  CHECK(credit->second.limit == 8);
  uint64_t before = credit->second.limit;
  for (uint32_t n = 1; n <= 8; ++n) engine.Send(id, AssignOf(n));
  REQUIRE(engine.Until([&] { return worker.queued() == 8; }));
  for (int i = 0; i < 8; ++i) worker.Finish(FinishedOf(worker.Begin(0)->id), rig.NowUs());
  while (before < 16) {
    credit = engine.template Await<CreditGranted>();
    REQUIRE(credit.has_value());
    CHECK(credit->second.limit > before);
    before = credit->second.limit;
  }
  CHECK(before == 16);
}

EACH_TRANSPORT("what has not begun is handed back when it is retracted, what runs is not") {
  Rig rig;
  EngineEnd<Rig> engine(&rig);
  WorkerProtocol worker(WorkerOptionsOf("w:1", 2));
  rig.Attach(&worker);
  const SessionId id = engine.Greet();
  for (uint32_t n = 1; n <= 3; ++n) engine.Send(id, AssignOf(n));  // the third waits for credit
  REQUIRE(engine.Until([&] { return worker.queued() == 2; }));
  const auto running = worker.Begin(rig.NowUs());
  for (uint32_t n = 1; n <= 3; ++n) {
    rig.engine().Send(id, Retract{"R", AttemptOf(n).key, 1});
  }
  rig.engine().Flush();
  std::set<uint32_t> returned;
  for (int i = 0; i < 2; ++i) {
    const auto back = engine.template Await<Returned>();
    REQUIRE(back.has_value());
    returned.insert(back->second.key.subject.number);
  }
  CHECK(returned == std::set<uint32_t>{2, 3});
  CHECK(worker.queued() == 0);
  worker.Finish(FinishedOf(running->id), rig.NowUs());
  CHECK(engine.template Await<ResultMessage>().has_value());
}

EACH_TRANSPORT("cancelling is soft at first, and hard when the grace is over") {
  Rig rig;
  EngineEnd<Rig> engine(&rig);
  WorkerProtocol worker(WorkerOptionsOf("w:1", 2));
  rig.Attach(&worker);
  const SessionId id = engine.Greet();
  for (uint32_t n = 1; n <= 3; ++n) engine.Send(id, AssignOf(n));  // the third waits for credit
  REQUIRE(engine.Until([&] { return worker.queued() == 2; }));
  const auto running = worker.Begin(rig.NowUs());
  CHECK_FALSE(running->flags->cancelled.load());
  for (uint32_t n = 1; n <= 3; ++n) rig.engine().Send(id, Cancel{"R", AttemptOf(n).key, 1, 40});
  rig.engine().Flush();
  std::set<uint32_t> cancelled;
  for (int i = 0; i < 2; ++i) {
    const auto answer = engine.template Await<ResultMessage>();
    REQUIRE(answer.has_value());
    CHECK(answer->second.result.verdict == Verdict::kCancelled);
    CHECK_FALSE(answer->second.packed.empty());
    cancelled.insert(answer->second.key.subject.number);
  }
  CHECK(cancelled == std::set<uint32_t>{2, 3});
  CHECK(engine.Until([&] { return running->flags->cancelled.load(); }));
  CHECK_FALSE(running->flags->kill.load());
  CHECK(engine.Until([&] { return running->flags->kill.load(); }));
}

EACH_TRANSPORT("a peer that vanishes is lost at once, and not in good order") {
  Rig rig;
  EngineEnd<Rig> engine(&rig);
  WorkerProtocol worker(WorkerOptionsOf("w:1"));
  rig.Attach(&worker);
  const SessionId id = engine.Greet();
  engine.Send(id, AssignOf(1));
  REQUIRE(engine.Until([&] { return worker.queued() == 1; }));
  worker.Finish(FinishedOf(worker.Begin(0)->id), rig.NowUs());
  REQUIRE(engine.template Await<ResultMessage>().has_value());
  rig.Detach(&worker);
  const auto lost = engine.template Await<SessionLost>();
  REQUIRE(lost.has_value());
  CHECK(lost->first == id);
  CHECK_FALSE(lost->second.orderly);
  CHECK(lost->second.reason.starts_with("w:1 ("));
  CHECK(lost->second.reason.find("closed") != std::string::npos);
}

EACH_TRANSPORT("on a new connection a worker brings what it holds, and keeps what is current") {
  Rig rig;
  EngineEnd<Rig> engine(&rig);
  WorkerProtocol worker(WorkerOptionsOf("w:1", 3));
  rig.Attach(&worker);
  const SessionId first = engine.Greet();
  for (uint32_t n = 1; n <= 3; ++n) engine.Send(first, AssignOf(n));
  REQUIRE(engine.Until([&] { return worker.queued() == 3; }));
  const auto done = worker.Begin(0), running = worker.Begin(0), dropped = worker.Begin(0);
  worker.Finish(FinishedOf(done->id), rig.NowUs());
  REQUIRE(engine.template Await<ResultMessage>().has_value());  // never acknowledged
  rig.Reconnect(&worker);
  auto hello = engine.template Await<Hello>();
  REQUIRE(hello.has_value());
  REQUIRE(hello->second.in_flight.size() == 3);
  for (const kev::InFlight& held : hello->second.in_flight)
    CHECK(held.job_digest == 1000 + held.key.subject.number);  // as it came with the job
  engine.Send(hello->first, Welcome{1, {done->id, running->id}});
  const auto again = engine.template Await<ResultMessage>();
  REQUIRE(again.has_value());
  CHECK(again->first == hello->first);
  CHECK(again->second.key == done->id.key);
  engine.Send(hello->first, Acknowledge{"R", done->id.key, 1, true});
  CHECK(dropped->flags->cancelled.load());
  CHECK_FALSE(running->flags->cancelled.load());
  worker.Finish(FinishedOf(dropped->id), rig.NowUs());  // nobody wants it any more
  worker.Finish(FinishedOf(running->id), rig.NowUs());
  const auto last = engine.template Await<ResultMessage>();
  REQUIRE(last.has_value());
  CHECK(last->second.key == running->id.key);
}

// Three such jobs, and the one worker that could do the next was never sent anything again: seed
// 204010 of the simulator.
EACH_TRANSPORT("what is withdrawn before it has left costs no credit") {
  Rig rig;
  EngineEnd<Rig> engine(&rig);
  WorkerProtocol worker(WorkerOptionsOf("w:1", 1));
  rig.Attach(&worker);
  const SessionId id = engine.Greet();
  engine.Send(id, AssignOf(1));
  engine.Send(id, AssignOf(2));  // beyond its slots: this one waits in the engine's end
  engine.Send(id, AssignOf(3));
  REQUIRE(engine.Until([&] { return worker.queued() == 1; }));
  engine.Send(id, Cancel{"R", AttemptOf(2).key, 1});
  engine.Send(id, Retract{"R", AttemptOf(3).key, 1});
  const auto cancelled = engine.template Await<ResultMessage>();
  REQUIRE(cancelled.has_value());
  CHECK(cancelled->second.key == AttemptOf(2).key);
  const auto returned = engine.template Await<Returned>();
  REQUIRE(returned.has_value());
  CHECK(returned->second.key == AttemptOf(3).key);
  worker.Finish(FinishedOf(worker.Begin(rig.NowUs())->id), rig.NowUs());
  // The worker has had one and takes another; the host has given three, and may give a fourth.
  uint64_t limit = 0;
  while (limit < 4) {
    const auto credit = engine.template Await<CreditGranted>();
    REQUIRE(credit.has_value());
    limit = credit->second.limit;
  }
  CHECK(limit == 4);
}

EACH_TRANSPORT("a worker that is drained hands back, finishes, and says why it leaves") {
  Rig rig;
  EngineEnd<Rig> engine(&rig);
  WorkerProtocol worker(WorkerOptionsOf("w:1", 2));
  rig.Attach(&worker);
  const SessionId id = engine.Greet();
  engine.Send(id, AssignOf(1));
  engine.Send(id, AssignOf(2));
  REQUIRE(engine.Until([&] { return worker.queued() == 2; }));
  const auto running = worker.Begin(rig.NowUs());
  std::string why;
  SUBCASE("by the engine") {
    engine.Send(id, Drain{});
    why = "the engine asked for it";
  }
  SUBCASE("by its own host") {
    worker.Drain("its time here is over");
    why = "its time here is over";
  }
  const auto back = engine.template Await<Returned>();
  REQUIRE(back.has_value());
  CHECK(back->second.key == AttemptOf(2).key);
  CHECK_FALSE(worker.Begin(rig.NowUs()).has_value());
  worker.Finish(FinishedOf(running->id), rig.NowUs());
  REQUIRE(engine.template Await<ResultMessage>().has_value());
  engine.Send(id, Acknowledge{"R", AttemptOf(1).key, 1, false});
  const auto lost = engine.template Await<SessionLost>();
  REQUIRE(lost.has_value());
  CHECK(lost->second.orderly);
  CHECK_MESSAGE(lost->second.reason.find(why) != std::string::npos, lost->second.reason);
  CHECK(engine.Until([&] { return worker.over(); }));
  CHECK(worker.ending().ok());
}

EACH_TRANSPORT("blobs and history are asked for, and asked again on a new connection") {
  Rig rig;
  EngineEnd<Rig> engine(&rig);
  WorkerProtocol worker(WorkerOptionsOf("w:1"));
  rig.Attach(&worker);
  engine.Greet();
  const auto blob = worker.AskBlob(RefOf("context").sha256);
  const auto history = worker.AskHistory({"R", 3, 9});
  REQUIRE(engine.template Await<BlobWanted>().has_value());
  rig.Reconnect(&worker);
  const SessionId id = engine.Greet();
  const auto wanted = engine.template Await<BlobWanted>();
  REQUIRE(wanted.has_value());
  CHECK(wanted->first == id);
  const auto part = engine.template Await<HistoryWanted>();
  REQUIRE(part.has_value());
  CHECK(part->second.to == 9);
  rig.engine().Send(id, BlobAnswer{wanted->second.sha256, true, "context"});
  rig.engine().Send(id, HistoryAnswer{"R", 3, {"group 1", "group 2"}});
  rig.engine().Flush();
  REQUIRE(engine.Until([&] { return blob->done && history->done; }));
  CHECK(blob->bytes == "context");
  CHECK(history->groups == std::vector<std::string>{"group 1", "group 2"});
}

EACH_TRANSPORT("clients ask and order, and get each answer to its question") {
  Rig rig;
  EngineEnd<Rig> engine(&rig);
  ClientProtocolOptions options;
  options.hello.role = Role::kClient;
  options.hello.worker = "c:1";
  options.instance = "instance of c:1";
  options.engine = "the engine";
  ClientProtocol client(options);
  rig.Attach(&client);
  auto hello = engine.template Await<Hello>();
  REQUIRE(hello.has_value());
  CHECK(hello->second.role == Role::kClient);
  engine.Send(hello->first, Welcome{1, {}});
  const auto submit =
      client.Call("submit", Value::Map{{"key", "k1"}}, {{RefOf("bundle"), "bundle"}});
  const auto pause = client.Call("pause", "R");
  const auto first = engine.template Await<ClientCall>();
  REQUIRE(first.has_value());
  CHECK(first->second.method == "submit");
  CHECK(first->second.arguments["key"].AsString() == "k1");
  REQUIRE(first->second.blobs.size() == 1);
  CHECK(first->second.blobs[0].second == "bundle");
  const auto second = engine.template Await<ClientCall>();
  REQUIRE(second.has_value());
  const SessionId id = hello->first;
  rig.engine().Send(
      id, ClientReply{second->second.id, Error{Code::kNotFound, "there is no run R"}, Value()});
  rig.engine().Send(id, ClientReply{first->second.id, {}, "run-1"});
  rig.engine().Flush();
  REQUIRE(engine.Until([&] { return submit->done && pause->done; }));
  CHECK(submit->value.AsString() == "run-1");
  CHECK(pause->status.error().code == Code::kNotFound);
  CHECK(pause->status.error().message == "there is no run R");
  client.Leave();
  const auto lost = engine.template Await<SessionLost>();
  REQUIRE(lost.has_value());
  CHECK(lost->second.orderly);
  CHECK(engine.Until([&] { return client.over(); }));
}

EACH_TRANSPORT("a call that was not answered is asked again on a new connection") {
  Rig rig;
  EngineEnd<Rig> engine(&rig);
  ClientProtocolOptions options;
  options.hello.role = Role::kAdmin;
  options.hello.worker = "c:1";
  options.instance = "i";
  ClientProtocol client(options);
  rig.Attach(&client);
  engine.Greet();
  const auto asked = client.Call("status", Value());
  REQUIRE(engine.template Await<ClientCall>().has_value());
  rig.Reconnect(&client);
  const SessionId id = engine.Greet();
  const auto again = engine.template Await<ClientCall>();
  REQUIRE(again.has_value());
  CHECK(again->first == id);
  engine.Send(id, ClientReply{again->second.id, {}, 5});
  CHECK(engine.Until([&] { return asked->done; }));
  CHECK(asked->value.AsInt() == 5);
}
