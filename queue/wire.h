// The bytes of the protocol (queue/PROTOCOL.md) apart from any socket: the 16-byte header, message
// types, bodies.
//
// Bodies are canonical msgpack maps with short keys; batches are lists of attempts under "items".
// Readers ignore map keys and list elements that they do not know. Threads: functions on values.
// Errors: kCorrupt for what cannot be read.
#ifndef KEV_QUEUE_WIRE_H_
#define KEV_QUEUE_WIRE_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/job.h"
#include "engine/core/result.h"
#include "engine/core/value.h"
#include "engine/host/transport.h"

namespace kev {

inline constexpr uint8_t kWireMajor = 1;
inline constexpr uint8_t kWireMinor = 0;
inline constexpr size_t kWireHeaderBytes = 16;
inline constexpr int64_t kWireMaxFrame = int64_t{256} << 20;
// A batch is sent when it has this many items or payload bytes, whatever comes first.
inline constexpr size_t kWireBatchItems = 256;
inline constexpr size_t kWireBatchBytes = size_t{4} << 20;

enum class MessageType : uint8_t {
  kHello = 1,   // W->E  who I am, what I hold
  kWelcome,     // E->W  session begins; what of it is still current
  kReject,      // E->W  no session: say HELLO (resync), or go away (version, malformed)
  kJobs,        // E->W  batch; one payload frame per item
  kTaken,       // W->E  batch: begun
  kResult,      // W->E  batch; per item a result frame, then its blobs
  kAck,         // E->W  batch: committed, or stale
  kCancel,      // E->W  batch
  kPing,        // W->E
  kPong,        // E->W
  kBlobGet,     // W->E
  kBlob,        // E->W  one payload frame when found
  kHistoryGet,  // W->E
  kHistory,     // E->W  one payload frame per event group
  kDrain,       // E->W  finish what is under way, then BYE
  kBye,         // W->E
  kByeAck,      // E->W
};
inline constexpr uint8_t kLastMessageType = static_cast<uint8_t>(MessageType::kByeAck);

struct WireHeader {
  MessageType type = MessageType::kPing;
  uint8_t flags = 0;
  uint16_t count = 0;  // items in the body
  uint64_t seq = 0;    // counts the messages of one session and direction from 1; a gap is an error
};
std::string EncodeHeader(const WireHeader& header);
// kConflict: another major version. kCorrupt: not this protocol.
Result<WireHeader> DecodeHeader(std::string_view frame);

enum class RejectReason { kResync, kVersion, kMalformed };
std::string EncodeReject(RejectReason reason, const std::string& text);
struct Rejected {
  RejectReason reason = RejectReason::kMalformed;
  std::string text;
};
Rejected RejectFrom(const Value& body);

// HELLO carries, beside Hello's own fields, a random name of this process that survives
// reconnecting.
std::string EncodeHello(const Hello& hello, const std::string& instance);
Result<Hello> HelloFrom(const Value& body, std::string* instance);

struct WelcomeBody {
  Welcome welcome;
  std::chrono::milliseconds heartbeat{1000};
  int liveness = 4;
};
std::string EncodeWelcome(const WelcomeBody& welcome);
Result<WelcomeBody> WelcomeFrom(const Value& body);

// Writes {"items": […]} without building Values: one item per attempt, with what the message type
// adds to it.
class BatchBody {
 public:
  void Add(const std::string& run, const JobKey& key, uint32_t attempt);
  void AddStale(const std::string& run, const JobKey& key, uint32_t attempt, bool stale);
  void AddBlobs(const std::string& run, const JobKey& key, uint32_t attempt,
                const std::vector<std::pair<BlobRef, std::string>>& blobs);
  size_t size() const { return count_; }
  std::string Finish() const;
  void Clear();

 private:
  void Begin(size_t elements, const std::string& run, const JobKey& key, uint32_t attempt);
  std::string items_;
  size_t count_ = 0;
};

struct BatchItem {
  InFlight id;
  bool stale = false;          // ACK
  std::vector<BlobRef> blobs;  // RESULT
};
Result<std::vector<BatchItem>> BatchFrom(const Value& body);

std::string EncodeBlobGet(const std::string& sha256);
std::string EncodeBlob(const std::string& sha256, bool found);
std::string EncodeHistoryGet(const HistoryWanted& wanted);
std::string EncodeHistory(const std::string& run, uint64_t from);

// Whether `text` is 64 lower-case hexadecimal digits.
bool IsSha256(std::string_view text);

}  // namespace kev

#endif  // KEV_QUEUE_WIRE_H_
