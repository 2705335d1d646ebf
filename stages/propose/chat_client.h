// One POST to a chat-completions endpoint.
//
// The key goes into the request's header and nowhere else: what comes back and every message is
// searched for it and cleaned. Redirects are not followed. Threads: any number at a time. Errors:
// kUnavailable (no connection, time-out), kInvalid (an address that can never work); an HTTP status
// is data.
#ifndef KEV_STAGES_PROPOSE_CHAT_CLIENT_H_
#define KEV_STAGES_PROPOSE_CHAT_CLIENT_H_

#include <atomic>
#include <chrono>
#include <string>

#include "engine/core/result.h"

namespace kev {

struct ChatCall {
  std::string url;
  std::string key;   // "" = none
  std::string body;  // JSON
  std::chrono::milliseconds timeout{300'000};
};

struct ChatReply {
  long status = 0;
  std::string body;
};

// Returns soon after `cancelled` is set, with kUnavailable.
Result<ChatReply> PostChat(const ChatCall& call, const std::atomic<bool>& cancelled);

}  // namespace kev

#endif  // KEV_STAGES_PROPOSE_CHAT_CLIENT_H_
