// Archive: values as packed bytes one after the other, written and read by one definition.
//
// Transfer(a, thing) writes `thing` when `a` is an ArchiveWriter and reads it when it is an
// ArchiveReader. A type of one's own is added as an overload that names its fields in their order.
// Threads: plain values. Errors: a reader that finds what does not fit gives empty things from then
// on, and says so at its end (ok()).
#ifndef KEV_ENGINE_CORE_ARCHIVE_H_
#define KEV_ENGINE_CORE_ARCHIVE_H_

#include <array>
#include <concepts>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/packed.h"

namespace kev {

class ArchiveWriter {
 public:
  static constexpr bool kReads = false;
  explicit ArchiveWriter(std::string* out) : out_(out) {}
  static bool ok() { return true; }
  template <std::integral T>
  void Int(T& i, int64_t = 0) {
    out_.Int(static_cast<int64_t>(i));
  }
  void Bool(bool b) { out_.Bool(b); }
  void Double(double d) { out_.Double(d); }
  void Text(const std::string& s) { out_.Text(s); }
  void Any(const Value& v) { out_.Write(v); }
  // So many bytes, for the caller to fill.
  char* Room(size_t bytes) { return out_.Room(bytes); }
  size_t Size(size_t n) {
    out_.Int(static_cast<int64_t>(n));
    return n;
  }

 private:
  PackedWriter out_;
};

// Goes on giving zeros and empty things once something did not fit: ok() is asked at the end.
class ArchiveReader {
 public:
  static constexpr bool kReads = true;
  explicit ArchiveReader(std::string_view bytes) : left_(bytes) {}
  bool ok() const { return ok_; }
  void Fail() { ok_ = false; }
  bool AtEnd() const { return left_.empty(); }
  // At most `last`, when it is given.
  template <std::integral T>
  void Int(T& i, int64_t last = INT64_MAX) {
    const PackedView v = Next();
    const int64_t n = v.AsInt();
    const bool fits = v.IsInt() && n <= last && (sizeof(T) == sizeof n || (std::in_range<T>(n)));
    ok_ = ok_ && fits;
    i = ok_ ? static_cast<T>(n) : T{};
  }
  void Bool(bool& b) {
    const PackedView v = Next();
    ok_ = ok_ && v.IsBool();
    b = v.AsBool();
  }
  void Double(double& d) {
    const PackedView v = Next();
    ok_ = ok_ && v.IsDouble();
    d = v.AsDouble();
  }
  void Text(std::string& s) {
    const PackedView v = Next();
    ok_ = ok_ && v.IsString();
    s = v.AsString();
  }
  void Any(Value& v) { v = Next().ToValue(); }
  void Bytes(std::string_view& s) { s = Next().AsBytes(); }
  // Of a container: every item takes a byte at least, so that a damaged size asks for no memory.
  size_t Size(size_t) {
    uint64_t n = 0;
    Int(n);
    if (n > left_.size()) ok_ = false;
    return ok_ ? static_cast<size_t>(n) : 0;
  }

 private:
  PackedView Next() {
    const PackedView v(left_);
    const size_t size = ok_ && !left_.empty() ? v.bytes().size() : 0;
    if (size == 0) {
      ok_ = false;
      return {};
    }
    left_.remove_prefix(size);
    return v;
  }
  std::string_view left_;
  bool ok_ = true;
};

// Tables of a million rows: fixed records, little endian.
template <std::unsigned_integral T>
void PutFixed(T n, char*& p) {
  for (size_t i = 0; i < sizeof n; ++i) *p++ = static_cast<char>(n >> (8 * i));
}
template <std::unsigned_integral T>
T TakeFixed(const char*& p) {
  T n = 0;
  for (size_t i = 0; i < sizeof n; ++i)
    n |= static_cast<T>(static_cast<T>(static_cast<uint8_t>(*p++)) << (8 * i));
  return n;
}

template <class A, class... T>
void TransferAll(A& a, T&... things) {
  (Transfer(a, things), ...);
}

// Plain values.
template <class A, class T>
  requires(std::integral<T> && !std::same_as<T, bool>)
void Transfer(A& a, T& i) {
  a.Int(i);
}
// Of an enumeration without gaps, whose last value is `last`.
template <class A, class E>
void TransferEnum(A& a, E& e, E last) {
  auto i = static_cast<uint8_t>(e);
  a.Int(i, static_cast<int64_t>(last));
  if constexpr (A::kReads) e = static_cast<E>(i);
}
template <class A>
void Transfer(A& a, bool& b) {
  a.Bool(b);
}
template <class A>
void Transfer(A& a, double& d) {
  a.Double(d);
}
template <class A>
void Transfer(A& a, std::string& s) {
  a.Text(s);
}
template <class A>
void Transfer(A& a, Value& v) {
  a.Any(v);
}

// Containers.
template <class A, class T>
void Transfer(A& a, std::vector<T>& list) {
  const size_t n = a.Size(list.size());
  if constexpr (A::kReads) list.resize(n);
  for (size_t i = 0; i < n && a.ok(); ++i) Transfer(a, list[i]);
}
template <class A>
void Transfer(A& a, std::vector<bool>& list) {
  const size_t n = a.Size(list.size());
  if constexpr (A::kReads) list.resize(n);
  for (size_t i = 0; i < n && a.ok(); ++i) {
    bool b = list[i];
    Transfer(a, b);
    list[i] = b;
  }
}
template <class A, class T, size_t N>
void Transfer(A& a, std::array<T, N>& list) {
  for (T& thing : list) Transfer(a, thing);
}
template <class A, class T>
void Transfer(A& a, std::optional<T>& thing) {
  bool there = thing.has_value();
  Transfer(a, there);
  if constexpr (A::kReads) {
    if (there) thing.emplace();
  }
  if (there) Transfer(a, *thing);
}
template <class A, class T, class U>
void Transfer(A& a, std::pair<T, U>& both) {
  TransferAll(a, both.first, both.second);
}
template <class A, class T>
void Transfer(A& a, std::set<T>& things) {
  const size_t n = a.Size(things.size());
  if constexpr (A::kReads) {
    for (size_t i = 0; i < n && a.ok(); ++i) {
      T thing{};
      Transfer(a, thing);
      things.insert(things.end(), std::move(thing));
    }
  } else {
    for (T thing : things) Transfer(a, thing);
  }
}
template <class A, class K, class V>
void Transfer(A& a, std::map<K, V>& things) {
  const size_t n = a.Size(things.size());
  if constexpr (A::kReads) {
    for (size_t i = 0; i < n && a.ok(); ++i) {
      K key{};
      Transfer(a, key);
      Transfer(a, things.try_emplace(things.end(), std::move(key))->second);
    }
  } else {
    for (auto& [key, thing] : things) {
      K copy = key;
      TransferAll(a, copy, thing);
    }
  }
}

}  // namespace kev

#endif  // KEV_ENGINE_CORE_ARCHIVE_H_
