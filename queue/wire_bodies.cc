#include "queue/wire_bodies.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "engine/core/visible_text.h"
#include "queue/wire.h"

namespace kev {
namespace {

constexpr size_t kLongestName = 1024;
constexpr size_t kMostEntries = 1024;  // stages, labels, resources, blobs of one message
constexpr std::array<const char*, 4> kReasons{"resync", "version", "malformed", "refused"};
constexpr std::array<const char*, 10> kCodes{"ok",          "invalid",   "not_found",  "exists",
                                             "unavailable", "disk_full", "permission", "corrupt",
                                             "conflict",    "internal"};

Error Malformed(const std::string& what) { return {Code::kCorrupt, "malformed message: " + what}; }

// A name that people will read in logs: printable, and not long.
bool IsName(const Value& value) {
  const std::string& text = value.AsString();
  return (value.IsNull() || value.IsString()) && text.size() <= kLongestName && IsVisible(text);
}

Result<std::vector<BlobRef>> BlobsFrom(const Value& list) {
  if (list.AsList().size() > kMostEntries) return Malformed("more than 1024 blobs in one message");
  std::vector<BlobRef> blobs;
  for (const Value& blob : list.AsList()) {
    const Value::List& pair = blob.AsList();
    if (pair.size() < 2 || !IsSha256(pair[0].AsString()) || pair[1].AsInt(-1) < 0) {
      return Malformed("a blob's name is not a SHA-256 and a size");
    }
    blobs.push_back({pair[0].AsString(), static_cast<uint64_t>(pair[1].AsInt())});
  }
  return blobs;
}

Status ReadNames(const Value& body, Hello* hello) {
  const std::array<std::pair<const char*, std::string*>, 4> names{{{"worker", &hello->worker},
                                                                   {"program", &hello->program},
                                                                   {"host", &hello->host},
                                                                   {"version", &hello->version}}};
  for (const auto& [key, text] : names) {
    if (!IsName(body[key])) {
      return Malformed(std::string("HELLO's ") + key +
                       " is not a printable text of at most 1024 bytes");
    }
    *text = body[key].AsString();
  }
  if (body["stages"].AsList().size() > kMostEntries ||
      body["labels"].AsMap().size() > kMostEntries ||
      body["resources"].AsMap().size() > kMostEntries) {
    return Malformed("HELLO with more than 1024 stages, labels or resources");
  }
  for (const Value& stage : body["stages"].AsList()) {
    if (!stage.IsString() || !IsName(stage)) return Malformed("HELLO with a stage that is no name");
    hello->stages.push_back(stage.AsString());
  }
  for (const auto& [name, value] : body["labels"].AsMap()) {
    if (!value.IsString() || !IsName(value) || !IsName(Value(name)))
      return Malformed("HELLO with a label that is not a text");
    hello->labels[name] = value.AsString();
  }
  for (const auto& [name, value] : body["resources"].AsMap()) {
    if (!value.IsInt() || value.AsInt() < 0 || value.AsInt() > 1 << 20 || !IsName(Value(name)))
      return Malformed("HELLO with a resource that is not a number from 0 to 1048576");
    hello->resources[name] = static_cast<uint32_t>(value.AsInt());
  }
  return {};
}

}  // namespace

std::string EncodeReject(RejectReason reason, const std::string& text) {
  Value body;
  body.Set("reason", kReasons[static_cast<size_t>(reason)]);
  body.Set("text", text);
  body.Set("major", static_cast<int64_t>(kWireMajor));
  return EncodeCanonical(body);
}

Rejected RejectFrom(const Value& body) {
  const auto reason = std::find(kReasons.begin(), kReasons.end(), body["reason"].AsString());
  return {reason == kReasons.end() ? RejectReason::kMalformed
                                   : static_cast<RejectReason>(reason - kReasons.begin()),
          body["text"].AsString()};
}

std::string EncodeHello(const Hello& hello, const std::string& instance) {
  Value body;
  body.Set("role", Name(hello.role));
  body.Set("worker", hello.worker);
  body.Set("instance", instance);
  body.Set("program", hello.program);
  body.Set("stages", Value::List(hello.stages.begin(), hello.stages.end()));
  body.Set("slots", hello.slots);
  body.Set("host", hello.host);
  body.Set("version", hello.version);
  body.Set("items", ToValue(hello.in_flight));
  if (!hello.resources.empty())
    body.Set("resources", Value::Map(hello.resources.begin(), hello.resources.end()));
  if (!hello.labels.empty())
    body.Set("labels", Value::Map(hello.labels.begin(), hello.labels.end()));
  if (hello.expires_in_ms > 0) body.Set("expires_in_ms", hello.expires_in_ms);
  return EncodeCanonical(body);
}

Result<Hello> HelloFrom(const Value& body, std::string* instance) {
  Hello hello;
  if (Status s = ReadNames(body, &hello); !s.ok()) return s.error();
  if (!IsName(body["instance"])) return Malformed("HELLO's instance is not a text");
  *instance = body["instance"].AsString();
  if (hello.worker.empty() || instance->empty())
    return Malformed("HELLO without worker or instance");
  if (body.Has("role")) {  // a peer of version 1.0 is a worker
    const std::string& role = body["role"].AsString();
    if (role == Name(Role::kClient))
      hello.role = Role::kClient;
    else if (role == Name(Role::kAdmin))
      hello.role = Role::kAdmin;
    else if (role != Name(Role::kWorker))
      return Malformed("HELLO with a role that is not worker, client or admin");
  }
  for (const char* key : {"slots", "expires_in_ms"}) {
    if (body.Has(key) && !body[key].IsInt())
      return Malformed(std::string("HELLO's ") + key + " is not a whole number");
  }
  const int64_t slots = body["slots"].AsInt(1);
  if (slots < 1 || slots > 65536)
    return Malformed("HELLO with " + std::to_string(slots) + " slots; from 1 to 65536 are allowed");
  hello.slots = static_cast<uint32_t>(slots);
  const int64_t expires = body["expires_in_ms"].AsInt();
  if (expires < 0) return Malformed("HELLO with a negative expires_in_ms");
  hello.expires_in_ms = static_cast<uint64_t>(expires);
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
  const int64_t heartbeat = body["heartbeat_ms"].AsInt(1000);
  const int64_t liveness = body["liveness"].AsInt(4);
  if (heartbeat < 1 || heartbeat > 3600000 || liveness < 1 || liveness > 1000)
    return Malformed("WELCOME without a heartbeat that can be kept");
  w.heartbeat = std::chrono::milliseconds(heartbeat);
  w.liveness = static_cast<int>(liveness);
  Result<std::vector<InFlight>> ids = AttemptsFrom(body["items"]);
  if (!ids) return ids.error();
  w.welcome.keep = std::move(*ids);
  return w;
}

std::string EncodeBlobGet(const std::string& sha256) {
  Value body;
  body.Set("sha256", sha256);
  return EncodeCanonical(body);
}

Result<BlobWanted> BlobGetFrom(const Value& body) {
  if (!IsSha256(body["sha256"].AsString())) return Malformed("BLOB_GET names no SHA-256");
  return BlobWanted{body["sha256"].AsString()};
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

Result<HistoryWanted> HistoryGetFrom(const Value& body) {
  const int64_t from = body["from"].AsInt(-1), to = body["to"].AsInt(-1);
  if (!body["run"].IsString() || !IsName(body["run"]) || from < 0 || to < 0)
    return Malformed("HISTORY_GET without a run and the numbers of two events");
  return HistoryWanted{body["run"].AsString(), static_cast<uint64_t>(from),
                       static_cast<uint64_t>(to)};
}

std::string EncodeHistory(const std::string& run, uint64_t from) {
  Value body;
  body.Set("run", run);
  body.Set("from", from);
  return EncodeCanonical(body);
}

std::string EncodeCredit(uint64_t limit) {
  Value body;
  body.Set("limit", limit);
  return EncodeCanonical(body);
}

Result<uint64_t> CreditFrom(const Value& body) {
  if (!body["limit"].IsInt() || body["limit"].AsInt() < 0)
    return Malformed("CREDIT without a limit");
  return static_cast<uint64_t>(body["limit"].AsInt());
}

std::string EncodeBye(const std::string& reason) {
  if (reason.empty()) return kEmptyBody;
  Value body;
  body.Set("reason", reason);
  return EncodeCanonical(body);
}

std::string EncodeCall(uint64_t id, const std::string& method, const Value& arguments,
                       const std::vector<BlobRef>& blobs) {
  Value body;
  body.Set("id", id);
  body.Set("method", method);
  body.Set("arguments", arguments);
  if (!blobs.empty()) {
    Value::List list;
    for (const BlobRef& ref : blobs) {
      Value& pair = list.emplace_back();
      pair.Append(ref.sha256);
      pair.Append(ref.size);
    }
    body.Set("blobs", std::move(list));
  }
  return EncodeCanonical(body);
}

Result<CallBody> CallFrom(const Value& body) {
  CallBody out;
  if (!body["id"].IsInt() || body["id"].AsInt() < 1) return Malformed("CALL without an id");
  if (!body["method"].IsString() || body["method"].AsString().empty() || !IsName(body["method"]))
    return Malformed("CALL without a method");
  out.call.id = static_cast<uint64_t>(body["id"].AsInt());
  out.call.method = body["method"].AsString();
  out.call.arguments = body["arguments"];
  Result<std::vector<BlobRef>> blobs = BlobsFrom(body["blobs"]);
  if (!blobs) return blobs.error();
  out.blobs = std::move(*blobs);
  return out;
}

std::string EncodeReply(const ClientReply& reply) {
  Value body;
  body.Set("id", reply.id);
  const size_t code = reply.status.ok() ? 0 : 1 + static_cast<size_t>(reply.status.error().code);
  body.Set("code", kCodes[code]);
  if (!reply.status.ok()) body.Set("text", reply.status.error().message);
  if (!reply.value.IsNull()) body.Set("value", reply.value);
  return EncodeCanonical(body);
}

Result<ClientReply> ReplyFrom(const Value& body) {
  ClientReply reply;
  if (!body["id"].IsInt() || body["id"].AsInt() < 1) return Malformed("REPLY without an id");
  reply.id = static_cast<uint64_t>(body["id"].AsInt());
  const auto code = std::find(kCodes.begin(), kCodes.end(), body["code"].AsString());
  if (code == kCodes.end()) return Malformed("REPLY with an unknown code");
  if (code != kCodes.begin()) {
    reply.status = Error{static_cast<Code>(code - kCodes.begin() - 1), body["text"].AsString()};
  }
  reply.value = body["value"];
  return reply;
}

}  // namespace kev
