// Reading a model's answer: the chat reply's JSON, and the source in its fenced code block.
//
// Threads: functions on values. Errors: a reply that is not the JSON it should be; an answer
// without a usable block is data (nullopt), since the model gave it.
#ifndef KEV_STAGES_PROPOSE_ANSWER_H_
#define KEV_STAGES_PROPOSE_ANSWER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "engine/core/result.h"

namespace kev {

struct ChatMessage {
  std::string role;
  std::string content;
};

struct ChatAnswer {
  std::string text;
  bool cut_off = false;  // by the limit on tokens
  int64_t tokens_in = 0;
  int64_t tokens_out = 0;
};
Result<ChatAnswer> ParseReply(const std::string& body);

// The request's body. `max_tokens` 0: not sent.
std::string ChatRequestBody(const std::string& model, const ChatMessage* messages, size_t count,
                            double temperature, int64_t max_tokens);

struct CodeBlock {
  std::string text;
  std::string language;  // as tagged, lower case; "" = none
};
// The longest closed fenced block tagged c, cpp, c++, cc, h or not at all.
std::optional<CodeBlock> FindCodeBlock(const std::string& answer);
// First line of prose outside fenced blocks, cut to 160 bytes: the model's own word on what it did.
std::string FirstProse(const std::string& answer);

}  // namespace kev

#endif  // KEV_STAGES_PROPOSE_ANSWER_H_
