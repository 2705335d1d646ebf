#include "tools/live/judge_folders.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>

#include "tools/live/home.h"

namespace kev {
namespace {

namespace fs = std::filesystem;

bool IsSet(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

Status MakeFolder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!error && access(path.c_str(), W_OK | X_OK) != 0)
    error = std::error_code(errno, std::generic_category());
  if (!error) return {};
  const Code code = error == std::errc::no_space_on_device ? Code::kDiskFull : Code::kPermission;
  return Error{code, "cannot use the folder " + path + ": " + error.message() +
                         "; set KEVOLVE_HOME to a folder that you can write to"};
}

constexpr char kScratchName[] = "kevolve-judge-";
constexpr char kCodeName[] = "kevolve-code-";  // of a file that is loaded and removed at once
constexpr time_t kOldSeconds = 3600;           // it has been locked long since, or loaded

// The folder, locked; -1 when another process has it.
int Lock(const std::string& path) {
  const int folder = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0 || flock(folder, LOCK_EX | LOCK_NB) == 0) return folder;
  close(folder);
  return -1;
}

// Removes what judges of this user that were killed left behind.
void RemoveLeftovers(const fs::path& parent) {
  std::error_code error;
  const time_t now = std::time(nullptr);
  fs::directory_iterator at(parent, error);
  for (; !error && at != fs::directory_iterator(); at.increment(error)) {
    const std::string path = at->path().string(), name = at->path().filename().string();
    struct stat info{};
    if (lstat(path.c_str(), &info) != 0 || info.st_uid != geteuid()) continue;
    if (now - info.st_mtime < kOldSeconds) continue;
    if (name.starts_with(kCodeName) && S_ISREG(info.st_mode)) unlink(path.c_str());
    if (!name.starts_with(kScratchName) || !S_ISDIR(info.st_mode)) continue;
    const int folder = Lock(path);
    std::error_code ignored;
    if (folder >= 0) fs::remove_all(path, ignored);
    if (folder >= 0) close(folder);
  }
}

Result<std::string> MakeScratch() {
  std::error_code error;
  fs::path parent = fs::temp_directory_path(error);
  if (error) parent = "/tmp";
  RemoveLeftovers(parent);
  std::string path = (parent / (std::string(kScratchName) + "XXXXXX")).string();
  if (mkdtemp(path.data()) != nullptr) return path;
  const Code code = errno == ENOSPC ? Code::kDiskFull : Code::kPermission;
  return Error{code, "cannot make a folder in " + parent.string() + ": " + std::strerror(errno) +
                         "; set TMPDIR to a folder that you can write to"};
}

}  // namespace

Result<JudgeFolders> JudgeFolders::Make() {
  JudgeFolders folders;
  Result<std::string> scratch = MakeScratch();
  if (!scratch.ok()) return scratch.error();
  folders.scratch_ = *scratch;
  folders.lock_ = Lock(*scratch);
  const Status home = CheckHome();
  if (home.ok()) {
    folders.cache_ = HomeFolder() + "/cache/judge";
    const Status made = MakeFolder(folders.cache_);
    if (made.ok()) {
      chmod(folders.cache_.c_str(), 0700);
      return folders;
    }
    // What was asked for by name is not replaced by something else.
    if (IsSet("KEVOLVE_HOME") || IsSet("XDG_STATE_HOME")) return made.error();
    folders.note_ = made.error().message;
  } else {
    folders.note_ = home.error().message;
  }
  folders.note_ = "nothing is kept for the next judgement: " + folders.note_;
  folders.cache_ = folders.scratch_ + "/cache";
  if (Status made = MakeFolder(folders.cache_); !made.ok()) return made.error();
  return folders;
}

JudgeFolders::JudgeFolders(JudgeFolders&& other) noexcept
    : scratch_(std::exchange(other.scratch_, "")),
      cache_(std::move(other.cache_)),
      note_(std::move(other.note_)),
      lock_(std::exchange(other.lock_, -1)) {}

JudgeFolders::~JudgeFolders() {
  std::error_code ignored;
  if (!scratch_.empty()) fs::remove_all(scratch_, ignored);
  if (lock_ >= 0) close(lock_);
}

Result<int64_t> JudgeFolders::Secret() const { return SecretOf(RunFolder{"judge", cache_}); }

}  // namespace kev
