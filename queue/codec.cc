#include "queue/codec.h"

#include <cstdint>
#include <msgpack/null_visitor.hpp>
#include <msgpack/unpack.hpp>
#include <string>
#include <utility>
#include <vector>

namespace kev {
namespace {

constexpr size_t kMaxBytes = size_t{256} << 20;

std::string TooDeep(DecodeLimits limits) {
  return "nested deeper than " + std::to_string(limits.depth);
}
std::string TooMany(DecodeLimits limits) {
  return "more than " + std::to_string(limits.elements) + " elements";
}

// Builds a Value as the parser goes; says no (which ends the parse) as soon as a limit is passed. A
// container's length is only trusted as far as the input has bytes for it.
class ValueBuilder : public msgpack::null_visitor {
 public:
  ValueBuilder(size_t size, DecodeLimits limits) : size_(size), limits_(limits) {
    open_.reserve(6);
  }

  bool visit_nil() { return Put(Value()); }
  bool visit_boolean(bool v) { return Put(Value(v)); }
  bool visit_positive_integer(uint64_t v) {
    if (v > static_cast<uint64_t>(INT64_MAX)) return Refuse("an integer above 2^63-1");
    return Put(Value(static_cast<int64_t>(v)));
  }
  bool visit_negative_integer(int64_t v) { return Put(Value(v)); }
  bool visit_float32(float v) { return Put(Value(static_cast<double>(v))); }
  bool visit_float64(double v) { return Put(Value(v)); }
  bool visit_str(const char* v, uint32_t size) {
    if (!open_.empty() && open_.back().wants_key) {
      open_.back().key.assign(v, size);
      open_.back().wants_key = false;
      return true;
    }
    return Put(Value(std::string(v, size)));
  }
  bool visit_bin(const char* v, uint32_t size) {
    return Put(Value(Value::Bytes{std::string(v, size)}));
  }
  bool visit_ext(const char*, uint32_t) { return Refuse("an extension type"); }

  bool start_array(uint32_t n) {
    if (!Open(n, false)) return false;
    open_.back().list.reserve(n);
    return true;
  }
  bool end_array() {
    Value::List list = std::move(open_.back().list);
    open_.pop_back();
    return Put(Value(std::move(list)));
  }
  bool start_map(uint32_t n) { return Open(uint64_t{2} * n, true); }
  bool start_map_key() {
    open_.back().wants_key = true;
    return true;
  }
  bool end_map_key() { return !open_.back().wants_key || Refuse("a map key that is not a string"); }
  bool end_map() {
    Value::Map map = std::move(open_.back().map);
    open_.pop_back();
    return Put(Value(std::move(map)));
  }
  void parse_error(size_t, size_t at) { Note("not msgpack", at); }
  void insufficient_bytes(size_t, size_t at) { Note("cut short", at); }

  Value Take() { return std::move(root_); }
  std::string Why() const { return why_.empty() ? "not msgpack" : why_; }

 private:
  struct Container {
    bool is_map = false;
    bool wants_key = false;
    std::string key;
    Value::List list;
    Value::Map map;
  };

  bool Open(uint64_t elements, bool is_map) {
    if (!open_.empty() && open_.back().wants_key) return Refuse("a map key that is not a string");
    if (open_.size() == limits_.depth) return Refuse(TooDeep(limits_));
    elements_ += elements;
    if (elements_ > limits_.elements) return Refuse(TooMany(limits_));
    if (elements_ > size_) return Refuse("a container longer than the input");
    open_.emplace_back();
    open_.back().is_map = is_map;
    return true;
  }
  bool Put(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Container& top = open_.back();
    if (!top.is_map) {
      top.list.push_back(std::move(value));
      return true;
    }
    if (top.wants_key) return Refuse("a map key that is not a string");
    const size_t before = top.map.size();
    top.map.emplace_hint(top.map.end(), std::move(top.key), std::move(value));
    top.key.clear();
    return top.map.size() > before || Refuse("a map key that occurs twice");
  }
  bool Refuse(std::string why) {
    if (why_.empty()) why_ = std::move(why);
    return false;
  }
  void Note(const char* what, size_t at) {
    if (why_.empty()) why_ = std::string(what) + " at byte " + std::to_string(at);
  }

  size_t size_;
  DecodeLimits limits_;
  uint64_t elements_ = 0;
  std::vector<Container> open_;
  Value root_;
  std::string why_;
};

// The limits alone.
class Checker : public msgpack::null_visitor {
 public:
  Checker(size_t size, DecodeLimits limits) : size_(size), limits_(limits) {}
  bool visit_nil() { return Leaf(); }
  bool visit_boolean(bool) { return Leaf(); }
  bool visit_positive_integer(uint64_t v) {
    return v > static_cast<uint64_t>(INT64_MAX) ? Refuse("an integer above 2^63-1") : Leaf();
  }
  bool visit_negative_integer(int64_t) { return Leaf(); }
  bool visit_float32(float) { return Leaf(); }
  bool visit_float64(double) { return Leaf(); }
  bool visit_str(const char*, uint32_t) {
    wants_key_ = false;
    return true;
  }
  bool visit_bin(const char*, uint32_t) { return Leaf(); }
  bool visit_ext(const char*, uint32_t) { return Refuse("an extension type"); }
  bool start_array(uint32_t n) { return Open(n); }
  bool end_array() {
    --depth_;
    return true;
  }
  bool start_map(uint32_t n) { return Open(uint64_t{2} * n); }
  bool start_map_key() {
    wants_key_ = true;
    return true;
  }
  bool end_map_key() { return true; }
  bool end_map() {
    --depth_;
    return true;
  }
  void parse_error(size_t, size_t at) { Note("not msgpack", at); }
  void insufficient_bytes(size_t, size_t at) { Note("cut short", at); }
  std::string Why() const { return why_.empty() ? "not msgpack" : why_; }

 private:
  bool Leaf() { return !wants_key_ || Refuse("a map key that is not a string"); }
  bool Open(uint64_t elements) {
    if (wants_key_) return Refuse("a map key that is not a string");
    if (++depth_ > limits_.depth) return Refuse(TooDeep(limits_));
    elements_ += elements;
    if (elements_ > limits_.elements) return Refuse(TooMany(limits_));
    return elements_ <= size_ || Refuse("a container longer than the input");
  }
  bool Refuse(std::string why) {
    if (why_.empty()) why_ = std::move(why);
    return false;
  }
  void Note(const char* what, size_t at) {
    if (why_.empty()) why_ = std::string(what) + " at byte " + std::to_string(at);
  }
  size_t size_;
  DecodeLimits limits_;
  uint64_t elements_ = 0;
  size_t depth_ = 0;
  bool wants_key_ = false;
  std::string why_;
};

Error Corrupt(const std::string& why) {
  return {Code::kCorrupt, "bytes cannot be decoded: " + why};
}

}  // namespace

namespace {

template <typename Visitor>
Status Parse(std::string_view bytes, Visitor* visitor) {
  if (bytes.empty()) return Corrupt("nothing there");
  if (bytes.size() > kMaxBytes) return Corrupt("more than 256 MiB");
  try {
    size_t offset = 0;
    if (!msgpack::parse(bytes.data(), bytes.size(), offset, *visitor))
      return Corrupt(visitor->Why());
    if (offset != bytes.size()) return Corrupt("bytes left over at " + std::to_string(offset));
    return {};
  } catch (const std::exception& e) {
    return Corrupt(e.what());
  }
}

}  // namespace

Result<Value> Decode(std::string_view bytes, DecodeLimits limits) {
  ValueBuilder builder(bytes.size(), limits);
  if (const Status s = Parse(bytes, &builder); !s.ok()) return s.error();
  return builder.Take();
}

Result<PackedView> CheckPacked(std::string_view bytes, DecodeLimits limits) {
  Checker checker(bytes.size(), limits);
  if (const Status s = Parse(bytes, &checker); !s.ok()) return s.error();
  return PackedView(bytes);
}

Result<EventGroup> DecodeGroup(std::string_view body, std::string_view digest_hex) {
  const Result<PackedView> view = CheckPacked(body, kLogLimits);
  if (!view) return view.error();
  Result<EventGroup> group = EventGroupFrom(*view);
  if (!group || digest_hex.empty()) return group;
  if (digest_hex.size() != 32) return Corrupt("the group's digest is not 32 hexadecimal digits");
  uint64_t half[2] = {0, 0};
  for (size_t i = 0; i < 32; ++i) {
    const char c = digest_hex[i];
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return Corrupt("the group's digest is not hexadecimal");
    half[i / 16] = half[i / 16] << 4 | static_cast<uint64_t>(digit);
  }
  group->digest.hi = half[0];
  group->digest.lo = half[1];
  return group;
}

}  // namespace kev
