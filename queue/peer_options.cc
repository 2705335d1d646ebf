#include "queue/peer_options.h"

#include <unistd.h>

#include "queue/access.h"
#include "queue/random_name.h"

namespace kev {
namespace {

std::string HostName() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0) return "host";
  return name;
}

}  // namespace

Result<PeerOptions> PeerOptionsFor(Role role, const std::string& endpoint,
                                   const std::string& access_file) {
  PeerOptions out;
  if (!endpoint.empty()) out.zmq.endpoints.push_back(endpoint);
  if (!access_file.empty()) {
    Result<Access> access = ReadAccessFile(access_file);
    if (!access) return access.error();
    const auto keys = access->peers.find(role);
    if (keys == access->peers.end() || keys->second.secret_key.empty()) {
      return Error{Code::kPermission, access_file + ": this access file has no keys for " +
                                          WithArticle(role) + "; ask for a copy that has them"};
    }
    out.zmq.curve =
        CurvePeer{access->engine.public_key, keys->second.public_key, keys->second.secret_key};
    if (endpoint.empty()) out.zmq.endpoints = access->endpoints;
  }
  if (out.zmq.endpoints.empty()) {
    return Error{Code::kInvalid,
                 access_file.empty()
                     ? "no endpoint was given; it looks like tcp://host:port or ipc:///path"
                     : access_file + ": this access file names no endpoint; give one"};
  }
  out.hello.role = role;
  out.hello.host = HostName();
  out.hello.worker = out.hello.host + ":" + std::to_string(getpid());
  out.hello.version = KEVOLVE_VERSION;
  out.instance = RandomName();
  return out;
}

}  // namespace kev
