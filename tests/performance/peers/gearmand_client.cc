// Native client of gearmand: submits foreground jobs, lets worker processes drain them, then times
// single jobs.
//
// usage: gearmand_client --port P --jobs N --workers W --depth D
// Each worker has D GRAB_JOBs under way. A job is finished when the submitting client holds its
// WORK_COMPLETE with the result: gearmand keeps no results. Packets are those of the binary
// protocol (PROTOCOL of gearmand).

#include "tests/performance/peers/client_session.h"

namespace peers {
namespace {

enum Packet : uint32_t {
  kCanDo = 1,
  kPreSleep = 4,
  kNoop = 6,
  kSubmitJob = 7,
  kJobCreated = 8,
  kGrabJob = 9,
  kNoJob = 10,
  kJobAssign = 11,
  kWorkComplete = 13,
  kError = 19,
};

const std::string kPayload(kPayloadBytes, 'x');
const std::string kFunction("noop\0", 5);

void Send(Connection& c, Packet type, std::string_view body) {
  const uint32_t words[2] = {htonl(type), htonl(static_cast<uint32_t>(body.size()))};
  c.out().append("\0REQ", 4);
  c.out().append(reinterpret_cast<const char*>(words), sizeof words);
  c.out() += body;
}

/// Takes the first whole packet; false when more bytes are needed. The body is valid until the next
/// call.
bool Next(Connection& c, Packet& type, std::string_view& body) {
  const std::string_view in = c.in();
  if (in.size() < 12) return false;
  uint32_t words[2];
  memcpy(words, in.data() + 4, sizeof words);
  const uint32_t size = ntohl(words[1]);
  if (in.size() < 12 + size) return false;
  type = static_cast<Packet>(ntohl(words[0]));
  body = in.substr(12, size);
  c.Consume(12 + size);
  if (type == kError) Fail("gearmand refused: " + std::string(body));
  return true;
}

/// The client sees JOB_CREATED and WORK_COMPLETE only; true for the second.
bool Completed(Packet type, std::string_view body) {
  if (type == kJobCreated) return false;
  if (type != kWorkComplete)
    Fail("gearmand sent packet " + std::to_string(type) + " to the client");
  if (body.size() < kPayloadBytes) Fail("a result came back short");
  return true;
}

/// Without a unique id, gearmand makes one; it must not merge equal jobs.
void Submit(Connection& c) { Send(c, kSubmitJob, kFunction + std::string("\0", 1) + kPayload); }

void Fill(Connection& c, int64_t jobs) {
  int64_t sent = 0, created = 0;
  while (created < jobs) {
    for (; sent < jobs && sent - created < 256; ++sent) Submit(c);
    c.Flush();
    c.Read();
    Packet type;
    for (std::string_view body; Next(c, type, body); ++created)
      if (Completed(type, body)) Fail("a job was finished before a worker was there");
  }
}

/// A worker: until there are no more jobs (`drain`), or for ever, asleep where there is none.
int64_t Work(int port, int depth, bool drain, const std::function<void()>& wait) {
  Connection c(port);
  Send(c, kCanDo, "noop");
  c.Flush();
  wait();
  int64_t finished = 0;
  int grabs = depth;
  for (int i = 0; i < depth; ++i) Send(c, kGrabJob, "");
  while (grabs > 0) {
    c.Flush();
    c.Read();
    Packet type;
    for (std::string_view body; Next(c, type, body);) {
      if (type == kJobAssign) {
        const size_t handle_end = body.find('\0');
        const size_t data = body.find('\0', handle_end + 1) + 1;
        std::string result(body.substr(0, handle_end + 1));
        result += body.substr(data);
        Send(c, kWorkComplete, result);
        Send(c, kGrabJob, "");
        ++finished;
      } else if (type == kNoJob) {
        if (drain)
          --grabs;
        else
          Send(c, kPreSleep, "");
      } else if (type == kNoop) {
        if (!drain) Send(c, kGrabJob, "");
      } else {
        Fail("gearmand sent packet " + std::to_string(type) + " to a worker");
      }
    }
  }
  return finished;
}

int Run(int argc, char** argv) {
  const int port = Argument(argc, argv, "port"), workers = Argument(argc, argv, "workers");
  const int depth = Argument(argc, argv, "depth");
  const int64_t jobs = Argument(argc, argv, "jobs");
  Connection client(port);
  Fill(client, jobs);
  const auto wait_for_one = [&] {
    Packet type;
    for (std::string_view body;;) {
      while (!Next(client, type, body)) client.Read();
      if (Completed(type, body)) return;
    }
  };
  {
    WorkerGroup group(
        workers, [&](const std::function<void()>& wait) { return Work(port, depth, true, wait); });
    SayReady();
    NextCommand();
    const double begin = Now();
    group.Start();
    for (int64_t i = 0; i < jobs; ++i) wait_for_one();
    const double end = Now();
    const auto total = group.Join();
    if (total.jobs != jobs)
      Fail(std::to_string(jobs) + " results, but the workers did " + std::to_string(total.jobs));
    SayDone(jobs, end - begin);
  }
  const std::string command = NextCommand();
  WorkerGroup group(1,
                    [&](const std::function<void()>& wait) { return Work(port, 1, false, wait); });
  group.Start();
  AnswerLatency(
      command,
      [&] {
        Submit(client);
        client.Flush();
        wait_for_one();
      },
      [] {});
  NextCommand();
  return 0;
}

}  // namespace
}  // namespace peers

int main(int argc, char** argv) { return peers::Run(argc, argv); }
