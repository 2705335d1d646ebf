// An HTTP server on loopback that gives scripted replies, one connection after the other, and keeps
// what it was asked.
//
// Threads: one of its own; the queries may be called when no request is under way. Errors: ends the
// test program when no socket can be had.
#ifndef KEV_TESTS_STAGES_PROPOSE_SCRIPTED_SERVER_H_
#define KEV_TESTS_STAGES_PROPOSE_SCRIPTED_SERVER_H_

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace kev {

struct ScriptedReply {
  int status = 200;
  std::string body;
  std::function<void()>
      hang;  // set: called instead of a reply; the connection stays open until the client leaves
};

class ScriptedServer {
 public:
  // The last reply is repeated.
  explicit ScriptedServer(std::vector<ScriptedReply> replies);
  ~ScriptedServer();
  std::string url() const;                    // "http://127.0.0.1:PORT/v1"
  std::vector<std::string> requests() const;  // whole: header and body

 private:
  void Serve();
  void Talk(int connection);
  std::vector<ScriptedReply> replies_;
  int listener_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

}  // namespace kev

#endif  // KEV_TESTS_STAGES_PROPOSE_SCRIPTED_SERVER_H_
