#include "stages/propose/answer.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

namespace kev {
namespace {

using Json = nlohmann::json;

struct Fence {
  char mark = 0;  // '`' or '~'; 0: the line is no fence
  size_t length = 0;
  std::string tag;
};

Fence FenceOf(const std::string& line) {
  size_t at = line.find_first_not_of(' ');
  if (at == std::string::npos || at > 3 || (line[at] != '`' && line[at] != '~')) return {};
  size_t end = std::min(line.find_first_not_of(line[at], at), line.size());
  if (end - at < 3) return {};
  Fence fence{line[at], end - at, ""};
  size_t word = line.find_first_not_of(" \t", end);
  if (word != std::string::npos)
    fence.tag = line.substr(word, line.find_first_of(" \t\r{", word) - word);
  std::transform(fence.tag.begin(), fence.tag.end(), fence.tag.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return fence;
}

// Calls prose(line) for lines outside blocks and block(tag, text) for closed blocks.
template <typename Prose, typename Block>
void Walk(const std::string& answer, Prose prose, Block block) {
  std::istringstream lines(answer);
  Fence open;
  std::string text;
  for (std::string line; std::getline(lines, line);) {
    Fence fence = FenceOf(line);
    if (open.mark == 0 && fence.mark != 0) {
      open = fence;
      text.clear();
    } else if (open.mark == 0) {
      prose(line);
    } else if (fence.mark == open.mark && fence.length >= open.length && fence.tag.empty()) {
      block(open.tag, text);
      open = {};
    } else {
      text += line + "\n";
    }
  }
}

int64_t Number(const Json& map, const char* key) {
  auto found = map.find(key);
  return found != map.end() && found->is_number() ? found->get<int64_t>() : 0;
}

}  // namespace

Result<ChatAnswer> ParseReply(const std::string& body) {
  auto bad = [](const std::string& what) {
    return Error{Code::kCorrupt, "the reply is not a chat completion: " + what};
  };
  try {
    Json reply = Json::parse(body, nullptr, false);
    if (reply.is_discarded() || !reply.is_object()) return bad("it is not a JSON object");
    auto choices = reply.find("choices");
    if (choices == reply.end() || !choices->is_array() || choices->empty())
      return bad("it has no choices");
    const Json& choice = choices->front();
    if (!choice.is_object() || !choice.contains("message") || !choice["message"].is_object())
      return bad("its first choice has no message");
    ChatAnswer answer;
    const Json& message = choice["message"];
    if (message.contains("content") && message["content"].is_string())
      answer.text = message["content"].get<std::string>();
    answer.cut_off = choice.contains("finish_reason") && choice["finish_reason"] == "length";
    if (reply.contains("usage") && reply["usage"].is_object()) {
      answer.tokens_in = Number(reply["usage"], "prompt_tokens");
      answer.tokens_out = Number(reply["usage"], "completion_tokens");
    }
    return answer;
  } catch (const Json::exception& e) {
    return bad(e.what());
  }
}

std::string ChatRequestBody(const std::string& model, const ChatMessage* messages, size_t count,
                            double temperature, int64_t max_tokens) {
  Json list = Json::array();
  for (size_t i = 0; i < count; ++i)
    list.push_back({{"role", messages[i].role}, {"content", messages[i].content}});
  Json body = {{"model", model}, {"messages", list}, {"temperature", temperature}};
  if (max_tokens > 0) body["max_tokens"] = max_tokens;
  // Compiler output may hold bytes that are not UTF-8.
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<CodeBlock> FindCodeBlock(const std::string& answer) {
  static const std::set<std::string> kTags = {"", "c", "cpp", "c++", "cc", "cxx", "h"};
  std::optional<CodeBlock> longest;
  Walk(
      answer, [](const std::string&) {},
      [&](const std::string& tag, const std::string& text) {
        bool blank = text.find_first_not_of(" \t\r\n") == std::string::npos;
        if (blank || !kTags.contains(tag)) return;
        if (!longest || text.size() > longest->text.size()) longest = CodeBlock{text, tag};
      });
  return longest;
}

std::string FirstProse(const std::string& answer) {
  std::string first;
  Walk(
      answer,
      [&](const std::string& line) {
        size_t from = line.find_first_not_of(" \t#*\r");
        if (first.empty() && from != std::string::npos) first = line.substr(from, 160);
      },
      [](const std::string&, const std::string&) {});
  while (!first.empty() && (static_cast<unsigned char>(first.back()) & 0xC0) == 0x80 &&
         first.size() >= 158)
    first.pop_back();  // no half characters at the cut
  return first;
}

}  // namespace kev
