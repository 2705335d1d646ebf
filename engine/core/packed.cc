#include "engine/core/packed.h"

#include <algorithm>
#include <bit>

namespace kev {
namespace {

void PutTagged(uint8_t tag, uint64_t value, int bytes, std::string* out) {
  char buffer[9];
  buffer[0] = static_cast<char>(tag);
  for (int i = 0; i < bytes; ++i) buffer[1 + i] = static_cast<char>(value >> (8 * (bytes - 1 - i)));
  out->append(buffer, static_cast<size_t>(bytes) + 1);
}

uint64_t BigEndian(const char* p, int bytes) {
  uint64_t value = 0;
  for (int i = 0; i < bytes; ++i) value = value << 8 | static_cast<uint8_t>(p[i]);
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

Head ReadHead(const char* p, const char* limit) {
  Head h;
  if (p >= limit) return h;
  const auto tag = static_cast<uint8_t>(*p++);
  const auto room = [&](int bytes) { return limit - p >= bytes; };
  const auto sized = [&](Head::Kind kind, int bytes) {
    if (!room(bytes)) return;
    h.length = static_cast<uint32_t>(BigEndian(p, bytes));
    h.kind = kind;
    p += bytes;
  };
  const auto integer = [&](int bytes, bool is_signed) {
    if (!room(bytes)) return;
    const uint64_t u = BigEndian(p, bytes);
    const int shift = 64 - 8 * bytes;
    h.number = is_signed ? static_cast<int64_t>(u << shift) >> shift : static_cast<int64_t>(u);
    h.kind = Head::Kind::kInt;
    p += bytes;
  };
  using K = Head::Kind;
  if (tag < 0x80) {
    h.kind = K::kInt;
    h.number = tag;
  } else if (tag >= 0xe0) {
    h.kind = K::kInt;
    h.number = static_cast<int8_t>(tag);
  } else if (tag < 0x90) {
    h.kind = K::kMap;
    h.length = tag & 0x0f;
  } else if (tag < 0xa0) {
    h.kind = K::kList;
    h.length = tag & 0x0f;
  } else if (tag < 0xc0) {
    h.kind = K::kText;
    h.length = tag & 0x1f;
  } else {
    switch (tag) {
      case 0xc0:
        h.kind = K::kNull;
        break;
      case 0xc2:
      case 0xc3:
        h.kind = K::kBool;
        h.number = tag - 0xc2;
        break;
      case 0xc4:
        sized(K::kBytes, 1);
        break;
      case 0xc5:
        sized(K::kBytes, 2);
        break;
      case 0xc6:
        sized(K::kBytes, 4);
        break;
      case 0xca:
        if (room(4)) {
          h.real = std::bit_cast<float>(static_cast<uint32_t>(BigEndian(p, 4)));
          h.kind = K::kDouble;
          p += 4;
        }
        break;
      case 0xcb:
        if (room(8)) {
          h.real = std::bit_cast<double>(BigEndian(p, 8));
          h.kind = K::kDouble;
          p += 8;
        }
        break;
      case 0xcc:
        integer(1, false);
        break;
      case 0xcd:
        integer(2, false);
        break;
      case 0xce:
        integer(4, false);
        break;
      case 0xcf:
        integer(8, false);
        break;
      case 0xd0:
        integer(1, true);
        break;
      case 0xd1:
        integer(2, true);
        break;
      case 0xd2:
        integer(4, true);
        break;
      case 0xd3:
        integer(8, true);
        break;
      case 0xd9:
        sized(K::kText, 1);
        break;
      case 0xda:
        sized(K::kText, 2);
        break;
      case 0xdb:
        sized(K::kText, 4);
        break;
      case 0xdc:
        sized(K::kList, 2);
        break;
      case 0xdd:
        sized(K::kList, 4);
        break;
      case 0xde:
        sized(K::kMap, 2);
        break;
      case 0xdf:
        sized(K::kMap, 4);
        break;
      default:
        break;
    }
  }
  if ((h.kind == K::kText || h.kind == K::kBytes) && static_cast<uint64_t>(limit - p) < h.length)
    h.kind = K::kBad;
  h.content = p;
  return h;
}

// Behind the value that begins at `p`; `limit` when it is cut short or no msgpack.
const char* Skip(const char* p, const char* limit) {
  for (uint64_t left = 1; left > 0; --left) {
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

void PackedWriter::Bytes(std::string_view s) {
  if (s.size() <= 0xff)
    PutTagged(0xc4, s.size(), 1, out_);
  else if (s.size() <= 0xffff)
    PutTagged(0xc5, s.size(), 2, out_);
  else
    PutTagged(0xc6, s.size(), 4, out_);
  out_->append(s);
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

const char* PackedView::End() const { return begin_ == nullptr ? nullptr : Skip(begin_, limit_); }

int64_t PackedView::AsInt(int64_t otherwise) const {
  if (IsInt()) return number_;
  if (IsDouble() && real_ >= -9.2e18 && real_ <= 9.2e18) return static_cast<int64_t>(real_);
  return otherwise;
}

double PackedView::AsDouble(double otherwise) const {
  return IsDouble() ? real_ : IsInt() ? static_cast<double>(number_) : otherwise;
}

PackedView PackedView::operator[](std::string_view key) const {
  if (!IsMap()) return {};
  for (PackedItems items(*this); items.Next();) {
    if (items.key() == key) return items.value();
  }
  return {};
}

bool PackedView::Has(std::string_view key) const {
  if (!IsMap()) return false;
  for (PackedItems items(*this); items.Next();) {
    if (items.key() == key) return true;
  }
  return false;
}

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
  if (map_) {
    const PackedView key({at_, static_cast<size_t>(limit_ - at_)});
    key_ = key.AsString();
    at_ = key.End();
  }
  value_ = PackedView({at_, static_cast<size_t>(limit_ - at_)});
  return true;
}

}  // namespace kev
