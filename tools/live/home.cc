#include "tools/live/home.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "tools/live/engine_folder.h"
#include "tools/live/file_system.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Error FromErrno(int error, const std::string& what) {
  const Code code = error == ENOSPC                                       ? Code::kDiskFull
                    : error == EACCES || error == EPERM || error == EROFS ? Code::kPermission
                    : error == ENOENT                                     ? Code::kNotFound
                    : error == ENOTDIR || error == EISDIR || error == ELOOP || error == ENAMETOOLONG
                        ? Code::kUnavailable
                        : Code::kInternal;
  return {code, what + ": " + std::strerror(error)};
}

uint64_t RandomBits() {
  uint64_t bits = 0;
  while (getrandom(&bits, sizeof bits, 0) != sizeof bits) {
  }
  return bits;
}

}  // namespace

std::string HomeFolder() {
  std::string home = FromEnvironment("KEVOLVE_HOME");
  if (home.empty() && !FromEnvironment("XDG_STATE_HOME").empty())
    home = FromEnvironment("XDG_STATE_HOME") + "/kevolve";
  if (home.empty()) home = FromEnvironment("HOME") + "/.local/state/kevolve";
  std::error_code error;
  const fs::path absolute = fs::absolute(home, error);
  return error ? home : absolute.lexically_normal().string();
}

Status CheckHome() {
  for (const char* name : {"KEVOLVE_HOME", "XDG_STATE_HOME", "HOME"}) {
    if (FromEnvironment(name).empty()) continue;
    std::error_code error;
    const std::string home = HomeFolder();
    if (!fs::exists(home, error) || fs::is_directory(home, error)) return {};
    return Error{Code::kPermission, home +
                                        " is not a folder, so there is no place for runs in it: "
                                        "set KEVOLVE_HOME to a folder that you can write to"};
  }
  return Error{Code::kUnavailable,
               "neither KEVOLVE_HOME nor HOME is set, so there is no place for runs: set "
               "KEVOLVE_HOME to a folder that you can write to"};
}

std::string RunsFolder() { return HomeFolder() + "/runs"; }

std::string ShippedConfigs() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path bin = program.parent_path();
  for (const fs::path& candidate :
       {bin / "../share/kevolve/configs", bin / "../../configs", fs::path("configs")}) {
    if (fs::is_directory(candidate / "tasks", error))
      return fs::weakly_canonical(candidate, error).string();
  }
  return "configs";
}

std::string CommandName() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::string name;
  std::getline(in, name, '\0');
  return name.empty() ? "kevolve" : name;
}

std::string NewRunId(const std::string& task) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char when[32];
  std::strftime(when, sizeof when, "%Y%m%d-%H%M%S", &local);
  char tail[8];
  std::snprintf(tail, sizeof tail, "%04x", static_cast<unsigned>(RandomBits() & 0xffff));
  return task + "-" + when + "-" + tail;
}

bool IsRunId(const std::string& name) {
  if (name.empty() || name[0] == '.' || name.size() > 200) return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
}

Result<RunFolder> CreateRunFolder(const std::string& id) {
  RunFolder folder{id, RunsFolder() + "/" + id};
  if (Status s = CheckSocketPath(EngineFolder{folder.path}.RedisSocket()); !s.ok())
    return s.error();
  if (Status s = CheckHome(); !s.ok()) return s.error();
  std::error_code error;
  fs::create_directories(RunsFolder(), error);
  if (!error && !fs::create_directory(folder.path, error) && !error) {
    return Error{Code::kExists, "the run folder " + folder.path + " exists already"};
  }
  if (!error) fs::create_directory(folder.Logs(), error);
  if (error) {
    Error e = FromErrno(error.value(), "cannot make the run folder " + folder.path);
    if (e.code == Code::kNotFound) e.code = Code::kPermission;  // nothing can be made there
    e.message += " (set KEVOLVE_HOME to a folder that you can write to)";
    return e;
  }
  chmod(folder.path.c_str(), 0700);
  return folder;
}

Result<RunFolder> FindRunFolder(const std::string& id) {
  if (id.ends_with(".kevrun")) {
    return Error{Code::kInvalid, "'" + id +
                                     "' is a file, and this takes the name of a run (`kevolve "
                                     "list`); `kevolve import` makes a run of a file"};
  }
  if (!IsRunId(id))
    return Error{Code::kInvalid, "'" + id + "' is not a run's name; `kevolve list` shows them"};
  if (Status s = CheckHome(); !s.ok()) return s.error();
  const RunFolder folder{id, RunsFolder() + "/" + id};
  std::error_code error;
  if (!fs::is_directory(folder.path, error)) {
    return Error{Code::kNotFound,
                 "there is no run '" + id + "' in " + RunsFolder() + "; `kevolve list` shows them"};
  }
  return folder;
}

std::vector<std::string> RunIds() {
  std::vector<std::pair<fs::file_time_type, std::string>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(RunsFolder(), error)) {
    if (!entry.is_directory(error)) continue;
    // Written once, when the run begins.
    auto when = fs::last_write_time(entry.path() / "secret", error);
    if (error) when = fs::last_write_time(entry.path() / "lock", error);
    if (!error) found.emplace_back(when, entry.path().filename().string());
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> ids;
  for (auto& [when, id] : found) ids.push_back(std::move(id));
  return ids;
}

Result<int64_t> SecretOf(const RunFolder& folder) {
  const std::string path = folder.path + "/secret";
  {
    std::ifstream in(path);
    int64_t secret = 0;
    if (in >> secret) return secret;
  }
  const auto secret = static_cast<int64_t>(RandomBits() >> 1);
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return FromErrno(errno, "cannot write " + path);
  const std::string text = std::to_string(secret) + "\n";
  const bool written =
      write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  if (!written) return FromErrno(error, "cannot write " + path);
  return secret;
}

Status WriteFile(const std::string& path, const std::string& text) {
  // A device, a pipe or a link is written to as it is; only a plain file is replaced.
  struct stat there{};
  if (lstat(path.c_str(), &there) == 0 && !S_ISREG(there.st_mode)) {
    std::ofstream out(path, std::ios::binary);
    out << text << std::flush;
    if (!out) return FromErrno(errno, "cannot write " + path);
    return {};
  }
  const auto failed = [&](int error) {
    Error e = FromErrno(error, "cannot write " + path);
    if (e.code == Code::kNotFound) e.code = Code::kUnavailable;  // its folder is missing
    return e;
  };
  const std::string temporary = path + ".new";
  {
    std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
    out << text;
    out.flush();
    if (!out) {
      const int error = errno;
      std::remove(temporary.c_str());
      return failed(error);
    }
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    std::remove(temporary.c_str());
    return failed(error);
  }
  return {};
}

}  // namespace kev
