// Transport and worker session against each other over real sockets: what the host and a stage see
// of the protocol.
#include <doctest/doctest.h>
#include <poll.h>
#include <zmq.h>

#include <chrono>
#include <functional>
#include <optional>
#include <thread>

#include "engine/core/random.h"
#include "queue/blob_id.h"
#include "queue/wire.h"
#include "queue/wire_bodies.h"
#include "queue/worker_session.h"
#include "queue/zmq_transport.h"
#include "tests/queue/scratch_folder.h"

using namespace kev;
using std::chrono::milliseconds;

namespace {

// The engine's end: collects what arrives, by type.
struct Engine {
  std::unique_ptr<ZmqTransport> transport;
  std::vector<Inbound> seen;
  size_t read = 0;

  explicit Engine(const std::string& endpoint, milliseconds heartbeat = milliseconds(1000)) {
    Result<std::unique_ptr<ZmqTransport>> bound = ZmqTransport::Bind({{endpoint}, heartbeat, 4});
    REQUIRE_MESSAGE(bound.ok(), (bound ? "" : bound.error().message));
    transport = std::move(*bound);
  }
  const std::string& endpoint() const { return transport->Endpoints().front(); }
  void Step() {
    pollfd item{transport->Descriptor(), POLLIN, 0};
    poll(&item, 1, 5);
    for (;;) {
      std::vector<Inbound> more = transport->Receive(64);
      if (more.empty()) break;
      for (Inbound& m : more) seen.push_back(std::move(m));
    }
  }
  // Next message of type T, whatever comes in between is left out; bounded by 10 s.
  template <typename T>
  std::optional<std::pair<SessionId, T>> Await() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < until) {
      while (read < seen.size()) {
        Inbound& m = seen[read++];
        if (T* found = std::get_if<T>(&m.message)) return std::pair(m.session, std::move(*found));
      }
      Step();
    }
    return std::nullopt;
  }
  void Send(SessionId session, Outbound message) {
    transport->Send(session, std::move(message));
    transport->Flush();
  }
  SessionId Greet(std::vector<InFlight> keep = {}) {
    auto hello = Await<Hello>();
    REQUIRE(hello.has_value());
    Send(hello->first, Welcome{1, std::move(keep)});
    return hello->first;
  }
};

std::unique_ptr<WorkerSession> Worker(const std::string& endpoint,
                                      milliseconds grace = milliseconds(30000),
                                      uint32_t slots = 2) {
  WorkerSessionOptions options;
  options.endpoint = endpoint;
  options.program = "test";
  options.stages = {"compile"};
  options.slots = slots;
  options.engine_lost_grace = grace;
  Result<std::unique_ptr<WorkerSession>> session = WorkerSession::Open(options);
  REQUIRE(session.ok());
  return std::move(*session);
}

Job MakeJob(uint32_t number, uint32_t attempt = 1) {
  Job job;
  job.run = "R";
  job.key = {{SubjectKind::kCandidate, number}, 1, 0};
  job.attempt = attempt;
  job.label = Name(job.key.subject).append("/build#").append(std::to_string(attempt));
  job.step = "build";
  job.stage = "compile";
  return job;
}
Assign MakeAssign(const Job& job) {
  return {job.run, job.key, job.attempt, EncodeCanonical(ToValue(job)), 7};
}
JobResult Ok() {
  JobResult result;
  result.facts.Set("seconds", 0.5);
  return result;
}

void RoundTrip(const std::string& endpoint) {
  Engine engine(endpoint);
  auto worker = Worker(engine.endpoint());
  auto hello = engine.Await<Hello>();
  REQUIRE(hello.has_value());
  CHECK(hello->second.program == "test");
  CHECK(hello->second.slots == 2);
  CHECK(hello->second.stages == std::vector<std::string>{"compile"});
  CHECK(hello->second.in_flight.empty());
  const SessionId id = hello->first;
  engine.Send(id, Welcome{7, {}});

  for (uint32_t n = 1; n <= 3; ++n) engine.transport->Send(id, MakeAssign(MakeJob(n)));
  engine.transport->Flush();
  for (uint32_t n = 1; n <= 3; ++n) {
    std::optional<WorkItem> item = worker->Next();
    REQUIRE(item.has_value());
    CHECK(item->job.label == MakeJob(n).label);
    worker->Finish(*item, Ok(), {{RefOf("binary"), "binary"}});
    const auto taken = engine.Await<Taken>();
    REQUIRE(taken.has_value());
    CHECK(taken->second.key == MakeJob(n).key);
    const auto result = engine.Await<ResultMessage>();
    REQUIRE(result.has_value());
    CHECK(result->first == id);
    CHECK(result->second.result.facts["seconds"].AsDouble() == 0.5);
    REQUIRE(result->second.blobs.size() == 1);
    CHECK(result->second.blobs[0].second == "binary");
    engine.Send(id, Acknowledge{"R", item->job.key, 1, n == 2});
  }

  // A blob and a part of the history, asked for from another thread while the engine answers.
  Result<std::string> blob = Error{};
  Result<std::string> missing = Error{};
  Result<std::vector<EventGroup>> history = Error{};
  std::thread asker([&] {
    blob = worker->FetchBlob(RefOf("context"));
    missing = worker->FetchBlob(RefOf("unknown"));
    history = worker->FetchHistory("R", 3, 4);
  });
  auto wanted = engine.Await<BlobWanted>();
  REQUIRE(wanted.has_value());
  engine.Send(id, BlobAnswer{wanted->second.sha256, true, "context"});
  wanted = engine.Await<BlobWanted>();
  REQUIRE(wanted.has_value());
  engine.Send(id, BlobAnswer{wanted->second.sha256, false, ""});
  const auto part = engine.Await<HistoryWanted>();
  REQUIRE(part.has_value());
  CHECK(part->second.from == 3);
  CHECK(part->second.to == 4);
  EventGroup group;
  group.first_seq = 3;
  group.events = {TimePassed{}, TimePassed{}};
  engine.Send(id, HistoryAnswer{"R", 3, {EncodeCanonical(ToValue(group))}});
  asker.join();
  REQUIRE(blob.ok());
  CHECK(*blob == "context");
  CHECK(missing.error().code == Code::kNotFound);
  REQUIRE(history.ok());
  CHECK(history->front().last_seq() == 4);

  // Cancel reaches a running attempt; one that has not begun is answered as cancelled.
  engine.Send(id, MakeAssign(MakeJob(8)));
  std::optional<WorkItem> running = worker->Next();
  REQUIRE(running.has_value());
  engine.transport->Send(id, MakeAssign(MakeJob(9)));
  engine.transport->Send(id, Cancel{"R", MakeJob(8).key, 1});
  engine.transport->Send(id, Cancel{"R", MakeJob(9).key, 1});
  engine.transport->Flush();
  const auto cancelled = engine.Await<ResultMessage>();
  REQUIRE(cancelled.has_value());
  CHECK(cancelled->second.key == MakeJob(9).key);
  CHECK(cancelled->second.result.verdict == Verdict::kCancelled);
  CHECK(running->cancelled->load());

  // Drain: what runs is finished and acknowledged, then the worker leaves in good order.
  engine.Send(id, kev::Drain{});
  CHECK_FALSE(worker->Next().has_value());
  worker->Finish(*running, Ok(), {});
  const auto last = engine.Await<ResultMessage>();
  REQUIRE(last.has_value());
  engine.transport->Send(id, Acknowledge{"R", MakeJob(8).key, 1, false});
  engine.Send(id, Acknowledge{"R", MakeJob(9).key, 1, true});
  const auto left = engine.Await<SessionLost>();
  REQUIRE(left.has_value());
  CHECK(left->second.orderly);
  CHECK(worker->WaitEnd().ok());
}

}  // namespace

TEST_CASE("jobs, results, blobs, history, cancel and drain over ipc") {
  ScratchFolder folder;
  RoundTrip("ipc://" + (folder / "q"));
}

TEST_CASE("jobs, results, blobs, history, cancel and drain over tcp") {
  RoundTrip("tcp://127.0.0.1:*");
}

TEST_CASE(
    "after an engine restart the worker comes back with its inventory and sends the unacknowledged "
    "result again") {
  ScratchFolder folder;
  const std::string endpoint = "ipc://" + (folder / "q");
  std::optional<Engine> engine;
  engine.emplace(endpoint, milliseconds(100));
  auto worker = Worker(endpoint, milliseconds(30000), /*slots=*/3);
  const SessionId first = engine->Greet();
  for (uint32_t n = 1; n <= 3; ++n) engine->transport->Send(first, MakeAssign(MakeJob(n)));
  engine->transport->Flush();
  const WorkItem done = *worker->Next(), running = *worker->Next(), dropped = *worker->Next();
  worker->Finish(done, Ok(), {{RefOf("b"), "b"}});
  REQUIRE(engine->Await<ResultMessage>().has_value());  // received, never committed: no ack
  engine.reset();
  engine.emplace(endpoint, milliseconds(100));

  auto hello = engine->Await<Hello>();
  REQUIRE(hello.has_value());
  REQUIRE(hello->second.in_flight.size() == 3);
  CHECK(hello->second.in_flight[0].key == done.job.key);
  engine->Send(hello->first, Welcome{2, {hello->second.in_flight[0], hello->second.in_flight[1]}});
  auto again = engine->Await<ResultMessage>();
  REQUIRE(again.has_value());
  CHECK(again->second.key == done.job.key);
  REQUIRE(again->second.blobs.size() == 1);
  engine->Send(hello->first, Acknowledge{"R", done.job.key, 1, false});
  CHECK_FALSE(running.cancelled->load());
  CHECK(dropped.cancelled->load());
  worker->Finish(dropped, Ok(), {});  // not wanted any more: is not sent
  worker->Finish(running, Ok(), {});
  again = engine->Await<ResultMessage>();
  REQUIRE(again.has_value());
  CHECK(again->second.key == running.job.key);
}

TEST_CASE(
    "a worker whose connection closes without BYE is lost at once, long before it is silent") {
  Engine engine("tcp://127.0.0.1:*", milliseconds(60000));
  auto worker = Worker(engine.endpoint());
  const SessionId id = engine.Greet();
  engine.Send(id, MakeAssign(MakeJob(1)));
  const WorkItem item = *worker->Next();
  worker.reset();  // gone without BYE
  const auto lost = engine.Await<SessionLost>();
  REQUIRE(lost.has_value());
  CHECK(lost->first == id);
  CHECK_FALSE(lost->second.orderly);
  CHECK(lost->second.reason.find("connection was closed") != std::string::npos);
}

TEST_CASE("heartbeats keep an idle session") {
  Engine engine("tcp://127.0.0.1:*", milliseconds(20));
  auto worker = Worker(engine.endpoint());
  engine.Greet();
  const auto until = std::chrono::steady_clock::now() + milliseconds(500);
  while (std::chrono::steady_clock::now() < until) engine.Step();
  for (; engine.read < engine.seen.size(); ++engine.read) {
    CHECK_FALSE(std::holds_alternative<SessionLost>(engine.seen[engine.read].message));
  }
}

TEST_CASE("a worker whose engine stays away ends with an error, and wakes those who wait on it") {
  ScratchFolder folder;
  auto worker = Worker("ipc://" + (folder / "nobody"), milliseconds(200));
  CHECK(worker->FetchBlob(RefOf("x")).error().code == Code::kUnavailable);
  CHECK_FALSE(worker->Next().has_value());
  CHECK(worker->Ending().error().code == Code::kUnavailable);
}

TEST_CASE("garbage never harms the engine, and costs only the session that sent it") {
  Engine engine("tcp://127.0.0.1:*");
  auto worker = Worker(engine.endpoint());
  const SessionId good = engine.Greet();
  void* context = zmq_ctx_new();
  void* peer = zmq_socket(context, ZMQ_DEALER);
  const int zero = 0, limit = 5000;
  zmq_setsockopt(peer, ZMQ_LINGER, &zero, sizeof zero);
  zmq_setsockopt(peer, ZMQ_RCVTIMEO, &limit, sizeof limit);
  REQUIRE(zmq_connect(peer, engine.endpoint().c_str()) == 0);
  CounterRandom random(1, "garbage");
  for (int i = 0; i < 3000; ++i) {
    const size_t frames = 1 + random.Below(4);
    for (size_t f = 0; f < frames; ++f) {
      std::string bytes(random.Below(40), '\0');
      for (char& c : bytes) c = static_cast<char>(random.Next());
      // Half of them with a true header, so that bodies are reached too.
      if (f == 0 && i % 2 == 0) {
        bytes =
            EncodeHeader({static_cast<MessageType>(1 + random.Below(kLastMessageType)), 0, 1, 1});
      }
      zmq_send(peer, bytes.data(), bytes.size(), f + 1 < frames ? ZMQ_SNDMORE : 0);
    }
  }
  char answer[16];
  for (bool rejected = false; !rejected;) {
    engine.Step();
    const int n = zmq_recv(peer, answer, sizeof answer, ZMQ_DONTWAIT);
    if (n != static_cast<int>(kWireHeaderBytes)) continue;
    rejected = DecodeHeader({answer, kWireHeaderBytes})->type == MessageType::kReject;
  }
  zmq_close(peer);
  zmq_ctx_term(context);
  // The well-behaved worker still works.
  engine.Send(good, MakeAssign(MakeJob(1)));
  const std::optional<WorkItem> item = worker->Next();
  REQUIRE(item.has_value());
  worker->Finish(*item, Ok(), {});
  const auto result = engine.Await<ResultMessage>();
  REQUIRE(result.has_value());
  CHECK(result->first == good);
}

TEST_CASE("a session that breaks the protocol is lost") {
  Engine engine("tcp://127.0.0.1:*");
  void* context = zmq_ctx_new();
  void* peer = zmq_socket(context, ZMQ_DEALER);
  const int zero = 0;
  zmq_setsockopt(peer, ZMQ_LINGER, &zero, sizeof zero);
  REQUIRE(zmq_connect(peer, engine.endpoint().c_str()) == 0);
  const auto send = [&](const std::string& header, const std::string& body) {
    zmq_send(peer, header.data(), header.size(), ZMQ_SNDMORE);
    zmq_send(peer, body.data(), body.size(), 0);
  };
  Hello hello;
  hello.worker = "w:1";
  send(EncodeHeader({MessageType::kHello, 0, 0, 1}), EncodeHello(hello, "i"));
  const auto known = engine.Await<Hello>();
  REQUIRE(known.has_value());
  SUBCASE("a gap in the sequence") { send(EncodeHeader({MessageType::kPing, 0, 0, 9}), "\x80"); }
  SUBCASE("a body that is no msgpack") {
    send(EncodeHeader({MessageType::kTaken, 0, 0, 2}), "\xc1");
  }
  SUBCASE("a result without its frame") {
    BatchBody body;
    body.AddBlobs("R", MakeJob(1).key, 1, {});
    send(EncodeHeader({MessageType::kResult, 0, 1, 2}), body.Finish());
  }
  SUBCASE("a message that only the engine sends") {
    send(EncodeHeader({MessageType::kJobs, 0, 0, 2}), "\x80");
  }
  SUBCASE("the same worker on a new session") {
    send(EncodeHeader({MessageType::kHello, 0, 0, 1}), EncodeHello(hello, "i"));
    CHECK(engine.Await<Hello>()->first !=
          known->first);  // announced before the old one is given up
  }
  const auto lost = engine.Await<SessionLost>();
  REQUIRE(lost.has_value());
  CHECK(lost->first == known->first);
  zmq_close(peer);
  zmq_ctx_term(context);
}
