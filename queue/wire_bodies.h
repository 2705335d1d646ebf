// The bodies of single messages (queue/PROTOCOL.md), as functions on values: greeting, refusal,
// questions, calls, credit and parting.
//
// Readers ignore keys that they do not know and check the range of every number before it is used.
// Threads: functions on values. Errors: kCorrupt, saying which field.
#ifndef KEV_QUEUE_WIRE_BODIES_H_
#define KEV_QUEUE_WIRE_BODIES_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/result.h"
#include "engine/core/value.h"
#include "engine/host/transport.h"

namespace kev {

inline constexpr const char* kEmptyBody = "\x80";  // a map without keys

enum class RejectReason {
  kResync,     // say HELLO
  kVersion,    // another major version
  kMalformed,  // what was sent cannot be read, or breaks the rules
  kRefused,    // this peer may not do that; trying again does not help
};
std::string EncodeReject(RejectReason reason, const std::string& text);
struct Rejected {
  RejectReason reason = RejectReason::kMalformed;
  std::string text;
};
Rejected RejectFrom(const Value& body);

// HELLO carries, beside Hello's own fields, a random name of this process that survives
// reconnecting. `peer` is not part of it: the engine's transport knows better.
std::string EncodeHello(const Hello& hello, const std::string& instance);
Result<Hello> HelloFrom(const Value& body, std::string* instance);

struct WelcomeBody {
  Welcome welcome;
  std::chrono::milliseconds heartbeat{1000};
  int liveness = 4;
};
std::string EncodeWelcome(const WelcomeBody& welcome);
Result<WelcomeBody> WelcomeFrom(const Value& body);

std::string EncodeBlobGet(const std::string& sha256);
Result<BlobWanted> BlobGetFrom(const Value& body);
std::string EncodeBlob(const std::string& sha256, bool found);
std::string EncodeHistoryGet(const HistoryWanted& wanted);
Result<HistoryWanted> HistoryGetFrom(const Value& body);
std::string EncodeHistory(const std::string& run, uint64_t from);

std::string EncodeCredit(uint64_t limit);
Result<uint64_t> CreditFrom(const Value& body);
std::string EncodeBye(const std::string& reason);  // BYE; the reason is for people

// The bytes of the blobs are payload frames, in this order.
std::string EncodeCall(uint64_t id, const std::string& method, const Value& arguments,
                       const std::vector<BlobRef>& blobs);
struct CallBody {
  ClientCall call;  // without its blobs
  std::vector<BlobRef> blobs;
};
Result<CallBody> CallFrom(const Value& body);
std::string EncodeReply(const ClientReply& reply);
Result<ClientReply> ReplyFrom(const Value& body);

}  // namespace kev

#endif  // KEV_QUEUE_WIRE_BODIES_H_
