// Packed: msgpack bytes written and read in place, for what passes through the engine at every job.
// Building a Value (value.h) of each message costs ten times as much: it is for settings and
// records.
//
// PackedWriter gives the canonical form when keys are added in sorted order. PackedView reads any
// msgpack without copying; bytes from outside are checked first (CheckPacked in queue/codec.h), but
// a view of broken bytes reads as null and never out of bounds. Threads: plain values.
#ifndef KEV_ENGINE_CORE_PACKED_H_
#define KEV_ENGINE_CORE_PACKED_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/core/value.h"

namespace kev {

class PackedWriter {
 public:
  explicit PackedWriter(std::string* out) : out_(out) {}
  void Map(size_t entries);
  void List(size_t items);
  void Null();
  void Bool(bool b);
  void Int(int64_t i);
  void Double(double d);
  void Text(std::string_view s);
  void Bytes(std::string_view s);
  // So many bytes, for the caller to fill before the next call.
  char* Room(size_t bytes);
  void Write(const Value& value) { EncodeCanonical(value, out_); }
  void Raw(std::string_view packed) { out_->append(packed); }  // what is packed already
  std::string* out() { return out_; }

 private:
  void BytesHead(size_t size);
  std::string* out_;
};

// A map whose number of entries is known only at its end.
class PackedMap {
 public:
  explicit PackedMap(std::string* out) : out_(out), at_(out->size()) { out->push_back('\x80'); }
  ~PackedMap() { Close(); }
  PackedMap(const PackedMap&) = delete;
  PackedMap& operator=(const PackedMap&) = delete;
  // Ends the map before the object does.
  void Close();
  PackedWriter Key(std::string_view key) {
    PackedWriter writer(out_);
    writer.Text(key);
    ++entries_;
    return writer;
  }
  void Text(std::string_view key, std::string_view text) { Key(key).Text(text); }
  void Int(std::string_view key, int64_t i) { Key(key).Int(i); }
  // Left out when it is what a reader assumes without it.
  void SomeText(std::string_view key, std::string_view text) {
    if (!text.empty()) Text(key, text);
  }
  void SomeInt(std::string_view key, int64_t i) {
    if (i != 0) Int(key, i);
  }
  void SomeDouble(std::string_view key, double d) {
    if (d != 0) Key(key).Double(d);
  }
  void SomeTrue(std::string_view key, bool b) {
    if (b) Key(key).Bool(true);
  }
  void Some(std::string_view key, const Value& value) {
    if (!value.IsNull()) Key(key).Write(value);
  }

 private:
  std::string* out_;
  size_t at_;
  unsigned entries_ = 0;
  bool closed_ = false;
};

class PackedView {
 public:
  PackedView() = default;  // null
  // The value that begins at the first byte.
  explicit PackedView(std::string_view bytes);

  bool IsNull() const { return kind_ == Kind::kNull; }
  bool IsBool() const { return kind_ == Kind::kBool; }
  bool IsInt() const { return kind_ == Kind::kInt; }
  bool IsDouble() const { return kind_ == Kind::kDouble; }
  bool IsString() const { return kind_ == Kind::kText; }
  bool IsList() const { return kind_ == Kind::kList; }
  bool IsMap() const { return kind_ == Kind::kMap; }

  bool AsBool(bool otherwise = false) const { return IsBool() ? number_ != 0 : otherwise; }
  int64_t AsInt(int64_t otherwise = 0) const;   // a double is truncated
  double AsDouble(double otherwise = 0) const;  // an int is widened
  std::string_view AsString() const { return IsString() ? text_ : std::string_view(); }
  std::string_view AsBytes() const { return kind_ == Kind::kBytes ? text_ : std::string_view(); }
  size_t size() const { return IsList() || IsMap() ? count_ : 0; }

  // Element of a map, or null; a linear search.
  PackedView operator[](std::string_view key) const;
  bool Has(std::string_view key) const;
  // The bytes of this value and nothing behind it.
  std::string_view bytes() const { return {begin_, static_cast<size_t>(End() - begin_)}; }
  Value ToValue() const;

 private:
  friend class PackedItems;
  enum class Kind : uint8_t { kNull, kBool, kInt, kDouble, kText, kBytes, kList, kMap };
  const char* End() const;
  const char* At(std::string_view key) const;  // the value of that key; null: there is none
  Kind kind_ = Kind::kNull;
  uint32_t count_ = 0;
  int64_t number_ = 0;  // bool, int
  double real_ = 0;
  std::string_view text_;
  const char* begin_ = nullptr;  // of the value
  const char* inner_ = nullptr;  // behind its head
  const char* limit_ = nullptr;  // of what may be read
};

// Goes through a list or a map in the order of its bytes: while (items.Next()) ….
class PackedItems {
 public:
  explicit PackedItems(const PackedView& container);
  bool Next();
  std::string_view key() const { return key_; }  // of a map's entry
  const PackedView& value() const { return value_; }

 private:
  const char* at_;
  const char* limit_;
  size_t left_;
  bool map_;
  std::string_view key_;
  PackedView value_;
};

}  // namespace kev

#endif  // KEV_ENGINE_CORE_PACKED_H_
