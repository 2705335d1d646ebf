// Access files: who holds one can join an engine over tcp. It names the engine's endpoints and
// public key, and for each role a pair of keys. The engine's own file has its secret key as well;
// what is handed out is a copy without it, and with the keys of one role only.
//
// Form: lines `name value`, `#` begins a comment; queue/PROTOCOL.md lists the names. Files are
// written with mode 0600, and refused when others may read them. Threads: functions on values.
// Errors: say which file and line, and what to do. No fake: files in a scratch folder do.
#ifndef KEV_QUEUE_ACCESS_H_
#define KEV_QUEUE_ACCESS_H_

#include <map>
#include <string>
#include <vector>

#include "engine/core/result.h"
#include "engine/host/transport.h"

namespace kev {

struct KeyPair {  // Z85, 40 characters each; "" where it is not known
  std::string public_key;
  std::string secret_key;
};

struct Access {
  std::vector<std::string> endpoints;
  KeyPair engine;
  std::map<Role, KeyPair> peers;
};

Result<Access> MakeAccess();  // fresh keys for the engine and for each role
Access CopyFor(const Access& access, Role role);

std::string FormatAccess(const Access& access);
Result<Access> ParseAccess(const std::string& text, const std::string& path);

Status WriteAccessFile(const std::string& path, const Access& access);
Result<Access> ReadAccessFile(const std::string& path);

}  // namespace kev

#endif  // KEV_QUEUE_ACCESS_H_
