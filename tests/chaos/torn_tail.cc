#include "tests/chaos/torn_tail.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

namespace kev::chaos {
namespace {

namespace fs = std::filesystem;

std::string Command(const std::vector<std::string>& words) {
  std::string text = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words)
    text += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return text;
}

// appendonly.aof.12.incr.aof -> 12
long NumberOf(const fs::path& path) {
  const std::string name = path.filename();
  const std::string begin = "appendonly.aof.", end = ".incr.aof";
  return name.starts_with(begin) && name.ends_with(end) ? std::atol(name.c_str() + begin.size())
                                                        : 0;
}

}  // namespace

Status TearTail(const std::string& redis_folder, const std::string& run, uint64_t pick) {
  fs::path newest;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(redis_folder + "/appendonlydir", ignored)) {
    if (NumberOf(entry.path()) > (newest.empty() ? 0 : NumberOf(newest))) newest = entry.path();
  }
  if (newest.empty())
    return Error{Code::kNotFound, "no incremental append-only file in " + redis_folder};
  // A script's writes stand between MULTI and EXEC.
  const std::string log = "kev:{" + run + "}:log";
  const std::string whole =
      Command({"MULTI"}) +
      Command({"XADD", log, "999999999-0", "body", std::string(200 + pick % 300, '\x91'), "digest",
               "ffffffffffffffffffffffffffffffff", "what", "never acknowledged"}) +
      Command({"HSET", "kev:{" + run + "}:run", "record", "{\"torn\":true}"}) + Command({"EXEC"});
  const size_t cut = 1 + pick / 300 % (whole.size() - 1);  // at least its last byte is missing
  std::ofstream out(newest, std::ios::binary | std::ios::app);
  out.write(whole.data(), static_cast<std::streamsize>(cut));
  out.close();
  if (!out) return Error{Code::kInternal, "cannot write " + newest.string()};
  return {};
}

}  // namespace kev::chaos
