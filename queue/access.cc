#include "queue/access.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sstream>

namespace kev {
namespace {

constexpr const char* kFirstWord = "kevolve-access";
constexpr const char* kVersion = "1";
constexpr size_t kKeyLength = 40;
constexpr size_t kMostBytes = 64 << 10;
constexpr std::array<Role, 3> kRoles{Role::kWorker, Role::kClient, Role::kAdmin};

Result<KeyPair> MakeKeys() {
  std::array<char, kKeyLength + 1> public_key{}, secret_key{};
  if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0) {
    return Error{Code::kUnavailable,
                 std::string("keys cannot be made: ") + zmq_strerror(errno) +
                     "; this libzmq was built without CURVE, install Debian's libzmq5"};
  }
  return KeyPair{public_key.data(), secret_key.data()};
}

bool IsKey(const std::string& text) {
  std::array<uint8_t, 32> bytes{};
  return text.size() == kKeyLength && zmq_z85_decode(bytes.data(), text.c_str()) != nullptr;
}

Error System(const std::string& what, const std::string& path) {
  const int e = errno;
  const Code code = e == ENOENT   ? Code::kNotFound
                    : e == EACCES ? Code::kPermission
                    : e == ENOSPC ? Code::kDiskFull
                                  : Code::kInternal;
  return {code, what + " " + path + ": " + std::strerror(e)};
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// Where a line's value goes; nullptr for a name that is not known.
std::string* PlaceOf(const std::string& name, Access* access) {
  const size_t dash = name.rfind('-');
  if (dash == std::string::npos) return nullptr;
  const std::string whose = name.substr(0, dash), what = name.substr(dash + 1);
  if (what != "public" && what != "secret") return nullptr;
  KeyPair* keys = whose == "engine" ? &access->engine : nullptr;
  for (const Role role : kRoles) {
    if (whose == Name(role)) keys = &access->peers[role];
  }
  if (keys == nullptr) return nullptr;
  return what == "public" ? &keys->public_key : &keys->secret_key;
}

}  // namespace

Result<Access> MakeAccess() {
  Access access;
  Result<KeyPair> keys = MakeKeys();
  if (!keys) return keys.error();
  access.engine = std::move(*keys);
  for (const Role role : kRoles) {
    keys = MakeKeys();
    if (!keys) return keys.error();
    access.peers[role] = std::move(*keys);
  }
  return access;
}

Access CopyFor(const Access& access, Role role) {
  Access copy;
  for (const std::string& endpoint : access.endpoints) {
    if (endpoint.starts_with("tcp://")) copy.endpoints.push_back(endpoint);
  }
  copy.engine.public_key = access.engine.public_key;
  if (const auto it = access.peers.find(role); it != access.peers.end())
    copy.peers[role] = it->second;
  return copy;
}

std::string FormatAccess(const Access& access) {
  std::string text = "# Who can read this file can join the engine. Keep it to yourself.\n";
  const auto line = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) text.append(name).append(" ").append(value).append("\n");
  };
  line(kFirstWord, kVersion);
  for (const std::string& endpoint : access.endpoints) line("endpoint", endpoint);
  line("engine-public", access.engine.public_key);
  line("engine-secret", access.engine.secret_key);
  for (const auto& [role, keys] : access.peers) {
    line(std::string(Name(role)) + "-public", keys.public_key);
    line(std::string(Name(role)) + "-secret", keys.secret_key);
  }
  return text;
}

Result<Access> ParseAccess(const std::string& text, const std::string& path) {
  Access access;
  std::istringstream lines(text);
  std::string line;
  bool begun = false;
  for (int number = 1; std::getline(lines, line); ++number) {
    const auto wrong = [&](const std::string& what) {
      return Error{Code::kInvalid, path + ":" + std::to_string(number) + ": " + what};
    };
    std::istringstream words(line);
    std::string name, value, rest;
    words >> name >> value >> rest;
    if (name.empty() || name[0] == '#') continue;
    if (!begun) {
      if (name != kFirstWord)
        return wrong("this is no access file: it does not begin with '" + std::string(kFirstWord) +
                     " " + kVersion + "'");
      if (value != kVersion) {
        return wrong("access file of form '" + value + "', and this release reads form " +
                     kVersion + "; use the same release of kevolve on both ends");
      }
      begun = true;
      continue;
    }
    if (value.empty() || !rest.empty()) return wrong("write a name and one value on each line");
    if (name == "endpoint") {
      access.endpoints.push_back(value);
      continue;
    }
    std::string* place = PlaceOf(name, &access);
    if (place == nullptr) continue;  // of a later release
    if (!IsKey(value)) return wrong("the value of " + name + " is not a key of 40 characters");
    if (!place->empty()) return wrong(name + " stands here twice");
    *place = value;
  }
  if (!begun) return Error{Code::kInvalid, path + ": this access file is empty"};
  if (access.engine.public_key.empty())
    return Error{Code::kInvalid, path + ": the line engine-public is missing"};
  for (const auto& [role, keys] : access.peers) {
    if (keys.public_key.empty())
      return Error{Code::kInvalid, path + ": the line " + Name(role) + "-public is missing"};
  }
  return access;
}

// Written beside it and renamed, so that a reader never sees half a file.
Status WriteAccessFile(const std::string& path, const Access& access) {
  const std::string text = FormatAccess(access);
  const std::string part = path + ".new";
  unlink(part.c_str());
  {
    const Descriptor file(open(part.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (file.get() < 0) return System("cannot write the access file", part);
    const ssize_t n = write(file.get(), text.data(), text.size());
    if (n != static_cast<ssize_t>(text.size()) || fsync(file.get()) != 0) {
      Error error = System("cannot write the access file", part);
      unlink(part.c_str());
      return error;
    }
  }
  if (rename(part.c_str(), path.c_str()) != 0) return System("cannot write the access file", path);
  return {};
}

Result<Access> ReadAccessFile(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return System("cannot read the access file", path);
  struct stat about = {};
  if (fstat(file.get(), &about) != 0) return System("cannot read the access file", path);
  if (!S_ISREG(about.st_mode)) return Error{Code::kInvalid, path + ": this is not a file"};
  if ((about.st_mode & 077) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(about.st_mode & 07777));
    return Error{Code::kPermission, path + ": others can read or write this access file (mode " +
                                        mode + "), and it holds secret keys: chmod 600 " + path};
  }
  std::string text(kMostBytes + 1, '\0');
  size_t size = 0;
  for (ssize_t n;
       size < text.size() && (n = read(file.get(), text.data() + size, text.size() - size)) != 0;) {
    if (n < 0) return System("cannot read the access file", path);
    size += static_cast<size_t>(n);
  }
  if (size > kMostBytes) return Error{Code::kInvalid, path + ": too long for an access file"};
  text.resize(size);
  return ParseAccess(text, path);
}

}  // namespace kev
