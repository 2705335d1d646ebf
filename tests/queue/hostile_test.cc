// Peers that send garbage, break the rules or lie: each is refused in words that name it, and the
// others do not notice.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "queue/blob_id.h"
#include "queue/codec.h"
#include "queue/engine_protocol.h"
#include "queue/worker_protocol.h"
#include "tests/queue/support/rigs.h"

using namespace kev;

namespace {

using Message = std::vector<std::string>;

// An engine with a well-behaved worker "good" and a hostile one "bad", both with the attempt c1 or
// c2 in hand; what goes out is recorded.
class House : public FrameSink {
 public:
  House() : engine({}, this) {
    Join("good", Role::kWorker);
    Join("bad", Role::kWorker);
    engine.Send(1, AssignOf(1));
    engine.Send(2, AssignOf(2));
    engine.Flush();
    sent.clear();
  }
  bool Send(std::string_view route, const Frames& frames) override {
    sent.emplace_back(route, Message(frames.begin(), frames.end()));
    return true;
  }
  void Join(const std::string& name, Role role, uint64_t seq = 1, std::string instance = "") {
    if (instance.empty()) instance = name;
    Hello hello;
    hello.role = role;
    hello.worker = name + ":1";
    hello.slots = 2;
    Read(name, {EncodeHeader({MessageType::kHello, 0, 0, seq}), EncodeHello(hello, instance)});
    const std::vector<Inbound> in = engine.Take(10);
    if (in.empty() || !std::holds_alternative<Hello>(in[0].message)) return;
    engine.Send(in[0].session, Welcome{1, {}});
    engine.Flush();
  }
  void Read(const std::string& route, const Message& message) {
    engine.Read(route, Frames(message.begin(), message.end()), now_us,
                [&] { return PeerProof{"in memory", std::nullopt, keyless, 0}; });
  }
  // REJECT to `route`, if one was sent.
  std::optional<Rejected> RejectTo(const std::string& route) const {
    for (const auto& [to, message] : sent) {
      if (to == route && DecodeHeader(message[0])->type == MessageType::kReject)
        return RejectFrom(*Decode(message[1]));
    }
    return std::nullopt;
  }
  bool StillWorks() {
    sent.clear();
    Read("good", {EncodeHeader({MessageType::kPing, 0, 0, 2}), "\x80"});
    return sent.size() == 1 && sent[0].first == "good" &&
           DecodeHeader(sent[0].second[0])->type == MessageType::kPong && engine.Take(1).empty();
  }

  EngineProtocol engine;
  std::vector<std::pair<std::string, Message>> sent;
  bool keyless = true;
  int64_t now_us = 1'000'000;
};

std::string Head(MessageType type, uint16_t count = 0, uint64_t seq = 2) {
  return EncodeHeader({type, 0, count, seq});
}
std::string With(std::string text, size_t at, char c) {
  text[at] = c;
  return text;
}
std::string Batch(const std::function<void(BatchBody&)>& fill) {
  BatchBody body;
  fill(body);
  return body.Finish();
}
std::string Item(uint32_t number, uint32_t attempt = 1) {
  return Batch([&](BatchBody& b) { b.Add("R", AttemptOf(number).key, attempt); });
}
std::string ResultItem(uint32_t number,
                       const std::vector<std::pair<BlobRef, std::string>>& blobs = {}) {
  return Batch([&](BatchBody& b) { b.AddBlobs("R", AttemptOf(number).key, 1, blobs); });
}
std::string Map(const Value::Map& map) { return EncodeCanonical(Value(map)); }
Hello Bad() {
  Hello hello;
  hello.worker = "bad:1";
  return hello;
}
// HELLO's body with another value.
std::string With(const char* key, const char* value) {
  Value body = *Decode(EncodeHello(Bad(), "bad"));
  body.Set(key, value);
  return EncodeCanonical(body);
}
const std::string kOkResult = EncodeCanonical(ToValue(JobResult()));
std::string WithUsage(const char* key, double value) {
  return Map({{"verdict", "ok"}, {"usage", Value::Map{{key, value}}}});
}
std::string NestedResult(int depth) {
  return std::string(static_cast<size_t>(depth), '\x91') + "\xc0";
}

struct Case {
  const char* name;
  Message message;
  const char* says;
  RejectReason reason = RejectReason::kMalformed;
};

const std::vector<Case>& Cases() {
  const std::string ping = Head(MessageType::kPing);
  const std::string deep = std::string(1000, '\x91') + "\x80";
  const std::string hello = EncodeHello(Bad(), "bad");
  static const std::vector<Case> cases = {
      {"no frames", {}, "frames are missing"},
      {"no body", {ping}, "frames are missing"},
      {"header cut short", {ping.substr(0, 15), "\x80"}, "16 bytes"},
      {"header too long", {ping + "x", "\x80"}, "16 bytes"},
      {"wrong magic", {With(ping, 0, 'X'), "\x80"}, "begin with KV"},
      {"other major version",
       {With(ping, 2, 9), "\x80"},
       "protocol version 9",
       RejectReason::kVersion},
      {"type 0", {With(ping, 4, 0), "\x80"}, "unknown message type 0"},
      {"unknown type", {With(ping, 4, 99), "\x80"}, "unknown message type 99"},
      {"body that is no msgpack", {ping, "\xc1"}, "cannot be decoded"},
      {"body cut short", {ping, "\x82"}, "cannot be decoded"},
      {"bytes after the body", {ping, "\x80\x80"}, "left over"},
      {"array that claims 4 Gi elements", {ping, "\xdd\xff\xff\xff\xff"}, "cannot be decoded"},
      {"map that claims 4 Gi keys", {ping, "\xdf\xff\xff\xff\xff"}, "cannot be decoded"},
      {"text that claims 4 GiB", {ping, "\xdb\xff\xff\xff\xff"}, "cannot be decoded"},
      {"nested a thousand deep", {ping, deep}, "deeper than 16"},
      {"gap in the sequence",
       {Head(MessageType::kPing, 0, 9), "\x80"},
       "between 1 and 9",
       RejectReason::kResync},
      {"sequence repeated",
       {Head(MessageType::kPing, 0, 1), "\x80"},
       "between 1 and 1",
       RejectReason::kResync},
      {"what only the engine sends",
       {Head(MessageType::kJobs), "\x80"},
       "a worker may not send JOBS",
       RejectReason::kRefused},
      {"a call of a worker",
       {Head(MessageType::kCall), Map({{"id", 1}, {"method", "m"}})},
       "a worker may not send CALL",
       RejectReason::kRefused},
      {"batch that is none", {Head(MessageType::kTaken), "\x80"}, "a batch without items"},
      {"batch that counts wrong",
       {Head(MessageType::kTaken, 9), Item(2)},
       "says 9 items and has 1"},
      {"item that is no attempt",
       {Head(MessageType::kTaken, 1), Map({{"items", Value::List{Value(1)}}})},
       "not an attempt"},
      {"item out of range",
       {Head(MessageType::kTaken, 1),
        Map({{"items", Value::List{Value(Value::List{"R", 7, 1, 1, 1, 1})}}})},
       "out of range"},
      {"TAKEN for what it was not given",
       {Head(MessageType::kTaken, 1), Item(1)},
       "TAKEN for c1/1.0#1 of run R, which it was not given"},
      {"PROGRESS for what it was not given",
       {Head(MessageType::kProgress, 1),
        Batch([](BatchBody& b) { b.AddProgress({"R", AttemptOf(1).key, 1, 0.5, ""}); })},
       "PROGRESS for c1/1.0#1"},
      {"progress above 1",
       {Head(MessageType::kProgress, 1),
        Batch([](BatchBody& b) { b.AddProgress({"R", AttemptOf(2).key, 1, 1.5, ""}); })},
       "above 1"},
      {"RETURNED for what it was not given",
       {Head(MessageType::kReturned, 1), Item(1)},
       "RETURNED for c1/1.0#1"},
      {"RESULT for what it was not given",
       {Head(MessageType::kResult, 1), ResultItem(1), kOkResult},
       "RESULT for c1/1.0#1 of run R"},
      {"RESULT for another attempt",
       {Head(MessageType::kResult, 1),
        Batch([](BatchBody& b) { b.AddBlobs("R", AttemptOf(2).key, 7, {}); }), kOkResult},
       "RESULT for c2/1.0#7"},
      {"RESULT twice",
       {Head(MessageType::kResult, 2), Batch([](BatchBody& b) {
          for (int i = 0; i < 2; ++i) b.AddBlobs("R", AttemptOf(2).key, 1, {});
        }),
        kOkResult, kOkResult},
       "or has answered"},
      {"RESULT without its frame", {Head(MessageType::kResult, 1), ResultItem(2)}, "fewer frames"},
      {"RESULT with a frame too many",
       {Head(MessageType::kResult, 1), ResultItem(2), kOkResult, "x"},
       "1 frames too many"},
      {"RESULT that is no result",
       {Head(MessageType::kResult, 1), ResultItem(2), "\xc1"},
       "cannot be decoded"},
      {"RESULT without its blob",
       {Head(MessageType::kResult, 1), ResultItem(2, {{RefOf("b"), "b"}}), kOkResult},
       "fewer frames"},
      {"blob of another size",
       {Head(MessageType::kResult, 1), ResultItem(2, {{RefOf("b"), "b"}}), kOkResult, "bb"},
       "another size"},
      {"blob with a wrong name",
       {Head(MessageType::kResult, 1), ResultItem(2, {{BlobRef{"abc", 1}, "b"}}), kOkResult, "b"},
       "not a SHA-256"},
      {"credit beyond all measure",
       {Head(MessageType::kCredit, 1), EncodeCredit(260)},
       "grants credit up to 260; with 2 slots and 1 jobs sent it can take at most 259"},
      {"credit that is none", {Head(MessageType::kCredit, 1), "\x80"}, "without a limit"},
      {"blob with other bytes than it says",
       {Head(MessageType::kResult, 1), ResultItem(2, {{RefOf("good"), "evil"}}), kOkResult, "evil"},
       "does not have that SHA-256"},
      {"result nested too deep",
       {Head(MessageType::kResult, 1), ResultItem(2), NestedResult(13)},
       "nested deeper than 12"},
      {"result that is too large",
       {Head(MessageType::kResult, 1), ResultItem(2), std::string((1 << 20) + 1, '\xc0')},
       "belongs into a blob"},
      {"usage below zero",
       {Head(MessageType::kResult, 1), ResultItem(2), WithUsage("device_ms", -1)},
       "usage is negative"},
      {"usage without end",
       {Head(MessageType::kResult, 1), ResultItem(2), WithUsage("usd", INFINITY)},
       "usage is negative, no number or beyond"},
      {"usage that is no number",
       {Head(MessageType::kResult, 1), ResultItem(2), WithUsage("wall_ms", NAN)},
       "usage is negative, no number or beyond"},
      {"a blob of no name",
       {Head(MessageType::kBlobGet), Map({{"sha256", "../etc"}})},
       "no SHA-256"},
      {"history of nothing", {Head(MessageType::kHistoryGet), Map({{"run", 7}})}, "HISTORY_GET"},
      {"HELLO that cannot be read",
       {Head(MessageType::kHello), "\x80"},
       "without worker or instance"},
      {"HELLO that is not the first message", {Head(MessageType::kHello), hello}, "is message 1"},
      {"HELLO that is a batch", {Head(MessageType::kHello, 3, 1), hello}, "no batch"},
      {"HELLO with slots that are no number",
       {Head(MessageType::kHello, 0, 1), With("slots", "many")},
       "slots is not a whole number"},
      {"HELLO with a name that turns text around",
       {Head(MessageType::kHello, 0, 1), With("host",
                                              "a\xe2\x80\xae"
                                              "b")},
       "not a printable text"},
      {"HELLO with a name that begins a terminal's command",
       {Head(MessageType::kHello, 0, 1), With("program",
                                              "\xc2\x9b"
                                              "2J")},
       "not a printable text"},
      {"HELLO with a frame too many", {Head(MessageType::kHello, 0, 1), hello, "x"}, "left over"},
      {"PING with a frame too many", {ping, "\x80", "x"}, "PING with frames left over"},
      {"flags that nobody knows", {With(ping, 5, 1), "\x80"}, "has flags"},
  };
  return cases;
}

}  // namespace

TEST_CASE("whoever breaks the protocol is refused in words, and nobody else notices") {
  for (const Case& c : Cases()) {
    CAPTURE(c.name);
    House house;
    house.Read("bad", c.message);
    const auto reject = house.RejectTo("bad");
    REQUIRE(reject.has_value());
    CHECK(reject->reason == c.reason);
    CHECK_MESSAGE(reject->text.find(c.says) != std::string::npos, reject->text);
    bool lost = false;
    for (const Inbound& m : house.engine.Take(10)) {
      const auto* l = std::get_if<SessionLost>(&m.message);
      if (l == nullptr || m.session != 2) continue;
      lost = true;
      CHECK_FALSE(l->orderly);
      CHECK_MESSAGE(l->reason.starts_with("bad:1 (in memory): "), l->reason);
      CHECK_MESSAGE(l->reason.find(c.says) != std::string::npos, l->reason);
    }
    CHECK(lost);
    CHECK(house.StillWorks());
    // It may begin anew.
    house.Join("bad", Role::kWorker);
    CHECK(house.engine.sessions() == 2);
  }
}

TEST_CASE("a parting word is one line, whatever the peer writes") {
  House house;
  house.Join("bad", Role::kWorker);
  house.engine.Take(10);
  house.Read("bad",
             {Head(MessageType::kBye), Map({{"reason", "SIGTERM\nrun r1: done\x1b[2K\r\x7f"}})});
  std::string reason;
  for (const Inbound& m : house.engine.Take(10)) {
    if (const auto* lost = std::get_if<SessionLost>(&m.message)) reason = lost->reason;
  }
  CHECK(reason.find("SIGTERM run r1: done") != std::string::npos);
  for (const char c : reason) CHECK(static_cast<unsigned char>(c) >= 0x20);
}

TEST_CASE("who hands back what nobody asked for is leaving, and gets nothing more") {
  House house;
  const auto returned = [&](const char* who) {
    for (const Inbound& m : house.engine.Take(10)) {
      if (const auto* r = std::get_if<Returned>(&m.message)) return r->leaving;
    }
    FAIL(who << " handed nothing back");
    return false;
  };
  const auto credit = [&](uint64_t seq) {
    return Message{Head(MessageType::kCredit, 1, seq), EncodeCredit(3)};
  };
  house.engine.Send(1, Retract{"R", AttemptOf(1).key, 1});
  house.engine.Flush();
  house.Read("good", {Head(MessageType::kReturned, 1), Item(1)});
  CHECK_FALSE(returned("good"));
  house.Read("good", credit(3));
  CHECK_FALSE(house.RejectTo("good").has_value());
  // Nobody asked the other one.
  house.Read("bad", {Head(MessageType::kTaken, 1), Item(2)});
  house.Read("bad", {Head(MessageType::kReturned, 1, 3), Item(2)});
  CHECK(returned("bad"));
  CHECK_FALSE(house.RejectTo("bad").has_value());
  house.Read("bad", credit(4));
  REQUIRE(house.RejectTo("bad").has_value());
  CHECK(house.RejectTo("bad")->text.find("handed back work that nobody asked for") !=
        std::string::npos);
}

TEST_CASE("strangers are refused, and reported without a session and not without end") {
  House house;
  house.Read("stranger", {Head(MessageType::kPing), "\x80"});
  CHECK(house.RejectTo("stranger")->reason == RejectReason::kResync);
  CHECK(house.engine.Take(10).empty());  // it may have had a session with an engine before this one
  for (int i = 0; i < 1000; ++i) house.Read("stranger", {"garbage", "\x80"});
  const std::vector<Inbound> reports = house.engine.Take(2000);
  REQUIRE(reports.size() == 10);
  CHECK(reports[0].session == 0);
  const std::string& reason = std::get<SessionLost>(reports[0].message).reason;
  CHECK_MESSAGE(reason.find("refused a peer (in memory)") != std::string::npos, reason);
  house.now_us += 11'000'000;
  house.Read("stranger", {"garbage", "\x80"});
  CHECK(house.engine.Take(10).size() == 1);
  CHECK(house.StillWorks());
}

// A worker that lied about each result got the same job again at once, hundreds of times.
TEST_CASE(
    "a worker that breaks the protocol three times within a minute stays out for the rest of it") {
  House house;
  for (int times = 1; times <= 3; ++times) {
    CAPTURE(times);
    if (times > 1) house.Join("bad", Role::kWorker);
    CHECK(house.engine.sessions() == 2);
    house.Read("bad", {Head(MessageType::kPing), "\xc1"});
    const std::vector<Inbound> lost = house.engine.Take(10);
    REQUIRE(!lost.empty());
    CHECK(std::get<SessionLost>(lost.back().message).refused);
    CHECK(house.engine.sessions() == 1);
  }
  house.sent.clear();
  house.Join("bad", Role::kWorker);
  CHECK(house.engine.sessions() == 1);
  CHECK(house.RejectTo("bad")->text.find("has broken the protocol 3 times") != std::string::npos);
  // Whoever only has its name is not meant: anybody can say one.
  house.Join("bad", Role::kWorker, 1, "another instance");
  CHECK(house.engine.sessions() == 2);
  CHECK(house.StillWorks());
  house.now_us += 60'000'001;
  house.Join("bad", Role::kWorker);
  CHECK(house.engine.sessions() == 2);
}

TEST_CASE("where keys are asked for, a peer that has shown none gets no session") {
  House house;
  house.keyless = false;
  house.Join("new", Role::kWorker);
  CHECK(house.engine.sessions() == 2);
  CHECK(house.RejectTo("new")->reason == RejectReason::kRefused);
  CHECK(house.RejectTo("new")->text.find("no key that this engine knows") != std::string::npos);
}

TEST_CASE("a client may ask, and may not take part in the work") {
  for (const MessageType type : {MessageType::kTaken, MessageType::kResult, MessageType::kCredit,
                                 MessageType::kProgress, MessageType::kReturned}) {
    CAPTURE(Name(type));
    House house;
    house.Join("client", Role::kClient);
    house.Read("client", {Head(type, 1), Item(1)});
    CHECK(house.RejectTo("client")->reason == RejectReason::kRefused);
    CHECK(house.RejectTo("client")->text.find("a client may not send") != std::string::npos);
    CHECK(house.engine.sessions() == 2);
  }
  House house;
  house.Join("client", Role::kClient);
  SUBCASE("a call that is none") {
    house.Read("client", {Head(MessageType::kCall), Map({{"id", 1}})});
    CHECK(house.RejectTo("client")->text.find("without a method") != std::string::npos);
  }
  SUBCASE("a call without the blobs that it names") {
    house.Read("client",
               {Head(MessageType::kCall, 1), EncodeCall(1, "m", Value(), {RefOf("blob")})});
    CHECK(house.RejectTo("client")->text.find("names 1 blobs and has 0") != std::string::npos);
  }
  SUBCASE("a call with a blob of another size") {
    house.Read("client",
               {Head(MessageType::kCall, 1), EncodeCall(1, "m", Value(), {RefOf("blob")}), "b"});
    CHECK(house.RejectTo("client")->text.find("another size") != std::string::npos);
  }
}

TEST_CASE("a peer of version 1.0 is served without what it does not know") {
  House house;
  Hello hello;
  hello.worker = "old:1";
  hello.slots = 2;
  const std::string old = With(EncodeHeader({MessageType::kHello, 0, 0, 1}), 3, 0);
  house.Read("old", {old, EncodeHello(hello, "old")});
  REQUIRE(house.engine.Take(1).size() == 1);
  house.engine.Send(3, Welcome{1, {}});
  for (uint32_t n = 1; n <= 5; ++n) house.engine.Send(3, AssignOf(n));
  house.engine.Send(3, Retract{"R", AttemptOf(1).key, 1});
  house.sent.clear();
  house.engine.Flush();
  REQUIRE(house.sent.size() == 2);  // WELCOME, JOBS: as many as it has slots; no RETRACT
  CHECK(DecodeHeader(house.sent[1].second[0])->count == 2);
  house.sent.clear();
  house.Read("old", {Head(MessageType::kResult, 1), ResultItem(1), kOkResult});
  house.engine.Flush();
  REQUIRE(house.sent.size() == 1);  // one done, one more
  CHECK(DecodeHeader(house.sent[0].second[0])->count == 1);
}

TEST_CASE("a worker gives up a session that it cannot read, and an engine that it never can") {
  const std::vector<Message> kCases = {{},
                                       {"short", "\x80"},
                                       {With(Head(MessageType::kPong, 0, 1), 0, 'X'), "\x80"},
                                       {Head(MessageType::kPong, 0, 1), "\xc1"},
                                       {Head(MessageType::kWelcome, 0, 1), "\x81\xa8liveness\x00"},
                                       {Head(MessageType::kJobs, 1, 1), Item(1)},
                                       {Head(MessageType::kAck, 5, 1), Item(1)}};
  for (size_t i = 0; i < kCases.size(); ++i) {
    CAPTURE(i);
    WorkerProtocol worker(WorkerOptionsOf("w:1"));
    worker.Opened(0);
    const Frames frames(kCases[i].begin(), kCases[i].end());
    CHECK(worker.Read(frames, 1000) == PeerNext::kReopen);
    worker.Opened(2000);
    CHECK(worker.Read(frames, 3000) == PeerNext::kReopen);
    worker.Opened(4000);
    CHECK(worker.Read(frames, 5000) == PeerNext::kEnd);
    CHECK(worker.ending().error().message.find("the engine") != std::string::npos);
  }
}

TEST_CASE("a worker ends at once when the engine speaks another version or refuses it") {
  const std::string other = With(Head(MessageType::kWelcome, 0, 1), 2, 9);
  const std::string reject = Head(MessageType::kReject, 0, 0);
  const std::vector<std::pair<Message, const char*>> cases = {
      {{other, "\x80"}, "protocol version 9"},
      {{reject, EncodeReject(RejectReason::kVersion, "too old")}, "too old"},
      {{reject, EncodeReject(RejectReason::kRefused, "no such key")}, "no such key"}};
  for (const auto& [message, says] : cases) {
    WorkerProtocol worker(WorkerOptionsOf("w:1"));
    worker.Opened(0);
    CHECK(worker.Read(Frames(message.begin(), message.end()), 1000) == PeerNext::kEnd);
    CHECK(worker.over());
    CHECK(worker.ending().error().message.find(says) != std::string::npos);
  }
}
