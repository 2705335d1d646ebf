// A redis-server that belongs to somebody else, for runs that keep their state in one.
#ifndef KEV_TESTS_TOOLS_SUPPORT_FOREIGN_REDIS_H_
#define KEV_TESTS_TOOLS_SUPPORT_FOREIGN_REDIS_H_

#include <doctest/doctest.h>
#include <signal.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/tools/support/service.h"

namespace kev::test {

class ForeignRedis {
 public:
  ForeignRedis(const Sandbox& sandbox, const std::string& appendfsync)
      : sandbox_(sandbox), appendfsync_(appendfsync) {
    std::filesystem::create_directories(Folder());
    Start();
  }
  std::string Url() const { return "unix:" + sandbox_.Path("foreign.sock"); }
  std::string Folder() const { return sandbox_.Path("foreign"); }
  void Kill() {
    server_->Signal(SIGKILL);
    server_->Wait(kServiceLimit);
  }
  void Start() {
    server_ = std::make_unique<RunningCommand>(
        std::vector<std::string>{"redis-server", "--port", "0", "--unixsocket",
                                 sandbox_.Path("foreign.sock"), "--dir", Folder(), "--appendonly",
                                 "yes", "--appendfsync", appendfsync_, "--save", ""},
        std::map<std::string, std::string>{}, sandbox_.home());
    REQUIRE(server_->WaitForOutput("eady to accept connections", kServiceLimit));
  }
  std::string Cli(std::vector<std::string> words) const {
    words.insert(words.begin(), {"redis-cli", "-s", sandbox_.Path("foreign.sock")});
    return RunningCommand(words, {}, sandbox_.home()).Wait(kServiceLimit).out;
  }

 private:
  const Sandbox& sandbox_;
  std::string appendfsync_;
  std::unique_ptr<RunningCommand> server_;
};

}  // namespace kev::test

#endif  // KEV_TESTS_TOOLS_SUPPORT_FOREIGN_REDIS_H_
