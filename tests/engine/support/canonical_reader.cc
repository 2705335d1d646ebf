#include "tests/engine/support/canonical_reader.h"

#include <bit>
#include <stdexcept>

namespace kev::testing {
namespace {

struct Broken {};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool done() const { return rest_.empty(); }

  Value Next() {
    const auto tag = static_cast<uint8_t>(Take(1)[0]);
    if (tag < 0x80) return static_cast<int64_t>(tag);
    if (tag >= 0xe0) return static_cast<int64_t>(static_cast<int8_t>(tag));
    if (tag < 0x90) return ReadMap(tag & 15);
    if (tag < 0xa0) return ReadList(tag & 15);
    if (tag < 0xc0) return std::string(Take(tag & 31));
    switch (tag) {
      case 0xc0:
        return {};
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return Value::Bytes{std::string(Take(Big(1)))};
      case 0xc5:
        return Value::Bytes{std::string(Take(Big(2)))};
      case 0xc6:
        return Value::Bytes{std::string(Take(Big(4)))};
      case 0xcb:
        return std::bit_cast<double>(Big(8));
      case 0xcc:
        return static_cast<int64_t>(Big(1));
      case 0xcd:
        return static_cast<int64_t>(Big(2));
      case 0xce:
        return static_cast<int64_t>(Big(4));
      case 0xcf:
        return static_cast<int64_t>(Big(8));
      case 0xd0:
        return static_cast<int64_t>(static_cast<int8_t>(Big(1)));
      case 0xd1:
        return static_cast<int64_t>(static_cast<int16_t>(Big(2)));
      case 0xd2:
        return static_cast<int64_t>(static_cast<int32_t>(Big(4)));
      case 0xd3:
        return static_cast<int64_t>(Big(8));
      case 0xd9:
        return std::string(Take(Big(1)));
      case 0xda:
        return std::string(Take(Big(2)));
      case 0xdb:
        return std::string(Take(Big(4)));
      case 0xdc:
        return ReadList(Big(2));
      case 0xdd:
        return ReadList(Big(4));
      case 0xde:
        return ReadMap(Big(2));
      case 0xdf:
        return ReadMap(Big(4));
      default:
        throw Broken();
    }
  }

 private:
  std::string_view Take(uint64_t count) {
    if (count > rest_.size()) throw Broken();
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  uint64_t Big(size_t bytes) {
    uint64_t x = 0;
    for (const char c : Take(bytes)) x = x << 8 | static_cast<uint8_t>(c);
    return x;
  }
  Value ReadList(uint64_t count) {
    Value::List list;
    for (; count > 0; --count) list.push_back(Next());
    return list;
  }
  Value ReadMap(uint64_t count) {
    Value::Map map;
    for (; count > 0; --count) {
      const Value key = Next();
      if (!key.IsString() || !map.emplace(key.AsString(), Next()).second) throw Broken();
    }
    return map;
  }

  std::string_view rest_;
};

}  // namespace

std::optional<Value> ReadCanonical(std::string_view bytes) {
  try {
    Reader reader(bytes);
    Value value = reader.Next();
    if (!reader.done()) return std::nullopt;
    return value;
  } catch (const Broken&) {
    return std::nullopt;
  }
}

Job ReadJob(std::string_view payload) {
  const std::optional<Value> value = ReadCanonical(payload);
  if (!value) throw std::runtime_error("a payload is not canonical bytes");
  Result<Job> job = JobFrom(PackedView(payload));
  if (!job) throw std::runtime_error(job.error().message);
  return std::move(*job);
}

}  // namespace kev::testing
