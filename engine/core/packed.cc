#include "engine/core/packed.h"

#include <algorithm>
#include <bit>
#include <optional>

namespace kev {
namespace {

void PutTagged(uint8_t tag, uint64_t value, int bytes, std::string* out) {
  char buffer[9];
  buffer[0] = static_cast<char>(tag);
  for (int i = 0; i < bytes; ++i) buffer[1 + i] = static_cast<char>(value >> (8 * (bytes - 1 - i)));
  out->append(buffer, static_cast<size_t>(bytes) + 1);
}

template <int kBytes>
uint64_t BigEndian(const char* p) {
  uint64_t value = 0;
  for (int i = 0; i < kBytes; ++i) value = value << 8 | static_cast<uint8_t>(p[i]);
  return value;
}

// The head of a value: what kind, what number or length, where its content begins.
struct Head {
  enum class Kind : uint8_t {
    kBad,
    kNull,
    kBool,
    kInt,
    kDouble,
    kText,
    kBytes,
    kList,
    kMap
  } kind = Kind::kBad;
  int64_t number = 0;
  double real = 0;
  uint32_t length = 0;
  const char* content = nullptr;
};

template <int kBytes>
const char* Sized(Head::Kind kind, const char* p, const char* limit, Head* h) {
  if (limit - p < kBytes) return p;
  h->length = static_cast<uint32_t>(BigEndian<kBytes>(p));
  h->kind = kind;
  return p + kBytes;
}

template <int kBytes, bool kSigned>
const char* Integer(const char* p, const char* limit, Head* h) {
  if (limit - p < kBytes) return p;
  const uint64_t u = BigEndian<kBytes>(p);
  constexpr int kShift = 64 - 8 * kBytes;
  h->number = kSigned ? static_cast<int64_t>(u << kShift) >> kShift : static_cast<int64_t>(u);
  h->kind = Head::Kind::kInt;
  return p + kBytes;
}

// Of the values whose tag is from 0xc0 to 0xdf. `p`: behind the tag.
const char* ReadLongHead(uint8_t tag, const char* p, const char* limit, Head* h) {
  using K = Head::Kind;
  switch (tag) {
    case 0xc0:
      h->kind = K::kNull;
      return p;
    case 0xc2:
    case 0xc3:
      h->kind = K::kBool;
      h->number = tag - 0xc2;
      return p;
    case 0xc4:
      return Sized<1>(K::kBytes, p, limit, h);
    case 0xc5:
      return Sized<2>(K::kBytes, p, limit, h);
    case 0xc6:
      return Sized<4>(K::kBytes, p, limit, h);
    case 0xca:
      if (limit - p < 4) return p;
      h->real = std::bit_cast<float>(static_cast<uint32_t>(BigEndian<4>(p)));
      h->kind = K::kDouble;
      return p + 4;
    case 0xcb:
      if (limit - p < 8) return p;
      h->real = std::bit_cast<double>(BigEndian<8>(p));
      h->kind = K::kDouble;
      return p + 8;
    case 0xcc:
      return Integer<1, false>(p, limit, h);
    case 0xcd:
      return Integer<2, false>(p, limit, h);
    case 0xce:
      return Integer<4, false>(p, limit, h);
    case 0xcf:
      return Integer<8, false>(p, limit, h);
    case 0xd0:
      return Integer<1, true>(p, limit, h);
    case 0xd1:
      return Integer<2, true>(p, limit, h);
    case 0xd2:
      return Integer<4, true>(p, limit, h);
    case 0xd3:
      return Integer<8, true>(p, limit, h);
    case 0xd9:
      return Sized<1>(K::kText, p, limit, h);
    case 0xda:
      return Sized<2>(K::kText, p, limit, h);
    case 0xdb:
      return Sized<4>(K::kText, p, limit, h);
    case 0xdc:
      return Sized<2>(K::kList, p, limit, h);
    case 0xdd:
      return Sized<4>(K::kList, p, limit, h);
    case 0xde:
      return Sized<2>(K::kMap, p, limit, h);
    case 0xdf:
      return Sized<4>(K::kMap, p, limit, h);
    default:
      return p;
  }
}

inline Head ReadHead(const char* p, const char* limit) {
  using K = Head::Kind;
  Head h;
  if (p >= limit) return h;
  const auto tag = static_cast<uint8_t>(*p++);
  if (tag < 0x80 || tag >= 0xe0) {
    h.kind = K::kInt;
    h.number = static_cast<int8_t>(tag);
  } else if (tag < 0xa0) {
    h.kind = tag < 0x90 ? K::kMap : K::kList;
    h.length = tag & 0x0f;
  } else if (tag < 0xc0) {
    h.kind = K::kText;
    h.length = tag & 0x1f;
  } else {
    p = ReadLongHead(tag, p, limit, &h);
  }
  if ((h.kind == K::kText || h.kind == K::kBytes) && static_cast<uint64_t>(limit - p) < h.length)
    h.kind = K::kBad;
  h.content = p;
  return h;
}

// Behind `left` values, of which the first begins at `p`; `limit` when they are cut short or no
// msgpack.
const char* Skip(const char* p, const char* limit, uint64_t left = 1) {
  for (; left > 0; --left) {
    // What is short and frequent, without a head.
    if (p >= limit) return limit;
    const auto tag = static_cast<uint8_t>(*p);
    if (tag < 0x80 || tag >= 0xe0) {
      ++p;
      continue;
    }
    if (tag >= 0xa0 && tag < 0xc0) {
      const int bytes = 1 + (tag & 0x1f);
      if (limit - p < bytes) return limit;
      p += bytes;
      continue;
    }
    const Head h = ReadHead(p, limit);
    if (h.kind == Head::Kind::kBad) return limit;
    p = h.content;
    if (h.kind == Head::Kind::kText || h.kind == Head::Kind::kBytes)
      p += h.length;
    else if (h.kind == Head::Kind::kList)
      left += h.length;
    else if (h.kind == Head::Kind::kMap)
      left += uint64_t{2} * h.length;
  }
  return p;
}

// A text at `p`, nullopt for anything else; `*behind` is where the next value begins.
std::optional<std::string_view> TextAt(const char* p, const char* limit, const char** behind) {
  const Head h = ReadHead(p, limit);
  if (h.kind != Head::Kind::kText) {
    *behind = Skip(p, limit);
    return std::nullopt;
  }
  *behind = h.content + h.length;
  return std::string_view(h.content, h.length);
}

Value ToValueAt(const PackedView& view, int depth) {
  if (view.IsBool()) return Value(view.AsBool());
  if (view.IsInt()) return Value(view.AsInt());
  if (view.IsDouble()) return Value(view.AsDouble());
  if (view.IsString()) return Value(view.AsString());
  if (view.IsList() && depth > 0) {
    Value::List list;
    list.reserve(std::min<size_t>(view.size(), 1024));
    for (PackedItems items(view); items.Next();)
      list.push_back(ToValueAt(items.value(), depth - 1));
    return Value(std::move(list));
  }
  if (view.IsMap() && depth > 0) {
    Value::Map map;
    for (PackedItems items(view); items.Next();) {
      map.insert_or_assign(map.end(), std::string(items.key()),
                           ToValueAt(items.value(), depth - 1));
    }
    return Value(std::move(map));
  }
  if (view.IsNull() || view.IsList() || view.IsMap()) return Value();
  return Value(Value::Bytes{std::string(view.AsBytes())});
}

}  // namespace

void PackedWriter::Map(size_t entries) {
  if (entries < 16)
    out_->push_back(static_cast<char>(0x80 | entries));
  else if (entries <= 0xffff)
    PutTagged(0xde, entries, 2, out_);
  else
    PutTagged(0xdf, entries, 4, out_);
}

void PackedWriter::List(size_t items) {
  if (items < 16)
    out_->push_back(static_cast<char>(0x90 | items));
  else if (items <= 0xffff)
    PutTagged(0xdc, items, 2, out_);
  else
    PutTagged(0xdd, items, 4, out_);
}

void PackedWriter::Null() { out_->push_back('\xc0'); }
void PackedWriter::Bool(bool b) { out_->push_back(b ? '\xc3' : '\xc2'); }

void PackedWriter::Int(int64_t i) {
  const auto u = static_cast<uint64_t>(i);
  if (i >= -32 && i < 128)
    out_->push_back(static_cast<char>(i));
  else if (i >= 0)
    i <= 0xff           ? PutTagged(0xcc, u, 1, out_)
    : i <= 0xffff       ? PutTagged(0xcd, u, 2, out_)
    : i <= 0xffffffffLL ? PutTagged(0xce, u, 4, out_)
                        : PutTagged(0xcf, u, 8, out_);
  else
    i >= -128            ? PutTagged(0xd0, u, 1, out_)
    : i >= -32768        ? PutTagged(0xd1, u, 2, out_)
    : i >= -2147483648LL ? PutTagged(0xd2, u, 4, out_)
                         : PutTagged(0xd3, u, 8, out_);
}

void PackedWriter::Double(double d) { PutTagged(0xcb, std::bit_cast<uint64_t>(d), 8, out_); }

void PackedWriter::Text(std::string_view s) {
  if (s.size() < 32)
    out_->push_back(static_cast<char>(0xa0 | s.size()));
  else if (s.size() <= 0xff)
    PutTagged(0xd9, s.size(), 1, out_);
  else if (s.size() <= 0xffff)
    PutTagged(0xda, s.size(), 2, out_);
  else
    PutTagged(0xdb, s.size(), 4, out_);
  out_->append(s);
}

void PackedWriter::BytesHead(size_t size) {
  if (size <= 0xff)
    PutTagged(0xc4, size, 1, out_);
  else if (size <= 0xffff)
    PutTagged(0xc5, size, 2, out_);
  else
    PutTagged(0xc6, size, 4, out_);
}

void PackedWriter::Bytes(std::string_view s) {
  BytesHead(s.size());
  out_->append(s);
}

char* PackedWriter::Room(size_t bytes) {
  BytesHead(bytes);
  out_->resize(out_->size() + bytes);
  return out_->data() + out_->size() - bytes;
}

void PackedMap::Close() {
  if (closed_) return;
  closed_ = true;
  if (entries_ < 16) {
    (*out_)[at_] = static_cast<char>(0x80 | entries_);
  } else {
    std::string head;
    PackedWriter(&head).Map(entries_);
    out_->replace(at_, 1, head);
  }
}

PackedView::PackedView(std::string_view bytes)
    : begin_(bytes.data()), limit_(bytes.data() + bytes.size()) {
  const Head h = ReadHead(begin_, limit_);
  inner_ = h.content;
  number_ = h.number;
  real_ = h.real;
  count_ = h.length;
  switch (h.kind) {
    case Head::Kind::kBad:
      inner_ = limit_;
      break;
    case Head::Kind::kNull:
      break;
    case Head::Kind::kBool:
      kind_ = Kind::kBool;
      break;
    case Head::Kind::kInt:
      kind_ = Kind::kInt;
      break;
    case Head::Kind::kDouble:
      kind_ = Kind::kDouble;
      break;
    case Head::Kind::kText:
    case Head::Kind::kBytes:
      kind_ = h.kind == Head::Kind::kText ? Kind::kText : Kind::kBytes;
      text_ = {inner_, h.length};
      break;
    case Head::Kind::kList:
      kind_ = Kind::kList;
      break;
    case Head::Kind::kMap:
      kind_ = Kind::kMap;
      break;
  }
}

const char* PackedView::End() const {
  if (kind_ == Kind::kText || kind_ == Kind::kBytes) return inner_ + count_;
  if (kind_ == Kind::kList) return Skip(inner_, limit_, count_);
  if (kind_ == Kind::kMap) return Skip(inner_, limit_, uint64_t{2} * count_);
  return inner_;
}

int64_t PackedView::AsInt(int64_t otherwise) const {
  if (IsInt()) return number_;
  if (IsDouble() && real_ >= -9.2e18 && real_ <= 9.2e18) return static_cast<int64_t>(real_);
  return otherwise;
}

double PackedView::AsDouble(double otherwise) const {
  return IsDouble() ? real_ : IsInt() ? static_cast<double>(number_) : otherwise;
}

const char* PackedView::At(std::string_view key) const {
  const char* p = inner_;
  for (uint32_t left = IsMap() ? count_ : 0; left > 0 && p < limit_; --left) {
    const std::optional<std::string_view> text = TextAt(p, limit_, &p);
    if (p >= limit_) break;
    if (text.value_or(std::string_view()) == key) return p;
    p = Skip(p, limit_);
  }
  return nullptr;
}

PackedView PackedView::operator[](std::string_view key) const {
  const char* p = At(key);
  return p == nullptr ? PackedView() : PackedView({p, static_cast<size_t>(limit_ - p)});
}

bool PackedView::Has(std::string_view key) const { return At(key) != nullptr; }

Value PackedView::ToValue() const { return ToValueAt(*this, 64); }

PackedItems::PackedItems(const PackedView& container)
    : at_(container.inner_),
      limit_(container.limit_),
      left_(container.size()),
      map_(container.IsMap()) {}

bool PackedItems::Next() {
  if (left_ == 0) return false;
  --left_;
  if (value_.begin_ != nullptr) at_ = value_.End();
  if (at_ >= limit_) {
    left_ = 0;
    return false;
  }
  if (map_) key_ = TextAt(at_, limit_, &at_).value_or(std::string_view());
  value_ = PackedView({at_, static_cast<size_t>(limit_ - at_)});
  return true;
}

}  // namespace kev
