#include "queue/wire.h"

#include <algorithm>
#include <array>
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

const char* Name(RejectReason reason) {
  switch (reason) {
    case RejectReason::kResync:
      return "resync";
    case RejectReason::kVersion:
      return "version";
    case RejectReason::kMalformed:
      return "malformed";
  }
  return "malformed";
}

// [run, kind, number, step, index, attempt]: the first six elements of every item.
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
  return Value::List{id.run,
                     static_cast<int64_t>(id.key.subject.kind),
                     id.key.subject.number,
                     static_cast<int64_t>(id.key.step),
                     static_cast<int64_t>(id.key.index),
                     id.attempt};
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
    ids.push_back(std::move(*id));
  }
  return ids;
}

}  // namespace

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
  header.flags = byte(5);
  header.count = static_cast<uint16_t>(byte(6) | byte(7) << 8);
  for (size_t i = 0; i < 8; ++i) header.seq |= static_cast<uint64_t>(byte(8 + i)) << (8 * i);
  return header;
}

std::string EncodeReject(RejectReason reason, const std::string& text) {
  Value body;
  body.Set("reason", Name(reason));
  body.Set("text", text);
  body.Set("major", static_cast<int64_t>(kWireMajor));
  return EncodeCanonical(body);
}

Rejected RejectFrom(const Value& body) {
  const std::string& reason = body["reason"].AsString();
  return {reason == "resync"    ? RejectReason::kResync
          : reason == "version" ? RejectReason::kVersion
                                : RejectReason::kMalformed,
          body["text"].AsString()};
}

std::string EncodeHello(const Hello& hello, const std::string& instance) {
  Value body;
  body.Set("worker", hello.worker);
  body.Set("instance", instance);
  body.Set("program", hello.program);
  body.Set("stages", Value::List(hello.stages.begin(), hello.stages.end()));
  body.Set("slots", hello.slots);
  body.Set("host", hello.host);
  body.Set("version", hello.version);
  body.Set("items", ToValue(hello.in_flight));
  return EncodeCanonical(body);
}

Result<Hello> HelloFrom(const Value& body, std::string* instance) {
  Hello hello;
  hello.worker = body["worker"].AsString();
  *instance = body["instance"].AsString();
  if (hello.worker.empty() || instance->empty())
    return Malformed("HELLO without worker or instance");
  hello.program = body["program"].AsString();
  for (const Value& stage : body["stages"].AsList()) hello.stages.push_back(stage.AsString());
  const int64_t slots = body["slots"].AsInt(1);
  if (slots < 1 || slots > 65536)
    return Malformed("HELLO with " + std::to_string(slots) + " slots");
  hello.slots = static_cast<uint32_t>(slots);
  hello.host = body["host"].AsString();
  hello.version = body["version"].AsString();
  Result<std::vector<InFlight>> ids = AttemptsFrom(body["items"]);
  if (!ids) return ids.error();
  hello.in_flight = std::move(*ids);
  return hello;
}

std::string EncodeWelcome(const WelcomeBody& w) {
  Value body;
  body.Set("epoch", w.welcome.epoch);
  body.Set("heartbeat_ms", static_cast<int64_t>(w.heartbeat.count()));
  body.Set("liveness", w.liveness);
  body.Set("items", ToValue(w.welcome.keep));
  return EncodeCanonical(body);
}

Result<WelcomeBody> WelcomeFrom(const Value& body) {
  WelcomeBody w;
  w.welcome.epoch = static_cast<uint64_t>(body["epoch"].AsInt());
  w.heartbeat = std::chrono::milliseconds(body["heartbeat_ms"].AsInt(1000));
  w.liveness = static_cast<int>(body["liveness"].AsInt(4));
  if (w.heartbeat.count() < 1 || w.liveness < 1) return Malformed("WELCOME without a heartbeat");
  Result<std::vector<InFlight>> ids = AttemptsFrom(body["items"]);
  if (!ids) return ids.error();
  w.welcome.keep = std::move(*ids);
  return w;
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

void BatchBody::AddStale(const std::string& run, const JobKey& key, uint32_t attempt, bool stale) {
  Begin(7, run, key, attempt);
  PutUint(stale ? 1 : 0, &items_);
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
    if (list.size() > 6 && list[6].IsInt()) item.stale = list[6].AsInt() != 0;
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

std::string EncodeBlobGet(const std::string& sha256) {
  Value body;
  body.Set("sha256", sha256);
  return EncodeCanonical(body);
}

std::string EncodeBlob(const std::string& sha256, bool found) {
  Value body;
  body.Set("sha256", sha256);
  body.Set("found", found);
  return EncodeCanonical(body);
}

std::string EncodeHistoryGet(const HistoryWanted& wanted) {
  Value body;
  body.Set("run", wanted.run);
  body.Set("from", wanted.from);
  body.Set("to", wanted.to);
  return EncodeCanonical(body);
}

std::string EncodeHistory(const std::string& run, uint64_t from) {
  Value body;
  body.Set("run", run);
  body.Set("from", from);
  return EncodeCanonical(body);
}

bool IsSha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace kev
