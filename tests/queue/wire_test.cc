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
  const Result<WireHeader> back = DecodeHeader(EncodeHeader({MessageType::kPong, 3, 9, 77}));
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
  CHECK_FALSE(
      BatchFrom(*Decode(EncodeCanonical(Value::Map{{"items", Value::List{Value::List{"R"}}}})))
          .ok());
  CHECK_FALSE(BatchFrom(Value::Map{{"items", Value::List{Value::List{"R", 9, 1, 1, 1, 1}}}}).ok());
}

TEST_CASE("HELLO and WELCOME carry the inventory; unknown keys are ignored") {
  Hello hello;
  hello.worker = "h:1";
  hello.program = "compile";
  hello.stages = {"compile", "compile/x"};
  hello.slots = 3;
  hello.in_flight = {{"R", Key(1, 2), 4}};
  Value body = *Decode(EncodeHello(hello, "abc"));
  body.Set("from_the_future", 1);
  std::string instance;
  const Result<Hello> back = HelloFrom(body, &instance);
  REQUIRE(back.ok());
  CHECK(instance == "abc");
  CHECK(back->stages == hello.stages);
  CHECK(back->slots == 3);
  REQUIRE(back->in_flight.size() == 1);
  CHECK(back->in_flight[0].attempt == 4);
  const Result<WelcomeBody> welcome = WelcomeFrom(
      *Decode(EncodeWelcome({{9, hello.in_flight}, std::chrono::milliseconds(250), 3})));
  REQUIRE(welcome.ok());
  CHECK(welcome->welcome.epoch == 9);
  CHECK(welcome->welcome.keep.size() == 1);
  CHECK(welcome->heartbeat.count() == 250);
}
