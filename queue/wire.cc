#include "queue/wire.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace kev {
namespace {

constexpr char kMagic0 = 'K';
constexpr char kMagic1 = 'V';

Error Malformed(const std::string& what) { return {Code::kCorrupt, "malformed message: " + what}; }

void PutBig(uint64_t value, int bytes, std::string* out) {
  for (int i = bytes - 1; i >= 0; --i) out->push_back(static_cast<char>(value >> (8 * i)));
}
void PutUint(uint64_t v, std::string* out) {
  if (v < 0x80) return out->push_back(static_cast<char>(v));
  const int bytes = v <= 0xff ? 1 : v <= 0xffff ? 2 : v <= 0xffffffff ? 4 : 8;
  out->push_back(static_cast<char>(bytes == 1   ? 0xcc
                                   : bytes == 2 ? 0xcd
                                   : bytes == 4 ? 0xce
                                                : 0xcf));
  PutBig(v, bytes, out);
}
void PutText(std::string_view text, std::string* out) {
  if (text.size() < 32) {
    out->push_back(static_cast<char>(0xa0 | text.size()));
  } else if (text.size() <= 0xff) {
    out->push_back(static_cast<char>(0xd9));
    PutBig(text.size(), 1, out);
  } else {
    out->push_back(static_cast<char>(0xda));
    PutBig(std::min<size_t>(text.size(), 0xffff), 2, out);
  }
  out->append(text.substr(0, 0xffff));
}
void PutArray(size_t n, std::string* out) {
  if (n < 16) return out->push_back(static_cast<char>(0x90 | n));
  out->push_back(static_cast<char>(n <= 0xffff ? 0xdc : 0xdd));
  PutBig(n, n <= 0xffff ? 2 : 4, out);
}

void PutDouble(double value, std::string* out) {
  out->push_back(static_cast<char>(0xcb));
  PutBig(std::bit_cast<uint64_t>(value), 8, out);
}

}  // namespace

Result<InFlight> AttemptFrom(const Value& value) {
  const Value::List& list = value.AsList();
  if (list.size() < 6 || !list[0].IsString()) return Malformed("an item is not an attempt");
  static constexpr std::array<int64_t, 5> kMost{2, UINT32_MAX, UINT16_MAX, UINT16_MAX, UINT32_MAX};
  for (size_t i = 0; i < kMost.size(); ++i) {
    const Value& v = list[i + 1];
    if (!v.IsInt() || v.AsInt() < 0 || v.AsInt() > kMost[i]) {
      return Malformed("an attempt's number is out of range");
    }
  }
  InFlight id;
  id.run = list[0].AsString();
  id.key.subject.kind = static_cast<SubjectKind>(list[1].AsInt());
  id.key.subject.number = static_cast<uint32_t>(list[2].AsInt());
  id.key.step = static_cast<uint16_t>(list[3].AsInt());
  id.key.index = static_cast<uint16_t>(list[4].AsInt());
  id.attempt = static_cast<uint32_t>(list[5].AsInt());
  return id;
}
Value ToValue(const InFlight& id) {
  Value::List list{id.run,
                   static_cast<int64_t>(id.key.subject.kind),
                   id.key.subject.number,
                   static_cast<int64_t>(id.key.step),
                   static_cast<int64_t>(id.key.index),
                   id.attempt};
  if (id.job_digest != 0) list.push_back(static_cast<int64_t>(id.job_digest));
  return list;
}
Value ToValue(const std::vector<InFlight>& ids) {
  Value::List list;
  list.reserve(ids.size());
  for (const InFlight& id : ids) list.push_back(ToValue(id));
  return list;
}
Result<std::vector<InFlight>> AttemptsFrom(const Value& value) {
  std::vector<InFlight> ids;
  ids.reserve(value.AsList().size());
  for (const Value& v : value.AsList()) {
    Result<InFlight> id = AttemptFrom(v);
    if (!id) return id.error();
    if (v.AsList().size() > 6) {
      const Value& digest = v.AsList()[6];
      if (!digest.IsInt() || digest.AsInt() < 0) return Malformed("a job's digest is out of range");
      id->job_digest = static_cast<uint64_t>(digest.AsInt());
    }
    ids.push_back(std::move(*id));
  }
  return ids;
}

std::string Name(const InFlight& id) {
  return Name(id.key.subject) + "/" + std::to_string(id.key.step) + "." +
         std::to_string(id.key.index) + "#" + std::to_string(id.attempt) + " of run " + id.run;
}

const char* Name(MessageType type) {
  static constexpr const char* kNames[] = {
      "?",      "HELLO",   "WELCOME", "REJECT",   "JOBS",    "TAKEN",       "RESULT",  "ACK",
      "CANCEL", "PING",    "PONG",    "BLOB_GET", "BLOB",    "HISTORY_GET", "HISTORY", "DRAIN",
      "BYE",    "BYE_ACK", "CREDIT",  "PROGRESS", "RETRACT", "RETURNED",    "CALL",    "REPLY"};
  return kNames[std::min<size_t>(static_cast<size_t>(type), std::size(kNames) - 1)];
}

std::string EncodeHeader(const WireHeader& header) {
  std::string out;
  out.reserve(kWireHeaderBytes);
  out.push_back(kMagic0);
  out.push_back(kMagic1);
  out.push_back(static_cast<char>(kWireMajor));
  out.push_back(static_cast<char>(kWireMinor));
  out.push_back(static_cast<char>(header.type));
  out.push_back(static_cast<char>(header.flags));
  for (int i = 0; i < 2; ++i) out.push_back(static_cast<char>(header.count >> (8 * i)));
  for (int i = 0; i < 8; ++i) out.push_back(static_cast<char>(header.seq >> (8 * i)));
  return out;
}

Result<WireHeader> DecodeHeader(std::string_view frame) {
  if (frame.size() != kWireHeaderBytes) return Malformed("the header has not 16 bytes");
  if (frame[0] != kMagic0 || frame[1] != kMagic1)
    return Malformed("the header does not begin with KV");
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(frame[i]); };
  if (byte(2) != kWireMajor) {
    return Error{Code::kConflict, "the peer speaks protocol version " + std::to_string(byte(2)) +
                                      ", this end " + std::to_string(kWireMajor) +
                                      "; use the same release of kevolve on both ends"};
  }
  if (byte(4) == 0 || byte(4) > kLastMessageType) {
    return Malformed("unknown message type " + std::to_string(byte(4)));
  }
  WireHeader header;
  header.type = static_cast<MessageType>(byte(4));
  header.minor = byte(3);
  header.flags = byte(5);
  if (header.flags != 0 && header.minor <= kWireMinor)
    return Malformed("the header has flags, and this version knows none");
  header.count = static_cast<uint16_t>(byte(6) | byte(7) << 8);
  for (size_t i = 0; i < 8; ++i) header.seq |= static_cast<uint64_t>(byte(8 + i)) << (8 * i);
  return header;
}

void BatchBody::Begin(size_t elements, const std::string& run, const JobKey& key,
                      uint32_t attempt) {
  PutArray(elements, &items_);
  PutText(run, &items_);
  PutUint(static_cast<uint64_t>(key.subject.kind), &items_);
  PutUint(key.subject.number, &items_);
  PutUint(key.step, &items_);
  PutUint(key.index, &items_);
  PutUint(attempt, &items_);
  ++count_;
}

void BatchBody::Add(const std::string& run, const JobKey& key, uint32_t attempt) {
  Begin(6, run, key, attempt);
}

void BatchBody::AddNumber(const std::string& run, const JobKey& key, uint32_t attempt,
                          uint64_t number) {
  Begin(7, run, key, attempt);
  PutUint(number, &items_);
}

void BatchBody::AddProgress(const Progress& progress) {
  Begin(8, progress.run, progress.key, progress.attempt);
  if (progress.fraction < 0)
    items_.push_back(static_cast<char>(0xc0));
  else
    PutDouble(progress.fraction, &items_);
  PutText(progress.note, &items_);
}

void BatchBody::AddBlobs(const std::string& run, const JobKey& key, uint32_t attempt,
                         const std::vector<std::pair<BlobRef, std::string>>& blobs) {
  Begin(7, run, key, attempt);
  PutArray(blobs.size(), &items_);
  for (const auto& [ref, bytes] : blobs) {
    PutArray(2, &items_);
    PutText(ref.sha256, &items_);
    PutUint(ref.size, &items_);
  }
}

std::string BatchBody::Finish() const {
  std::string body;
  body.reserve(items_.size() + 12);
  body.push_back(static_cast<char>(0x81));
  PutText("items", &body);
  PutArray(count_, &body);
  body += items_;
  return body;
}

void BatchBody::Clear() {
  items_.clear();
  count_ = 0;
}

Result<std::vector<BatchItem>> BatchFrom(const Value& body) {
  const Value& items = body["items"];
  if (!items.IsList()) return Malformed("a batch without items");
  std::vector<BatchItem> batch;
  batch.reserve(items.AsList().size());
  for (const Value& v : items.AsList()) {
    Result<InFlight> id = AttemptFrom(v);
    if (!id) return id.error();
    BatchItem item;
    item.id = std::move(*id);
    const Value::List& list = v.AsList();
    if (list.size() > 6 && list[6].IsInt()) {
      if (list[6].AsInt() < 0) return Malformed("an item's number is negative");
      item.number = static_cast<uint64_t>(list[6].AsInt());
    }
    if (list.size() > 7 && list[7].IsString()) {
      item.note = list[7].AsString();
      item.fraction = list[6].AsDouble(-1);
      if (!(item.fraction <= 1)) return Malformed("a fraction of progress is above 1");
    }
    if (list.size() > 6 && list[6].IsList()) {
      for (const Value& blob : list[6].AsList()) {
        const Value::List& pair = blob.AsList();
        if (pair.size() < 2 || !IsSha256(pair[0].AsString()) || pair[1].AsInt(-1) < 0) {
          return Malformed("a blob's name is not a SHA-256 and a size");
        }
        item.blobs.push_back({pair[0].AsString(), static_cast<uint64_t>(pair[1].AsInt())});
      }
    }
    batch.push_back(std::move(item));
  }
  return batch;
}

bool IsBatch(MessageType type) {
  switch (type) {
    case MessageType::kJobs:
    case MessageType::kTaken:
    case MessageType::kResult:
    case MessageType::kAck:
    case MessageType::kCancel:
    case MessageType::kProgress:
    case MessageType::kRetract:
    case MessageType::kReturned:
      return true;
    default:
      return false;
  }
}

bool IsSha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace kev
