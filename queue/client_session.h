// ClientSession: asks an engine and waits for the answer (ClientProtocol over ZeroMQ). For programs
// that come and go: kevolve pause, attach, …
//
// Threads: one. It has no thread of its own: between calls the session may lapse, and the next call
// begins a new one. Errors: kUnavailable when no answer came in time, kPermission when the engine
// refuses this client, else what the engine replied.
#ifndef KEV_QUEUE_CLIENT_SESSION_H_
#define KEV_QUEUE_CLIENT_SESSION_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/job.h"
#include "engine/core/result.h"
#include "engine/core/value.h"

namespace kev {

struct ClientSessionOptions {
  std::string endpoint;     // empty: those of the access file, in turn
  std::string access_file;  // keys for tcp (queue/access.h); empty: none
  bool admin = false;       // with the keys of an admin, else of a client
  // Asked a few times a second while an answer is waited for; false: nobody will give it any more.
  std::function<bool()> may_answer = nullptr;
};

class ClientSession {
 public:
  virtual ~ClientSession() = default;  // says BYE
  virtual Result<Value> Call(const std::string& method, Value arguments,
                             std::chrono::milliseconds timeout,
                             std::vector<std::pair<BlobRef, std::string>> blobs = {}) = 0;
  static Result<std::unique_ptr<ClientSession>> Open(const ClientSessionOptions& options);
};

}  // namespace kev

#endif  // KEV_QUEUE_CLIENT_SESSION_H_
