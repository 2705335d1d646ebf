// Value: the one dynamic type of facts, settings, parameters, events and records.
//
// Maps keep their keys sorted, so that equal values have equal canonical bytes. The canonical
// encoding is msgpack with the smallest form of each number and sorted keys (any msgpack reader
// reads it); decoding untrusted bytes is the queue codec's work. Threads: plain values. Errors:
// Get* give the default when the key is absent or of another type.
#ifndef KEV_ENGINE_CORE_VALUE_H_
#define KEV_ENGINE_CORE_VALUE_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kev {

class Value {
 public:
  using List = std::vector<Value>;
  using Map = std::map<std::string, Value, std::less<>>;
  struct Bytes {
    std::string data;
    bool operator==(const Bytes&) const = default;
  };

  Value() = default;
  Value(bool b) : v_(b) {}                            // NOLINT
  Value(int i) : v_(static_cast<int64_t>(i)) {}       // NOLINT
  Value(int64_t i) : v_(i) {}                         // NOLINT
  Value(uint64_t i) : v_(static_cast<int64_t>(i)) {}  // NOLINT
  Value(uint32_t i) : v_(static_cast<int64_t>(i)) {}  // NOLINT
  Value(double d) : v_(d) {}                          // NOLINT
  Value(const char* s) : v_(std::string(s)) {}        // NOLINT
  Value(std::string_view s) : v_(std::string(s)) {}   // NOLINT
  Value(std::string s) : v_(std::move(s)) {}          // NOLINT
  Value(Bytes b) : v_(std::move(b)) {}                // NOLINT
  Value(List l) : v_(std::move(l)) {}                 // NOLINT
  Value(Map m) : v_(std::move(m)) {}                  // NOLINT

  bool IsNull() const { return v_.index() == 0; }
  bool IsBool() const { return std::holds_alternative<bool>(v_); }
  bool IsInt() const { return std::holds_alternative<int64_t>(v_); }
  bool IsDouble() const { return std::holds_alternative<double>(v_); }
  bool IsNumber() const { return IsInt() || IsDouble(); }
  bool IsString() const { return std::holds_alternative<std::string>(v_); }
  bool IsBytes() const { return std::holds_alternative<Bytes>(v_); }
  bool IsList() const { return std::holds_alternative<List>(v_); }
  bool IsMap() const { return std::holds_alternative<Map>(v_); }

  bool AsBool(bool otherwise = false) const;
  int64_t AsInt(int64_t otherwise = 0) const;   // a double is truncated
  double AsDouble(double otherwise = 0) const;  // an int is widened
  const std::string& AsString() const;          // "" when not a string
  const std::string& AsBytes() const;           // "" when not bytes
  const List& AsList() const;                   // empty when not a list
  const Map& AsMap() const;                     // empty when not a map

  // Element of a map, or null. Const: never inserts.
  const Value& operator[](std::string_view key) const;
  bool Has(std::string_view key) const;
  // Makes this a map when it is null, and gives the element to assign to.
  Value& Set(std::string_view key);
  Value& Set(std::string_view key, Value value);
  // Makes this a list when it is null, and appends.
  void Append(Value value);

  bool operator==(const Value&) const = default;

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, Bytes, List, Map> v_;
};

// Appends the canonical bytes of `value` to `out` (see the file comment).
void EncodeCanonical(const Value& value, std::string* out);
std::string EncodeCanonical(const Value& value);
// Adds one more entry to the canonical bytes of a map. The result is a valid msgpack map whose last
// key may be out of order: for sending, not for digests. REQUIRES: `map_bytes` encodes a map
// without `key`.
void AppendToMap(std::string_view key, const Value& value, std::string* map_bytes);

// Compact JSON text in one line, keys sorted; bytes as "base16:…", NaN and infinities as null.
std::string ToJson(const Value& value);
// A number as people read it: shortest text that gives the same double back.
std::string FormatDouble(double value);

}  // namespace kev

#endif  // KEV_ENGINE_CORE_VALUE_H_
