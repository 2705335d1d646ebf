#include "stages/propose/answer_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace kev {
namespace {

std::string PathOf(const std::string& folder, const std::string& key) {
  return folder + "/" + key + ".json";
}

}  // namespace

std::optional<KeptAnswer> AnswerStore::Load(const std::string& key) const {
  std::ifstream file(PathOf(folder_, key), std::ios::binary);
  if (!file) return std::nullopt;
  std::ostringstream text;
  text << file.rdbuf();
  try {
    nlohmann::json json = nlohmann::json::parse(text.str());
    return KeptAnswer{json.at("prompt"), json.at("parents"), json.at("reply")};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;  // damaged: as good as absent
  }
}

Status AnswerStore::Store(const std::string& key, const KeptAnswer& answer) const {
  nlohmann::json json = {
      {"prompt", answer.prompt}, {"parents", answer.parents}, {"reply", answer.reply}};
  const std::string bytes = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  static std::atomic<uint64_t> counter{0};
  std::error_code ignored;
  std::filesystem::create_directories(folder_, ignored);
  std::string fresh = PathOf(folder_, key) + "." + std::to_string(getpid()) + "-" +
                      std::to_string(counter.fetch_add(1));
  int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  bool good = fd >= 0;
  for (size_t at = 0; good && at < bytes.size();) {
    ssize_t n = write(fd, bytes.data() + at, bytes.size() - at);
    if (n < 0 && errno == EINTR) continue;
    good = n > 0;
    if (good) at += static_cast<size_t>(n);
  }
  good = good && fsync(fd) == 0;
  int error = errno;
  if (fd >= 0) close(fd);
  if (good && rename(fresh.c_str(), PathOf(folder_, key).c_str()) == 0) return {};
  if (good) error = errno;
  unlink(fresh.c_str());
  return Error{error == ENOSPC ? Code::kDiskFull : Code::kUnavailable,
               "cannot keep the model's answer in " + folder_ + ": " + std::strerror(error)};
}

}  // namespace kev
