// The bytes of the protocol (queue/PROTOCOL.md) apart from any socket: the 16-byte header, message
// types, batches. The other bodies are in queue/wire_bodies.h.
//
// Bodies are canonical msgpack maps with short keys; batches are lists of attempts under "items".
// Readers ignore map keys and list elements that they do not know. Threads: functions on values.
// Errors: kCorrupt for what cannot be read.
#ifndef KEV_QUEUE_WIRE_H_
#define KEV_QUEUE_WIRE_H_

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
inline constexpr uint8_t kWireMinor = 1;
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
  kBye,         // W->E, C->E
  kByeAck,      // E->W, E->C
  // Since 1.1.
  kCredit,    // W->E  how many attempts it takes in this session, in all
  kProgress,  // W->E  batch: still at it
  kRetract,   // E->W  batch: hand back what has not begun
  kReturned,  // W->E  batch: not begun, handed back
  kCall,      // C->E  a question or an order; blobs as payload frames
  kReply,     // E->C
};
inline constexpr uint8_t kLastMessageType = static_cast<uint8_t>(MessageType::kReply);
// A worker may be sent this many attempts beyond its slots.
inline constexpr uint32_t kMostPrefetch = 256;

const char* Name(MessageType type);  // "HELLO", …

struct WireHeader {
  MessageType type = MessageType::kPing;
  uint8_t flags = 0;
  uint16_t count = 0;  // items in the body
  uint64_t seq = 0;    // counts the messages of one session and direction from 1; a gap is an error
  uint8_t minor = kWireMinor;  // of the peer; EncodeHeader writes this end's
};
std::string EncodeHeader(const WireHeader& header);
// kConflict: another major version. kCorrupt: not this protocol.
Result<WireHeader> DecodeHeader(std::string_view frame);

// An attempt as the list [run, kind, number, step, index, attempt]; in HELLO and WELCOME with the
// job's digest behind it where that is known.
Value ToValue(const InFlight& id);
Value ToValue(const std::vector<InFlight>& ids);
Result<InFlight> AttemptFrom(const Value& value);
Result<std::vector<InFlight>> AttemptsFrom(const Value& value);
// "c12/3.0#1 of run R": for messages.
std::string Name(const InFlight& id);

// Writes {"items": […]} without building Values: one item per attempt, with what the message type
// adds to it.
class BatchBody {
 public:
  void Add(const std::string& run, const JobKey& key, uint32_t attempt);
  // JOBS: the job's digest. ACK: 0 committed, 1 stale. CANCEL: the grace in ms.
  void AddNumber(const std::string& run, const JobKey& key, uint32_t attempt, uint64_t number);
  void AddProgress(const Progress& progress);
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
  uint64_t number = 0;         // JOBS, ACK, CANCEL
  std::vector<BlobRef> blobs;  // RESULT
  double fraction = -1;        // PROGRESS; < 0: not known
  std::string note;            // PROGRESS
};
bool IsBatch(MessageType type);
Result<std::vector<BatchItem>> BatchFrom(const Value& body);

// Whether `text` is 64 lower-case hexadecimal digits.
bool IsSha256(std::string_view text);

}  // namespace kev

#endif  // KEV_QUEUE_WIRE_H_
