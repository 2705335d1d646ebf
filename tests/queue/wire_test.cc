#include "queue/wire.h"

#include <doctest/doctest.h>

#include <string>

#include "queue/codec.h"
#include "queue/wire_bodies.h"

using namespace kev;

namespace {

std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kDigits[static_cast<uint8_t>(c) >> 4];
    out += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return out;
}
JobKey Key(uint32_t number, uint16_t step, uint16_t index = 0) {
  return {{SubjectKind::kCandidate, number}, step, index};
}

}  // namespace

TEST_CASE("the header is 16 little-endian bytes") {
  CHECK(Hex(EncodeHeader({MessageType::kResult, 0, 0x0102, 0x1122334455667788})) ==
        "4b56"
        "01"
        "01"
        "06"
        "00"
        "0201"
        "8877665544332211");
  std::string newer = EncodeHeader({MessageType::kPong, 3, 9, 77});
  CHECK_FALSE(DecodeHeader(newer).ok());  // this version has no flags
  newer[3] = kWireMinor + 1;
  const Result<WireHeader> back = DecodeHeader(newer);
  REQUIRE(back.ok());
  CHECK(back->type == MessageType::kPong);
  CHECK(back->flags == 3);
  CHECK(back->count == 9);
  CHECK(back->seq == 77);
}

TEST_CASE("golden bytes of a JOBS body (engine to worker) and a RESULT body (worker to engine)") {
  BatchBody jobs;
  jobs.Add("R1", Key(300, 2), 1);
  CHECK(Hex(jobs.Finish()) ==
        "81a56974656d7391"
        "96a25231"
        "00cd012c02"
        "0001");
  BatchBody results;
  results.AddBlobs("R1", Key(1, 0, 7), 2, {{BlobRef{std::string(64, 'a'), 5}, "hello"}});
  CHECK(Hex(results.Finish()) ==
        "81a56974656d7391"
        "97a25231"
        "0001000702"
        "9192d940" +
            Hex(std::string(64, 'a')) + "05");
}

TEST_CASE("batch bodies are canonical msgpack and come back item by item") {
  BatchBody body;
  for (uint32_t i = 0; i < 300; ++i)
    body.AddNumber("20260101-000000-run", Key(i * 1000, 3, 1), i, i % 2);
  const std::string bytes = body.Finish();
  const Result<Value> value = Decode(bytes);
  REQUIRE(value.ok());
  CHECK(EncodeCanonical(*value) == bytes);
  const Result<std::vector<BatchItem>> items = BatchFrom(*value);
  REQUIRE(items.ok());
  REQUIRE(items->size() == 300);
  CHECK((*items)[299].id.key == Key(299000, 3, 1));
  CHECK((*items)[299].id.attempt == 299);
  CHECK((*items)[299].number == 1);
  CHECK((*items)[298].number == 0);
}

TEST_CASE("headers and bodies that are not the protocol's are refused") {
  CHECK(DecodeHeader("").error().code == Code::kCorrupt);
  CHECK(DecodeHeader(std::string(16, 'x')).error().code == Code::kCorrupt);
  std::string other = EncodeHeader({MessageType::kPing, 0, 0, 1});
  other[2] = 9;
  CHECK(DecodeHeader(other).error().code == Code::kConflict);
  other[2] = 1;
  other[4] = 99;
  CHECK(DecodeHeader(other).error().code == Code::kCorrupt);
  CHECK_FALSE(BatchFrom(Value()).ok());
  CHECK_FALSE(BatchFrom(*Decode(EncodeCanonical(
                            Value::Map{{"items", Value::List{Value(Value::List{"R"})}}})))
                  .ok());
  CHECK_FALSE(
      BatchFrom(Value::Map{{"items", Value::List{Value(Value::List{"R", 9, 1, 1, 1, 1})}}}).ok());
}

TEST_CASE("HELLO and WELCOME carry the inventory; unknown keys are ignored") {
  Hello hello;
  hello.worker = "h:1";
  hello.program = "compile";
  hello.stages = {"compile", "compile/x"};
  hello.slots = 3;
  hello.in_flight = {{"R", Key(1, 2), 4}, {"R", Key(2, 2), 1, INT64_MAX}};
  Value body = *Decode(EncodeHello(hello, "abc"));
  body.Set("from_the_future", 1);
  std::string instance;
  const Result<Hello> back = HelloFrom(body, &instance);
  REQUIRE(back.ok());
  CHECK(instance == "abc");
  CHECK(back->stages == hello.stages);
  CHECK(back->slots == 3);
  REQUIRE(back->in_flight.size() == 2);
  CHECK(back->in_flight[0].attempt == 4);
  CHECK(back->in_flight[0].job_digest == 0);  // a peer of version 1.0 does not say it
  CHECK(back->in_flight[1].job_digest == INT64_MAX);
  const Result<WelcomeBody> welcome = WelcomeFrom(
      *Decode(EncodeWelcome({{9, hello.in_flight}, std::chrono::milliseconds(250), 3})));
  REQUIRE(welcome.ok());
  CHECK(welcome->welcome.epoch == 9);
  CHECK(welcome->welcome.keep.size() == 2);
  CHECK(welcome->heartbeat.count() == 250);
}

TEST_CASE("golden bytes of the messages of version 1.1") {
  CHECK(Hex(EncodeCredit(300)) ==
        "81a56c696d6974"  // limit
        "cd012c");
  BatchBody jobs;
  jobs.AddNumber("R1", Key(1, 2), 3, 0x0102030405060708);
  CHECK(Hex(jobs.Finish()) ==
        "81a56974656d7391"    // items, one
        "97a2523100010200"    // 7 elements: R1, candidate, 1, step 2, index 0
        "03"                  // attempt
        "cf0102030405060708"  // the job's digest
  );
  BatchBody progress;
  progress.AddProgress({"R1", Key(1, 0), 1, 0.5, "ok"});
  progress.AddProgress({"R1", Key(2, 0), 1, -1, ""});
  CHECK(Hex(progress.Finish()) ==
        "81a56974656d7392"
        "98a252310001000001cb3fe0000000000000a26f6b"
        "98a252310002000001c0a0");
  BatchBody cancel;
  cancel.AddNumber("R1", Key(1, 0), 1, 2000);
  CHECK(Hex(cancel.Finish()) == "81a56974656d739197a252310001000001cd07d0");
  BatchBody back;  // RETRACT and RETURNED
  back.Add("R1", Key(1, 0), 1);
  CHECK(Hex(back.Finish()) == "81a56974656d739196a252310001000001");
  CHECK(Hex(EncodeCall(3, "pause", Value::Map{{"run", "R"}}, {})) ==
        "83"
        "a9617267756d656e7473"  // arguments
        "81a372756ea152"
        "a26964"  // id
        "03"
        "a66d6574686f64"  // method
        "a57061757365");
  CHECK(Hex(EncodeCall(1, "m", Value(), {{std::string(64, 'a'), 5}})) ==
        "84"
        "a9617267756d656e7473c0"
        "a5626c6f6273"  // blobs
        "9192d940" +
            Hex(std::string(64, 'a')) +
            "05"
            "a2696401"
            "a66d6574686f64a16d");
  CHECK(Hex(EncodeReply({3, {}, "x"})) ==
        "83"
        "a4636f6465a26f6b"  // code: ok
        "a2696403"
        "a576616c7565a178");  // value
  CHECK(Hex(EncodeReply({3, Error{Code::kNotFound, "gone"}, Value()})) ==
        "83"
        "a4636f6465a96e6f745f666f756e64"  // code: not_found
        "a2696403"
        "a474657874a4676f6e65");  // text
  CHECK(Hex(EncodeBye("SIGTERM")) == "81a6726561736f6ea75349475445524d");
  CHECK(Hex(EncodeBye("")) == "80");
  Hello hello;
  hello.role = Role::kClient;
  hello.worker = "w";
  hello.program = "p";
  hello.stages = {"s"};
  hello.slots = 2;
  hello.host = "h";
  hello.version = "v";
  hello.resources = {{"device", 1}};
  hello.labels = {{"zone", "a"}};
  hello.expires_in_ms = 5;
  CHECK(Hex(EncodeHello(hello, "i")) ==
        "8c"
        "ad657870697265735f696e5f6d7305"          // expires_in_ms
        "a4686f7374a168"                          // host
        "a8696e7374616e6365a169"                  // instance
        "a56974656d7390"                          // items
        "a66c6162656c7381a47a6f6e65a161"          // labels
        "a770726f6772616da170"                    // program
        "a97265736f757263657381a664657669636501"  // resources
        "a4726f6c65a6636c69656e74"                // role
        "a5736c6f747302"                          // slots
        "a673746167657391a173"                    // stages
        "a776657273696f6ea176"                    // version
        "a6776f726b6572a177");                    // worker
}

TEST_CASE("what the messages of version 1.1 say is read back") {
  CHECK(*CreditFrom(*Decode(EncodeCredit(300))) == 300);
  BatchBody batch;
  batch.AddProgress({"R1", Key(1, 0), 1, 0.5, "ok"});
  batch.AddProgress({"R1", Key(2, 0), 1, -1, ""});
  const Result<std::vector<BatchItem>> progress = BatchFrom(*Decode(batch.Finish()));
  REQUIRE(progress.ok());
  CHECK((*progress)[0].fraction == 0.5);
  CHECK((*progress)[0].note == "ok");
  CHECK((*progress)[1].fraction == -1);
  const Result<CallBody> call =
      CallFrom(*Decode(EncodeCall(3, "pause", 5, {{std::string(64, 'a'), 7}})));
  REQUIRE(call.ok());
  CHECK(call->call.method == "pause");
  CHECK(call->call.arguments.AsInt() == 5);
  CHECK(call->blobs[0].size == 7);
  for (int code = 0; code <= static_cast<int>(Code::kInternal); ++code) {
    const Result<ClientReply> reply =
        ReplyFrom(*Decode(EncodeReply({9, Error{static_cast<Code>(code), "why"}, Value()})));
    REQUIRE(reply.ok());
    CHECK(static_cast<int>(reply->status.error().code) == code);
    CHECK(reply->status.error().message == "why");
  }
  for (const RejectReason reason : {RejectReason::kResync, RejectReason::kVersion,
                                    RejectReason::kMalformed, RejectReason::kRefused}) {
    CHECK(RejectFrom(*Decode(EncodeReject(reason, "t"))).reason == reason);
  }
  CHECK(RejectFrom(*Decode(EncodeCanonical(Value::Map{{"reason", "new one"}}))).reason ==
        RejectReason::kMalformed);
}

TEST_CASE("bodies with values out of range are refused") {
  std::string instance;
  Hello hello;
  hello.worker = "h:1";
  const Value good = *Decode(EncodeHello(hello, "i"));
  REQUIRE(HelloFrom(good, &instance).ok());
  const std::vector<std::pair<const char*, Value>> wrong = {
      {"worker", ""},
      {"worker", std::string(2000, 'x')},
      {"worker", "two\nlines"},
      {"worker", 5},
      {"instance", ""},
      {"role", "king"},
      {"slots", 0},
      {"slots", 1 << 20},
      {"expires_in_ms", -1},
      {"stages", Value::List{Value(5)}},
      {"labels", Value::Map{{"a", 5}}},
      {"resources", Value::Map{{"a", "5"}}},
      {"resources", Value::Map{{"a", -5}}},
      {"items", Value::List{Value(5)}},
      {"items", Value::List{Value(Value::List{"R", 1, 1, 1, 1, 1, -1})}}};
  for (const auto& [key, value] : wrong) {
    CAPTURE(key);
    Value body = good;
    body.Set(key, value);
    CHECK(HelloFrom(body, &instance).error().code == Code::kCorrupt);
  }
  CHECK_FALSE(CreditFrom(Value()).ok());
  CHECK_FALSE(CreditFrom(Value::Map{{"limit", -1}}).ok());
  CHECK_FALSE(CallFrom(Value::Map{{"id", 0}, {"method", "m"}}).ok());
  CHECK_FALSE(CallFrom(Value::Map{{"id", 1}}).ok());
  CHECK_FALSE(HistoryGetFrom(Value::Map{{"run", "R"}, {"from", 1}}).ok());
  CHECK_FALSE(BlobGetFrom(Value::Map{{"sha256", "abc"}}).ok());
  CHECK_FALSE(WelcomeFrom(Value::Map{{"heartbeat_ms", 0}}).ok());
  CHECK_FALSE(WelcomeFrom(Value::Map{{"heartbeat_ms", INT64_MAX}}).ok());
  CHECK_FALSE(ReplyFrom(Value::Map{{"id", 1}, {"code", "odd"}}).ok());
}
