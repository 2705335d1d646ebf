#include "tools/live/listen.h"

namespace kev {
namespace {

// The address part of tcp://ADDRESS:PORT names this machine only.
bool IsLoopback(const std::string& endpoint) {
  const std::string address = endpoint.substr(6, endpoint.rfind(':') - 6);
  const bool numeric = address.find_first_not_of("0123456789.") == std::string::npos;
  return (numeric && address.starts_with("127.")) || address == "localhost" || address == "[::1]";
}

}  // namespace

Status CheckListen(const std::vector<std::string>& endpoints, bool insecure, bool keys) {
  if (insecure && keys) {
    return Error{Code::kInvalid,
                 "--insecure lets everybody in and --access asks for keys: give one of the two"};
  }
  for (const std::string& endpoint : endpoints) {
    const size_t colon = endpoint.rfind(':');
    if (!endpoint.starts_with("tcp://") || colon == std::string::npos || colon <= 6 ||
        colon + 1 == endpoint.size()) {
      return Error{
          Code::kInvalid,
          "--listen " + endpoint + ": write it as tcp://ADDRESS:PORT, e.g. tcp://127.0.0.1:5555"};
    }
    const std::string port = endpoint.substr(colon + 1);
    const bool digits = port.find_first_not_of("0123456789") == std::string::npos;
    if (port != "*" && (!digits || port.size() > 5 || std::stoi(port) > 65535)) {
      return Error{Code::kInvalid, "--listen " + endpoint + ": '" + port +
                                       "' is no port; write a number up to 65535, or * for a free "
                                       "one"};
    }
    if (!IsLoopback(endpoint) && !insecure && !keys) {
      return Error{Code::kInvalid,
                   "--listen " + endpoint +
                       ": other machines could join without keys and have their code run here; "
                       "have them prove who they are with --access FILE, listen on 127.0.0.1, or "
                       "accept that with --insecure on a network that you trust"};
    }
  }
  return {};
}

}  // namespace kev
