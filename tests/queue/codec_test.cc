#include "queue/codec.h"

#include <doctest/doctest.h>

#include <string>

#include "engine/core/random.h"
#include "queue/blob_id.h"
#include "queue/crc32c.h"

using namespace kev;

TEST_CASE("SHA-256 names blobs as FIPS 180-2 says") {
  CHECK(Sha256Hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(RefOf("").sha256 == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(RefOf("abc").size == 3);
}

TEST_CASE("CRC-32C gives the known answers of RFC 3720 and continues over pieces") {
  CHECK(Crc32c("123456789") == 0xe3069283u);
  CHECK(Crc32c(std::string(32, '\0')) == 0x8a9136aau);
  CHECK(Crc32c(std::string(32, '\xff')) == 0x62a8ab43u);
  CHECK(Crc32c("6789", Crc32c("12345")) == Crc32c("123456789"));
}

TEST_CASE("what EncodeCanonical writes comes back equal") {
  Value v;
  v.Set("null", Value());
  v.Set("bool", true);
  v.Set("small", -1);
  v.Set("large", int64_t{INT64_MIN});
  v.Set("most", int64_t{INT64_MAX});
  v.Set("double", 0.1);
  v.Set("text", std::string(300, 'x'));
  v.Set("bytes", Value::Bytes{std::string("\0\1\2", 3)});
  v.Set("list", Value::List{1, "two", Value::List{}, Value(Value::Map{})});
  v.Set("map", Value::Map{{"a", Value::Map{{"b", 1}}}});
  const Result<Value> back = Decode(EncodeCanonical(v));
  REQUIRE(back.ok());
  CHECK(*back == v);
}

TEST_CASE("bytes that break a limit or the format are refused with a reason") {
  const auto why = [](std::string_view bytes) {
    const Result<Value> v = Decode(bytes);
    return v ? std::string("decoded") : v.error().message;
  };
  using namespace std::string_literals;
  CHECK(Decode("").error().code == Code::kCorrupt);
  CHECK(Decode(std::string(16, '\x91') + "\xc0").ok());
  CHECK(why(std::string(17, '\x91') + "\xc0").find("deeper than 16") != std::string::npos);
  CHECK(why("\xdd\xff\xff\xff\xff"s).find("elements") !=
        std::string::npos);  // a list of 4 G elements
  CHECK(why("\xdd\x00\x00\xff\xff\xc0"s).find("longer than the input") != std::string::npos);
  CHECK(why("\x81\x01\x02"s).find("not a string") != std::string::npos);
  CHECK(why("\x81\x90\x02"s).find("not a string") != std::string::npos);
  CHECK(why("\x82\xa1"
            "a\x01\xa1"
            "a\x02"s)
            .find("twice") != std::string::npos);
  CHECK(why("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"s).find("2^63-1") != std::string::npos);
  CHECK(why("\xd4\x01\x02"s).find("extension") != std::string::npos);
  CHECK(why("\x01\x02"s).find("left over") != std::string::npos);
  CHECK(why("\xa5"
            "abc"s)
            .find("bytes cannot be decoded") != std::string::npos);
}

TEST_CASE("random bytes never do worse than an error") {
  CounterRandom random(7, "codec");
  size_t decoded = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes(random.Below(40), '\0');
    for (char& c : bytes) c = static_cast<char>(random.Next());
    if (Decode(bytes).ok()) ++decoded;
  }
  CHECK(decoded < 20000);
}

TEST_CASE("a group of the log comes back with its digest") {
  EventGroup group;
  group.first_seq = 5;
  group.run_time_ms = 1234;
  group.events.push_back(TimePassed{});
  group.events.push_back(InFlightSet{4});
  group.digest = DigestOf("commands");
  const Result<EventGroup> back = DecodeGroup(EncodeCanonical(ToValue(group)), group.digest.Hex());
  REQUIRE(back.ok());
  CHECK(back->first_seq == 5);
  CHECK(back->last_seq() == 6);
  CHECK(back->run_time_ms == 1234);
  CHECK(back->digest == group.digest);
  CHECK(DecodeGroup(EncodeCanonical(ToValue(group)), "xyz").error().code == Code::kCorrupt);
}

// A worker's result of fifteen lists, one in the other, was acknowledged and committed; the group
// around it could then not be read any more.
TEST_CASE("a group with results as deep and as many as are taken from peers can be read back") {
  Value deep(1);
  for (int i = 0; i < 9; ++i) deep = Value(Value::List{Value(std::move(deep))});
  JobResult result;
  result.facts.Set("deep", deep);
  for (int i = 0; i < 100'000; ++i) result.facts.Set("f" + std::to_string(i), 1);
  REQUIRE(CheckPacked(EncodeCanonical(ToValue(result)), kResultLimits).ok());
  EventGroup group;
  group.first_seq = 1;
  for (uint32_t n = 1; n <= 12; ++n)
    group.events.push_back(JobReported{{{SubjectKind::kCandidate, n}, 1}, 1, result, "w:1", ""});
  std::string body;
  Encode(group, &body);
  const Result<EventGroup> read = DecodeGroup(body, "");
  REQUIRE_MESSAGE(read.ok(), (read.ok() ? "" : read.error().message));
  CHECK(read->events.size() == 12);
}
