// Who may come in: access files, and what they are good for over real sockets.
#include "queue/access.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <optional>
#include <thread>

#include "queue/client_session.h"
#include "queue/worker_session.h"
#include "queue/zmq_transport.h"
#include "tests/queue/scratch_folder.h"

using namespace kev;
using std::chrono::milliseconds;

namespace {

void Write(const std::string& path, const std::string& text, mode_t mode = 0600) {
  std::ofstream(path) << text;
  REQUIRE(chmod(path.c_str(), mode) == 0);
}

// An engine that welcomes everybody, answers calls with their method, and remembers what came.
class OpenHouse {
 public:
  explicit OpenHouse(const ZmqTransportOptions& options) {
    auto bound = ZmqTransport::Bind(options);
    REQUIRE_MESSAGE(bound.ok(), (bound ? "" : bound.error().message));
    transport_ = std::move(*bound);
    thread_ = std::thread([this] { Run(); });
  }
  ~OpenHouse() { Close(); }
  // Ends it; what came can be looked at after this only.
  void Close() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    transport_.reset();
  }
  std::string Endpoint(const std::string& scheme) const {
    for (const std::string& endpoint : transport_->Endpoints()) {
      if (endpoint.starts_with(scheme)) return endpoint;
    }
    return "";
  }
  std::vector<Hello> hellos;
  std::vector<std::string> refused;  // of strangers
  std::atomic<int> results{0};
  std::atomic<int> refusals{0};
  // Connections that are refused are told a moment after the peer knows.
  bool AwaitRefusal() {
    for (int i = 0; i < 1000 && refusals == 0; ++i) poll(nullptr, 0, 5);
    return refusals > 0;
  }

 private:
  void Run() {
    while (!stop_) {
      pollfd item{transport_->Descriptor(), POLLIN, 0};
      poll(&item, 1, 5);
      for (Inbound& m : transport_->Receive(100)) {
        if (auto* hello = std::get_if<Hello>(&m.message)) {
          transport_->Send(m.session, Welcome{1, {}});
          if (hello->role == Role::kWorker) {
            Job job;
            job.run = "R";
            job.key.subject.number = 1;
            job.stage = "compile";
            transport_->Send(m.session, Assign{"R", job.key, 1, EncodeCanonical(ToValue(job))});
          }
          hellos.push_back(std::move(*hello));
        } else if (auto* call = std::get_if<ClientCall>(&m.message)) {
          transport_->Send(m.session, ClientReply{call->id, {}, call->method});
        } else if (auto* result = std::get_if<ResultMessage>(&m.message)) {
          transport_->Send(m.session, Acknowledge{"R", result->key, 1, false});
          ++results;
        } else if (auto* lost = std::get_if<SessionLost>(&m.message); lost && m.session == 0) {
          refused.push_back(lost->reason);
          ++refusals;
        }
      }
      transport_->Flush();
    }
  }
  std::unique_ptr<ZmqTransport> transport_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

ZmqTransportOptions Keyed(const ScratchFolder& folder) {
  ZmqTransportOptions options;
  options.endpoints = {"tcp://127.0.0.1:*", "ipc://" + (folder / "q")};
  options.access_file = folder / "access";
  return options;
}

WorkerSessionOptions WorkerAt(const std::string& endpoint, const std::string& access) {
  WorkerSessionOptions options;
  options.endpoint = endpoint;
  options.access_file = access;
  options.program = "test";
  options.stages = {"compile"};
  options.engine_lost_grace = milliseconds(60000);  // what ends it is not silence
  return options;
}

// One job, done.
bool Works(const WorkerSessionOptions& options) {
  auto worker = WorkerSession::Open(options);
  REQUIRE_MESSAGE(worker.ok(), (worker ? "" : worker.error().message));
  std::optional<WorkItem> item = (*worker)->Next();
  if (!item) return false;
  (*worker)->Finish(*item, JobResult(), {});
  (*worker)->Drain();
  return (*worker)->WaitEnd().ok();
}

Error WhyNot(const WorkerSessionOptions& options) {
  auto worker = WorkerSession::Open(options);
  REQUIRE(worker.ok());
  CHECK_FALSE((*worker)->Next().has_value());
  REQUIRE_FALSE((*worker)->Ending().ok());
  return (*worker)->Ending().error();
}

Result<Value> Ask(const std::string& endpoint, const std::string& access, bool admin = false,
                  const std::string& method = "status") {
  auto client = ClientSession::Open({endpoint, access, admin});
  if (!client) return client.error();
  return (*client)->Call(method, Value(), milliseconds(20000));
}

constexpr char kHttp[] = "GET / HTTP/1.1\r\nHost: kevolve\r\n\r\n";

// A connection to the transport's first tcp endpoint that knows nothing of ZeroMQ.
class Plain {
 public:
  explicit Plain(const ZmqTransport& engine)
      : peer_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    std::string tcp;
    for (const std::string& endpoint : engine.Endpoints()) {
      if (endpoint.starts_with("tcp://")) tcp = endpoint;
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(std::stoi(tcp.substr(tcp.rfind(':') + 1))));
    REQUIRE(connect(peer_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  }
  ~Plain() { close(peer_); }
  Plain(const Plain&) = delete;
  Plain& operator=(const Plain&) = delete;
  void Say(const std::string& bytes) const {
    REQUIRE(write(peer_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  // Until the other end has closed.
  void AwaitEnd() const {
    char answer[64];
    while (read(peer_, answer, sizeof answer) > 0) {
    }
  }
  // Whether the other end has said something: it has taken the connection.
  bool Taken() const {
    pollfd item{peer_, POLLIN, 0};
    return poll(&item, 1, 0) > 0;
  }
  std::string Address() const {
    sockaddr_in own{};
    socklen_t size = sizeof own;
    REQUIRE(getsockname(peer_, reinterpret_cast<sockaddr*>(&own), &size) == 0);
    return "127.0.0.1:" + std::to_string(ntohs(own.sin_port));
  }

 private:
  int peer_;
};

// Why the transport refused somebody; "" when it does not in five seconds.
std::string RefusedBy(ZmqTransport& engine) {
  for (int i = 0; i < 1000; ++i) {
    for (const Inbound& m : engine.Receive(100)) {
      if (const auto* lost = std::get_if<SessionLost>(&m.message)) return lost->reason;
    }
    poll(nullptr, 0, 5);
  }
  return "";
}

}  // namespace

TEST_CASE("an access file says again what was written, and only its owner may read it") {
  ScratchFolder folder;
  Result<Access> made = MakeAccess();
  REQUIRE(made.ok());
  made->endpoints = {"tcp://10.0.0.1:5555", "ipc:///run/x"};
  REQUIRE(WriteAccessFile(folder / "access", *made).ok());
  struct stat about = {};
  REQUIRE(stat((folder / "access").c_str(), &about) == 0);
  CHECK((about.st_mode & 0777) == 0600);
  const Result<Access> read = ReadAccessFile(folder / "access");
  REQUIRE(read.ok());
  CHECK(FormatAccess(*read) == FormatAccess(*made));
  for (const mode_t mode : {0640, 0604, 0620}) {
    REQUIRE(chmod((folder / "access").c_str(), mode) == 0);
    const Result<Access> refused = ReadAccessFile(folder / "access");
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code == Code::kPermission);
    CHECK(refused.error().message.find("chmod 600 " + (folder / "access")) != std::string::npos);
  }
}

TEST_CASE("a copy for one role has neither the engine's secret nor the keys of others") {
  Result<Access> made = MakeAccess();
  REQUIRE(made.ok());
  made->endpoints = {"tcp://10.0.0.1:5555", "ipc:///run/x"};
  const Access copy = CopyFor(*made, Role::kWorker);
  CHECK(copy.engine.public_key == made->engine.public_key);
  CHECK(copy.engine.secret_key.empty());
  CHECK(copy.peers.size() == 1);
  CHECK(copy.peers.at(Role::kWorker).secret_key == made->peers.at(Role::kWorker).secret_key);
  CHECK(copy.endpoints == std::vector<std::string>{"tcp://10.0.0.1:5555"});
}

TEST_CASE("what is no access file is refused with file, line and reason") {
  const std::string key(40, '0');
  const struct {
    std::string text, says;
  } kCases[] = {
      {"", "empty"},
      {"# only a comment\n", "empty"},
      {"hello world\n", ":1: this is no access file"},
      {"kevolve-access 9\n", "form '9'"},
      {"kevolve-access 1\nendpoint tcp://h:1\n", "engine-public is missing"},
      {"kevolve-access 1\nengine-public short\n", ":2: the value of engine-public is not a key"},
      {"kevolve-access 1\nengine-public " + key + " more\n", ":2: write a name and one value"},
      {"kevolve-access 1\nengine-public\n", ":2: write a name and one value"},
      {"kevolve-access 1\n\nengine-public " + key + "\nengine-public " + key + "\n",
       ":4: engine-public stands here twice"},
      {"kevolve-access 1\nengine-public " + key + "\nworker-secret " + key + "\n",
       "worker-public is missing"},
  };
  for (const auto& c : kCases) {
    const Result<Access> access = ParseAccess(c.text, "F");
    REQUIRE_FALSE(access.ok());
    CHECK(access.error().message.starts_with("F:"));
    CHECK_MESSAGE(access.error().message.find(c.says) != std::string::npos, access.error().message);
  }
  CHECK(ParseAccess("kevolve-access 1\nengine-public " + key + "\nlater-thing x\n", "F").ok());
  ScratchFolder folder;
  CHECK(ReadAccessFile(folder / "gone").error().code == Code::kNotFound);
  CHECK(ReadAccessFile(folder.path()).error().code == Code::kInvalid);
  Write(folder / "long", std::string(100 << 10, '#'));
  CHECK(ReadAccessFile(folder / "long").error().message.find("too long") != std::string::npos);
}

TEST_CASE("with keys, workers and clients come in over tcp in their roles, and over ipc without") {
  ScratchFolder folder;
  OpenHouse engine(Keyed(folder));
  const Access copy = CopyFor(*ReadAccessFile(folder / "access"), Role::kWorker);
  REQUIRE(WriteAccessFile(folder / "copy", copy).ok());
  CHECK(Works(WorkerAt("", folder / "copy")));  // where to: from the file
  CHECK(Works(WorkerAt(engine.Endpoint("ipc://"), "")));
  const Result<Value> client = Ask(engine.Endpoint("tcp://"), folder / "access");
  REQUIRE_MESSAGE(client.ok(), (client ? "" : client.error().message));
  CHECK(client->AsString() == "status");
  const Result<Value> admin = Ask(engine.Endpoint("tcp://"), folder / "access", /*admin=*/true);
  REQUIRE_MESSAGE(admin.ok(), (admin ? "" : admin.error().message));
  engine.Close();
  REQUIRE(engine.hellos.size() == 4);
  CHECK(engine.hellos[0].role == Role::kWorker);
  CHECK(engine.hellos[0].peer.find("key of a worker") != std::string::npos);
  CHECK(engine.hellos[1].peer.find("ipc, pid ") != std::string::npos);
  CHECK(engine.hellos[2].role == Role::kClient);
  CHECK(engine.hellos[3].role == Role::kAdmin);
}

TEST_CASE("with keys, nobody else comes in over tcp, and each hears why") {
  ScratchFolder folder, other;
  OpenHouse engine(Keyed(folder));
  const std::string tcp = engine.Endpoint("tcp://");
  const Result<Access> own = ReadAccessFile(folder / "access");
  REQUIRE(own.ok());
  SUBCASE("without a key") {
    const Error why = WhyNot(WorkerAt(tcp, ""));
    CHECK(why.code == Code::kPermission);
    CHECK_MESSAGE(why.message.find("without a key") != std::string::npos, why.message);
    REQUIRE(engine.AwaitRefusal());
    engine.Close();
    CHECK_MESSAGE(engine.refused[0].find("without a key") != std::string::npos, engine.refused[0]);
  }
  SUBCASE("with a key that the engine does not know") {
    Result<Access> fresh = MakeAccess();
    fresh->engine = own->engine;
    REQUIRE(WriteAccessFile(other / "access", *fresh).ok());
    const Error why = WhyNot(WorkerAt(tcp, other / "access"));
    CHECK(why.code == Code::kPermission);
    CHECK_MESSAGE(why.message.find("does not know the key") != std::string::npos, why.message);
    REQUIRE(engine.AwaitRefusal());
    engine.Close();
    CHECK_MESSAGE(engine.refused[0].find("tcp 127.0.0.1") != std::string::npos, engine.refused[0]);
    CHECK_MESSAGE(engine.refused[0].find("key is not known") != std::string::npos,
                  engine.refused[0]);
  }
  SUBCASE("with the file of another engine") {
    Result<Access> fresh = MakeAccess();
    REQUIRE(WriteAccessFile(other / "access", *fresh).ok());
    const Error why = WhyNot(WorkerAt(tcp, other / "access"));
    CHECK(why.code == Code::kPermission);
    CHECK_MESSAGE(why.message.find("another key") != std::string::npos, why.message);
  }
  SUBCASE("with a key of another role") {
    Access crossed = CopyFor(*own, Role::kWorker);
    crossed.peers[Role::kClient] = crossed.peers[Role::kWorker];
    REQUIRE(WriteAccessFile(other / "access", crossed).ok());
    const Result<Value> client = Ask(tcp, other / "access");
    REQUIRE_FALSE(client.ok());
    CHECK(client.error().code == Code::kPermission);
    CHECK_MESSAGE(client.error().message.find("its key is that of a worker") != std::string::npos,
                  client.error().message);
    crossed = CopyFor(*own, Role::kClient);
    crossed.peers[Role::kWorker] = crossed.peers[Role::kClient];
    REQUIRE(WriteAccessFile(other / "access", crossed).ok());
    CHECK(WhyNot(WorkerAt(tcp, other / "access")).code == Code::kPermission);
    engine.Close();
    REQUIRE(engine.refused.size() == 2);
    CHECK(engine.refused[0].find("key of a worker") != std::string::npos);
    CHECK(engine.hellos.empty());
  }
  SUBCASE("with a file that has no keys for it") {
    REQUIRE(WriteAccessFile(other / "access", CopyFor(*own, Role::kWorker)).ok());
    CHECK(Ask(tcp, other / "access").error().message.find("no keys for a client") !=
          std::string::npos);
  }
  SUBCASE("with a file that others can read") {
    REQUIRE(chmod((folder / "access").c_str(), 0644) == 0);
    CHECK(Ask(tcp, folder / "access").error().message.find("chmod 600") != std::string::npos);
  }
}

TEST_CASE("a peer that has gone before it was looked at has an unknown address, not half of one") {
  ScratchFolder folder;
  auto engine = ZmqTransport::Bind(Keyed(folder));
  REQUIRE(engine.ok());
  const Plain peer(**engine);
  std::string greeting, why;
  SUBCASE("without a key") {
    greeting = "\xff" + std::string(8, '\0') + "\x7f\x03\x01NULL";  // ZMTP 3.1
    greeting.resize(64);
    why = "without a key";
  }
  SUBCASE("with another protocol") {
    greeting = kHttp;
    why = "without a word of the protocol";
  }
  peer.Say(greeting);
  peer.AwaitEnd();
  const std::string reason = RefusedBy(**engine);
  CHECK_MESSAGE(reason.find("(unknown address)") != std::string::npos, reason);
  CHECK_MESSAGE(reason.find(why) != std::string::npos, reason);
}

TEST_CASE("where no keys are asked for, who speaks something else is told of by address, too") {
  ZmqTransportOptions options;
  options.endpoints = {"tcp://127.0.0.1:*"};
  auto engine = ZmqTransport::Bind(options);
  REQUIRE(engine.ok());
  std::string address;
  {
    const Plain peer(**engine);
    address = peer.Address();
    SUBCASE("HTTP, and goes") {
      peer.Say(kHttp);
      while (!peer.Taken()) poll(nullptr, 0, 5);
      CHECK((*engine)->Receive(100).empty());  // looks at who has come
    }
    // Of whom a message is, libzmq does not say in this form.
    SUBCASE("the first form of ZeroMQ's protocol") {
      peer.Say(std::string("\x01\x00\x06\x00hello", 9));
      CHECK(RefusedBy(**engine).find("frames are missing") != std::string::npos);
    }
  }
  const std::string reason = RefusedBy(**engine);
  CHECK_MESSAGE(reason.find("(tcp " + address + ")") != std::string::npos, reason);
  CHECK_MESSAGE(reason.find("does not speak the protocol") != std::string::npos, reason);
}

TEST_CASE("a key where the engine asks for none is refused in words") {
  ScratchFolder folder;
  ZmqTransportOptions options;
  options.endpoints = {"tcp://127.0.0.1:*"};
  OpenHouse engine(options);
  Result<Access> fresh = MakeAccess();
  REQUIRE(WriteAccessFile(folder / "access", *fresh).ok());
  const Error why = WhyNot(WorkerAt(engine.Endpoint("tcp://"), folder / "access"));
  CHECK(why.code == Code::kPermission);
  CHECK_MESSAGE(why.message.find("without --access") != std::string::npos, why.message);
}

TEST_CASE("an engine that comes back with its access file is known to those who waited") {
  ScratchFolder folder;
  std::optional<OpenHouse> engine;
  engine.emplace(Keyed(folder));
  ZmqTransportOptions again = Keyed(folder);
  again.endpoints = {engine->Endpoint("tcp://")};
  const std::string before =
      FormatAccess(CopyFor(*ReadAccessFile(folder / "access"), Role::kWorker));
  auto worker = WorkerSession::Open(WorkerAt("", folder / "access"));
  REQUIRE(worker.ok());
  REQUIRE((*worker)->Next().has_value());
  engine.reset();
  engine.emplace(again);
  const std::optional<WorkItem> item = (*worker)->Next();
  REQUIRE(item.has_value());
  CHECK(FormatAccess(CopyFor(*ReadAccessFile(folder / "access"), Role::kWorker)) == before);
}

TEST_CASE("an engine does not start on an access file that it cannot use") {
  ScratchFolder folder;
  ZmqTransportOptions options = Keyed(folder);
  Result<Access> made = MakeAccess();
  REQUIRE(WriteAccessFile(folder / "access", CopyFor(*made, Role::kWorker)).ok());
  CHECK(ZmqTransport::Bind(options).error().message.find("engine-secret") != std::string::npos);
  REQUIRE(WriteAccessFile(folder / "access", *made).ok());
  REQUIRE(chmod((folder / "access").c_str(), 0644) == 0);
  CHECK(ZmqTransport::Bind(options).error().code == Code::kPermission);
  options.access_file = folder / "no/such/folder/access";
  CHECK(ZmqTransport::Bind(options).error().code == Code::kNotFound);
}

TEST_CASE("a call to an engine that is not there says so") {
  ScratchFolder folder;
  auto client = ClientSession::Open({"ipc://" + (folder / "nobody"), "", false});
  REQUIRE(client.ok());
  const Result<Value> answer = (*client)->Call("status", Value(), milliseconds(50));
  REQUIRE_FALSE(answer.ok());
  CHECK(answer.error().code == Code::kUnavailable);
  CHECK(answer.error().message.find("is it running?") != std::string::npos);
  CHECK(ClientSession::Open({"", "", false}).error().code == Code::kInvalid);
}
