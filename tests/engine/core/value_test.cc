#include "engine/core/value.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/engine/support/canonical_reader.h"

namespace kev {
namespace {

using testing::ReadCanonical;

std::string Hex(const Value& value) {
  static const char* kHex = "0123456789abcdef";
  std::string text;
  for (const char c : EncodeCanonical(value)) {
    text.push_back(kHex[static_cast<uint8_t>(c) >> 4]);
    text.push_back(kHex[static_cast<uint8_t>(c) & 15]);
  }
  return text;
}

TEST_CASE("an integer takes the smallest form that holds it") {
  const std::pair<int64_t, const char*> cases[] = {
      {0, "00"},
      {127, "7f"},
      {128, "cc80"},
      {255, "ccff"},
      {256, "cd0100"},
      {65535, "cdffff"},
      {65536, "ce00010000"},
      {4294967295, "ceffffffff"},
      {4294967296, "cf0000000100000000"},
      {-1, "ff"},
      {-32, "e0"},
      {-33, "d0df"},
      {-128, "d080"},
      {-129, "d1ff7f"},
      {-32768, "d18000"},
      {-32769, "d2ffff7fff"},
      {INT32_MIN, "d280000000"},
      {int64_t{INT32_MIN} - 1, "d3ffffffff7fffffff"},
      {INT64_MIN, "d38000000000000000"},
  };
  for (const auto& [number, bytes] : cases) {
    CAPTURE(number);
    CHECK(Hex(number) == bytes);
    CHECK(ReadCanonical(EncodeCanonical(Value(number))) == Value(number));
  }
}

TEST_CASE("the bytes of a map do not depend on the order in which it was filled") {
  Value one;
  one.Set("b", true);
  one.Set("a", Value::List{1, "x", Value()});
  Value two;
  two.Set("a", Value::List{1, "x", Value()});
  two.Set("b", true);
  CHECK(Hex(one) == "82a1619301a178c0a162c3");
  CHECK(Hex(two) == Hex(one));
}

TEST_CASE("a double stays a double, also when it is whole") {
  CHECK(Hex(Value(1.0)) == "cb3ff0000000000000");
  CHECK(ReadCanonical(EncodeCanonical(Value(1.0)))->IsDouble());
}

TEST_CASE("the length of text, bytes, lists and maps chooses their header") {
  for (const size_t n : {0u, 15u, 16u, 31u, 32u, 255u, 256u, 65535u, 65536u}) {
    CAPTURE(n);
    const Value text(std::string(n, 'x'));
    CHECK(ReadCanonical(EncodeCanonical(text)) == text);
    const Value bytes(Value::Bytes{std::string(n, '\xff')});
    CHECK(ReadCanonical(EncodeCanonical(bytes)) == bytes);
    const Value list(Value::List(n, Value(1)));
    CHECK(ReadCanonical(EncodeCanonical(list)) == list);
    Value map = Value::Map();
    for (size_t i = 0; i < n; ++i) map.Set(std::to_string(i), 1);
    CHECK(ReadCanonical(EncodeCanonical(map)) == map);
  }
}

TEST_CASE("an entry can be added to the bytes of a map of any size") {
  for (const int entries : {0, 1, 14, 15, 16, 17, 255, 256}) {
    CAPTURE(entries);
    Value map = Value::Map();
    for (int i = 0; i < entries; ++i) map.Set("key" + std::to_string(i), i);
    std::string bytes = EncodeCanonical(map);
    AppendToMap("secret", Value("seed"), &bytes);
    map.Set("secret", "seed");
    CHECK(ReadCanonical(bytes) == map);
  }
}

TEST_CASE("entries can be added one after the other across the change of header") {
  Value map = Value::Map();
  std::string bytes = EncodeCanonical(map);
  for (int i = 0; i < 40; ++i) {
    AppendToMap("k" + std::to_string(i), i, &bytes);
    map.Set("k" + std::to_string(i), i);
    REQUIRE(ReadCanonical(bytes) == map);
  }
}

TEST_CASE("JSON is one line with sorted keys, and what JSON cannot say is said otherwise") {
  Value v;
  v.Set("text", "a\"b\\c\n\x01");
  v.Set("list", Value::List{Value(), false, -3, 0.5, 2.0});
  v.Set("bytes", Value::Bytes{std::string("\x00\xfe", 2)});
  v.Set("nan", std::nan(""));
  v.Set("infinite", std::numeric_limits<double>::infinity());
  CHECK(ToJson(v) == R"({"bytes":"base16:00fe","infinite":null,"list":[null,false,-3,0.5,2.0],)"
                     R"("nan":null,"text":"a\"b\\c\n\u0001"})");
}

TEST_CASE("JSON escapes what it must wherever in a text it stands") {
  for (int c = 0; c < 256; ++c) {
    for (size_t at = 0; at < 20; ++at) {
      std::string text(20, 'a');
      text[at] = static_cast<char>(c);
      CAPTURE(c);
      CAPTURE(at);
      const std::string json = ToJson(Value(text));
      const std::string read = nlohmann::json::parse(json).get<std::string>();
      if (c < 0x80) CHECK(read == text);
      const bool escaped = c < 0x20 || c == '"' || c == '\\' || c >= 0x80;
      CHECK((json == '"' + text + '"') != escaped);
    }
  }
}

TEST_CASE("JSON keeps UTF-8 and replaces what is none") {
  for (const char* good : {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "1234567\xc3\xa4"})
    CHECK(ToJson(Value(good)) == '"' + std::string(good) + '"');
  // Cut short, overlong, a surrogate, above the last one, no beginning.
  for (const char* bad : {"\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xbf\xff"}) {
    const std::string json = ToJson(Value(std::string("x") + bad + "y"));
    CHECK(nlohmann::json::parse(json).get<std::string>().find("\xef\xbf\xbd") == 1);
  }
}

TEST_CASE("a formatted double reads back as the same double") {
  for (const double d : {0.1, 1.0 / 3, 1e300, 5e-324, -0.0, 123456789.0}) {
    CHECK(std::strtod(FormatDouble(d).c_str(), nullptr) == d);
  }
  CHECK(FormatDouble(3) == "3.0");
}

TEST_CASE("reading a value as another type gives the default") {
  CHECK(Value("7").AsInt(-1) == -1);
  CHECK(Value(2.9).AsInt() == 2);
  CHECK(Value(3).AsDouble() == 3.0);
  CHECK(Value(1e19).AsInt(-1) == -1);
  CHECK(Value(std::nan("")).AsInt(-1) == -1);
  CHECK(Value(1).AsBool(true));
  CHECK(Value(1).AsList().empty());
  CHECK(Value(1)["key"].IsNull());
  CHECK_FALSE(Value(Value::List{}).Has("key"));
}

}  // namespace
}  // namespace kev
