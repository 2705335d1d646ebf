#include "engine/core/value.h"

#include <charconv>
#include <cmath>
#include <cstring>

#include "engine/core/json.h"
#include "engine/core/packed.h"
#include "engine/core/visible_text.h"

namespace kev {
namespace {

const std::string kNoText;
const Value::List kNoList;
const Value::Map kNoMap;
const Value kNull;

// Whether none of these eight characters needs an escape in JSON, nor a look at its UTF-8.
bool Plain(const char* eight) {
  constexpr uint64_t kOnes = 0x0101010101010101, kHigh = 0x8080808080808080;
  uint64_t word = 0;
  std::memcpy(&word, eight, sizeof word);
  // The high bit of a byte is set where it is zero (or, harmlessly, after one that is).
  const auto zeros = [](uint64_t w) { return (w - kOnes) & ~w & kHigh; };
  const uint64_t control = (word - kOnes * 0x20) & ~word & kHigh;
  return ((word & kHigh) | control | zeros(word ^ (kOnes * '"')) | zeros(word ^ (kOnes * '\\'))) ==
         0;
}

// Runs of plain characters are appended at once: records are mostly made of them.
void PutJsonString(std::string_view s, std::string* out) {
  static const char* kHex = "0123456789abcdef";
  out->push_back('"');
  size_t plain_from = 0;
  for (size_t i = 0; i < s.size(); ++i) {
    while (i + 8 <= s.size() && Plain(s.data() + i)) i += 8;
    if (i == s.size()) break;
    const auto u = static_cast<unsigned char>(s[i]);
    const size_t length = Utf8Length(s.substr(i));
    if (length > 1) {
      i += length - 1;
      continue;
    }
    if (length == 1 && u >= 0x20 && u != '"' && u != '\\') continue;
    out->append(s, plain_from, i - plain_from);
    plain_from = i + 1;
    switch (u) {
      case '"':
      case '\\':
        out->push_back('\\');
        out->push_back(static_cast<char>(u));
        break;
      case '\n':
        *out += "\\n";
        break;
      case '\t':
        *out += "\\t";
        break;
      case '\r':
        *out += "\\r";
        break;
      default:
        if (u >= 0x80) {  // no character at all: JSON is UTF-8
          *out += "\\ufffd";
          break;
        }
        *out += "\\u00";
        out->push_back(kHex[u >> 4]);
        out->push_back(kHex[u & 15]);
    }
  }
  out->append(s, plain_from, s.size() - plain_from);
  out->push_back('"');
}

void PutJson(const Value& value, std::string* out) {
  if (value.IsNull()) {
    *out += "null";
  } else if (value.IsBool()) {
    *out += value.AsBool() ? "true" : "false";
  } else if (value.IsInt()) {
    *out += std::to_string(value.AsInt());
  } else if (value.IsDouble()) {
    *out += std::isfinite(value.AsDouble()) ? FormatDouble(value.AsDouble()) : "null";
  } else if (value.IsString()) {
    PutJsonString(value.AsString(), out);
  } else if (value.IsBytes()) {
    static const char* kHex = "0123456789abcdef";
    *out += "\"base16:";
    for (const char c : value.AsBytes()) {
      const auto u = static_cast<unsigned char>(c);
      out->push_back(kHex[u >> 4]);
      out->push_back(kHex[u & 15]);
    }
    out->push_back('"');
  } else if (value.IsList()) {
    out->push_back('[');
    bool first = true;
    for (const Value& item : value.AsList()) {
      if (!first) out->push_back(',');
      first = false;
      PutJson(item, out);
    }
    out->push_back(']');
  } else {
    out->push_back('{');
    bool first = true;
    for (const auto& [key, item] : value.AsMap()) {
      if (!first) out->push_back(',');
      first = false;
      PutJsonString(key, out);
      out->push_back(':');
      PutJson(item, out);
    }
    out->push_back('}');
  }
}

}  // namespace

bool Value::AsBool(bool otherwise) const {
  const bool* b = std::get_if<bool>(&v_);
  return b ? *b : otherwise;
}

int64_t Value::AsInt(int64_t otherwise) const {
  if (const int64_t* i = std::get_if<int64_t>(&v_)) return *i;
  if (const double* d = std::get_if<double>(&v_)) {
    if (*d >= -9.2e18 && *d <= 9.2e18) return static_cast<int64_t>(*d);
  }
  return otherwise;
}

double Value::AsDouble(double otherwise) const {
  if (const double* d = std::get_if<double>(&v_)) return *d;
  if (const int64_t* i = std::get_if<int64_t>(&v_)) return static_cast<double>(*i);
  return otherwise;
}

const std::string& Value::AsString() const {
  const std::string* s = std::get_if<std::string>(&v_);
  return s ? *s : kNoText;
}

const std::string& Value::AsBytes() const {
  const Bytes* b = std::get_if<Bytes>(&v_);
  return b ? b->data : kNoText;
}

const Value::List& Value::AsList() const {
  const List* l = std::get_if<List>(&v_);
  return l ? *l : kNoList;
}

const Value::Map& Value::AsMap() const {
  const Map* m = std::get_if<Map>(&v_);
  return m ? *m : kNoMap;
}

const Value& Value::operator[](std::string_view key) const {
  const Map& map = AsMap();
  const auto it = map.find(key);
  return it == map.end() ? kNull : it->second;
}

bool Value::Has(std::string_view key) const { return AsMap().contains(key); }

Value& Value::Set(std::string_view key) {
  if (IsNull()) v_ = Map();
  Map& map = std::get<Map>(v_);
  const auto it = map.find(key);
  if (it != map.end()) return it->second;
  return map.emplace(std::string(key), Value()).first->second;
}

Value& Value::Set(std::string_view key, Value value) {
  Value& slot = Set(key);
  slot = std::move(value);
  return slot;
}

void Value::Append(Value value) {
  if (IsNull()) v_ = List();
  std::get<List>(v_).push_back(std::move(value));
}

void EncodeCanonical(const Value& value, std::string* out) {
  PackedWriter writer(out);
  if (value.IsNull()) {
    writer.Null();
  } else if (value.IsBool()) {
    writer.Bool(value.AsBool());
  } else if (value.IsInt()) {
    writer.Int(value.AsInt());
  } else if (value.IsDouble()) {
    writer.Double(value.AsDouble());
  } else if (value.IsString()) {
    writer.Text(value.AsString());
  } else if (value.IsBytes()) {
    writer.Bytes(value.AsBytes());
  } else if (value.IsList()) {
    writer.List(value.AsList().size());
    for (const Value& item : value.AsList()) EncodeCanonical(item, out);
  } else {
    writer.Map(value.AsMap().size());
    for (const auto& [key, item] : value.AsMap()) {
      writer.Text(key);
      EncodeCanonical(item, out);
    }
  }
}

std::string EncodeCanonical(const Value& value) {
  std::string out;
  EncodeCanonical(value, &out);
  return out;
}

void AppendToMap(std::string_view key, const Value& value, std::string* map_bytes) {
  const auto tag = static_cast<uint8_t>((*map_bytes)[0]);
  if (tag >= 0x80 && tag < 0x8f) {
    (*map_bytes)[0] = static_cast<char>(tag + 1);
  } else if (tag == 0x8f) {
    map_bytes->replace(0, 1, std::string("\xde\x00\x10", 3));
  } else {
    const auto count = static_cast<uint16_t>(
        (static_cast<uint8_t>((*map_bytes)[1]) << 8 | static_cast<uint8_t>((*map_bytes)[2])) + 1);
    (*map_bytes)[1] = static_cast<char>(count >> 8);
    (*map_bytes)[2] = static_cast<char>(count & 0xff);
  }
  PackedWriter(map_bytes).Text(key);
  EncodeCanonical(value, map_bytes);
}

void AppendJson(const Value& value, std::string* out) { PutJson(value, out); }
void AppendJsonString(std::string_view text, std::string* out) { PutJsonString(text, out); }

std::string ToJson(const Value& value) {
  std::string out;
  PutJson(value, &out);
  return out;
}

std::string FormatDouble(double value) {
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  std::string text(buffer, end);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

}  // namespace kev
