// Native client of beanstalkd: fills a tube, lets two or more worker processes drain it, then times
// single jobs.
//
// usage: beanstalkd_client --port P --jobs N --workers W --connections C --depth D --store 0|1
// Each worker has C connections with D reserves under way on each. A job is finished when
// beanstalkd has answered its delete; with --store 1 its result has been put into another tube
// before, in the same pipeline. The protocol is doc/protocol.txt of beanstalkd: commands of a
// connection are answered in their order.

#include <algorithm>
#include <memory>

#include "tests/performance/peers/client_session.h"

namespace peers {
namespace {

const std::string kPayload(kPayloadBytes, 'x');
const std::string kPut =
    "put 0 0 600 " + std::to_string(kPayloadBytes) + "\r\n" + kPayload + "\r\n";

/// One answer of the server: its words, and the body where it has one.
struct Answer {
  std::string line;
  std::string_view body;
};

/// Takes the first whole answer; false when more bytes are needed. The body is valid until the next
/// call.
bool Next(Connection& c, Answer& answer) {
  const std::string_view in = c.in();
  const size_t end = in.find("\r\n");
  if (end == std::string_view::npos) return false;
  const std::string_view line = in.substr(0, end);
  size_t body_bytes = 0;
  const bool has_body = line.rfind("RESERVED ", 0) == 0 || line.rfind("OK ", 0) == 0;
  if (has_body) {
    body_bytes = std::strtoul(std::string(line.substr(line.rfind(' ') + 1)).c_str(), nullptr, 10);
    if (in.size() < end + 2 + body_bytes + 2) return false;
  }
  answer.line = line;
  answer.body = in.substr(end + 2, body_bytes);
  c.Consume(end + 2 + (has_body ? body_bytes + 2 : 0));
  return true;
}

Answer Ask(Connection& c, const std::string& command) {
  c.out() += command;
  c.Flush();
  Answer answer;
  while (!Next(c, answer)) c.Read();
  return answer;
}

void Expect(const Answer& answer, const char* word) {
  if (answer.line.rfind(word, 0) != 0)
    Fail(std::string("beanstalkd said '") + answer.line + "' where " + word + " was expected");
}

void Open(Connection& c, const std::string& reads, const std::string& writes) {
  Expect(Ask(c, "watch " + reads + "\r\n"), "WATCHING");
  Expect(Ask(c, "ignore default\r\n"), "WATCHING");
  Expect(Ask(c, "use " + writes + "\r\n"), "USING");
}

int64_t Ready(Connection& c, const char* tube) {
  const Answer answer = Ask(c, std::string("stats-tube ") + tube + "\r\n");
  if (answer.line == "NOT_FOUND") return 0;
  Expect(answer, "OK");
  const std::string body(answer.body);
  const size_t at = body.find("current-jobs-ready: ");
  if (at == std::string::npos) Fail("stats-tube has no current-jobs-ready");
  return std::atoll(body.c_str() + at + 20);
}

/// Puts `jobs` jobs, 256 under way at a time.
void Fill(Connection& c, int64_t jobs) {
  int64_t sent = 0, stored = 0;
  while (stored < jobs) {
    for (; sent < jobs && sent - stored < 256; ++sent) c.out() += kPut;
    c.Flush();
    c.Read();
    for (Answer answer; Next(c, answer); ++stored) Expect(answer, "INSERTED");
  }
}

struct WorkerSettings {
  int connections, depth;
  bool store;
  bool drain;          // work until the tube is empty, or else for ever
  std::string prefix;  // of the names of the tubes
};

/// A worker: reserves, stores the result, deletes. Returns the number of deletes that were
/// answered.
int64_t Work(int port, const WorkerSettings& settings, const std::function<void()>& wait) {
  const auto& [connections, depth, store, drain, prefix] = settings;
  std::vector<std::unique_ptr<Connection>> links;
  for (int i = 0; i < connections; ++i) {
    links.push_back(std::make_unique<Connection>(port));
    Open(*links.back(), prefix + "jobs", prefix + "results");
  }
  wait();
  const std::string reserve = drain ? "reserve-with-timeout 0\r\n" : "reserve\r\n";
  int64_t finished = 0, under_way = 0;
  std::vector<pollfd> waiting;
  for (const auto& link : links) {
    for (int i = 0; i < depth; ++i, ++under_way) link->out() += reserve;
    link->Flush();
    waiting.push_back({link->fd(), POLLIN, 0});
  }
  while (under_way > 0) {
    if (waiting.size() > 1 && poll(waiting.data(), waiting.size(), -1) < 0) continue;
    for (size_t i = 0; i < links.size(); ++i) {
      if (waiting.size() > 1 && waiting[i].revents == 0) continue;
      Connection& c = *links[i];
      c.Read();
      for (Answer answer; Next(c, answer);) {
        --under_way;
        if (answer.line.rfind("RESERVED ", 0) == 0) {
          const size_t id_end = answer.line.find(' ', 9);
          if (store) {
            (c.out() += kPut.substr(0, kPut.size() - kPayloadBytes - 2)) += answer.body;
            c.out() += "\r\n";
            ++under_way;
          }
          (c.out() += "delete ") += answer.line.substr(9, id_end - 9);
          (c.out() += "\r\n") += reserve;
          under_way += 2;
        } else if (answer.line == "DELETED") {
          ++finished;
        } else if (answer.line != "TIMED_OUT") {
          Expect(answer, "INSERTED");
        }
      }
      c.Flush();
    }
  }
  return finished;
}

int Run(int argc, char** argv) {
  const int port = Argument(argc, argv, "port"), workers = Argument(argc, argv, "workers");
  const int depth = Argument(argc, argv, "depth"),
            connections = Argument(argc, argv, "connections");
  const int64_t jobs = Argument(argc, argv, "jobs");
  const bool store = Argument(argc, argv, "store") != 0;
  Connection producer(port);
  Open(producer, "results", "jobs");
  Fill(producer, jobs);
  {
    WorkerGroup group(workers, [&](const std::function<void()>& wait) {
      return Work(port, {connections, depth, store, true, ""}, wait);
    });
    SayReady();
    NextCommand();
    const double begin = Now();
    group.Start();
    const auto total = group.Join();
    const int64_t kept = Ready(producer, "results");
    if (total.jobs != jobs || Ready(producer, "jobs") != 0 || kept != (store ? jobs : 0))
      Fail(std::to_string(jobs) + " jobs, but " + std::to_string(total.jobs) + " deleted and " +
           std::to_string(kept) + " results kept");
    SayDone(jobs, total.end_s - begin);
  }
  const std::string command = NextCommand();
  // The results of before still lie in their tube.
  Open(producer, "single-results", "single-jobs");
  Expect(Ask(producer, "ignore results\r\n"), "WATCHING");
  WorkerGroup group(1, [&](const std::function<void()>& wait) {
    return Work(port, {1, 1, true, false, "single-"}, wait);
  });
  group.Start();
  std::string id;
  AnswerLatency(
      command,
      [&] {
        Expect(Ask(producer, kPut + "reserve\r\n"), "INSERTED");
        Answer result;
        while (!Next(producer, result)) producer.Read();
        Expect(result, "RESERVED");
        id = result.line.substr(9, result.line.find(' ', 9) - 9);
      },
      [&] { Expect(Ask(producer, "delete " + id + "\r\n"), "DELETED"); });
  NextCommand();
  return 0;
}

}  // namespace
}  // namespace peers

int main(int argc, char** argv) { return peers::Run(argc, argv); }
