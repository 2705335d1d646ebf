#include "stages/propose/chat_client.h"

#include <curl/curl.h>

#include <memory>
#include <mutex>

namespace kev {
namespace {

constexpr size_t kMostReplyBytes = 16 << 20;

size_t Receive(char* data, size_t size, size_t count, void* to) {
  auto* body = static_cast<std::string*>(to);
  if (body->size() + size * count > kMostReplyBytes) return 0;  // ends the transfer
  body->append(data, size * count);
  return size * count;
}

int StopWhenCancelled(void* cancelled, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(cancelled)->load() ? 1 : 0;
}

std::string WithoutKey(std::string text, const std::string& key) {
  if (key.empty()) return text;
  for (size_t at = text.find(key); at != std::string::npos; at = text.find(key, at))
    text.replace(at, key.size(), "[key]");
  return text;
}

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

}  // namespace

Result<ChatReply> PostChat(const ChatCall& call, const std::atomic<bool>& cancelled) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  std::unique_ptr<CURL, FreeEasy> easy(curl_easy_init());
  if (!easy) return Error{Code::kInternal, "libcurl gave no handle"};

  std::unique_ptr<curl_slist, FreeList> headers;
  auto add = [&](const std::string& line) {
    headers.reset(curl_slist_append(headers.release(), line.c_str()));
  };
  add("Content-Type: application/json");
  add("Expect:");  // no round trip before a long prompt
  if (!call.key.empty()) add("Authorization: Bearer " + call.key);

  ChatReply reply;
  char words[CURL_ERROR_SIZE] = "";
  CURL* c = easy.get();
  curl_easy_setopt(c, CURLOPT_URL, call.url.c_str());
  curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
  curl_easy_setopt(c, CURLOPT_POSTFIELDS, call.body.data());
  curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, 10'000L);
  curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, static_cast<long>(call.timeout.count()));
  curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, Receive);
  curl_easy_setopt(c, CURLOPT_WRITEDATA, &reply.body);
  curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, StopWhenCancelled);
  curl_easy_setopt(c, CURLOPT_XFERINFODATA, &cancelled);
  curl_easy_setopt(c, CURLOPT_ERRORBUFFER, words);
  CURLcode code = curl_easy_perform(c);
  if (code != CURLE_OK) {
    bool never = code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL;
    std::string why = words[0] != '\0' ? words : curl_easy_strerror(code);
    return Error{never ? Code::kInvalid : Code::kUnavailable,
                 WithoutKey("asking " + call.url + ": " + why, call.key)};
  }
  curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &reply.status);
  reply.body = WithoutKey(std::move(reply.body), call.key);
  return reply;
}

}  // namespace kev
