#include "runners/sandbox/control_group.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>

namespace kev {
namespace {

constexpr char kPrefix[] = "kevolve-";
constexpr int kKillPasses = 100;  // a group that forks faster than it is read is small

bool WriteFile(const std::string& path, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const bool written =
      file >= 0 && write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (file >= 0) close(file);
  return written;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool HasWord(const std::string& text, const std::string& word) {
  std::istringstream words(text);
  for (std::string at; words >> at;)
    if (at == word) return true;
  return false;
}

// The number after `name` in lines such as "oom_kill 3".
long CountOf(const std::string& path, const std::string& name) {
  std::istringstream lines(ReadFile(path));
  std::string word;
  for (long count; lines >> word;)
    if (word == name && lines >> count) return count;
  return 0;
}

// Where this process may make groups; "" where it may not.
struct Homes {
  std::string memory, pids;  // version 1
  std::string unified;       // version 2
  bool unified_memory = false, unified_pids = false;
};

// Our own group in each hierarchy, by controller; "" is version 2.
std::map<std::string, std::string> OwnGroups() {
  std::map<std::string, std::string> groups;
  std::ifstream file("/proc/self/cgroup");  // "4:memory:/path"
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::istringstream controllers(line.substr(first + 1, second - first - 1) + ",");
    for (std::string name; std::getline(controllers, name, ',');)
      groups[name] = line.substr(second + 1);
  }
  return groups;
}

// Whether a group can be made in `folder`; leaves none behind.
bool CanMake(const std::string& folder) {
  const std::string trial = folder + "/" + kPrefix + std::to_string(getpid()) + "-trial";
  if (mkdir(trial.c_str(), 0755) != 0) return false;
  rmdir(trial.c_str());
  return true;
}

// `group` or the nearest above it in which groups can be made and limited.
template <typename Usable>
std::string NearestHome(const std::string& mount_point, std::string group, Usable usable) {
  for (;;) {
    if (group == "/") group.clear();
    if (usable(mount_point + group) && CanMake(mount_point + group)) return mount_point + group;
    if (group.empty()) return "";
    group.resize(group.rfind('/'));
  }
}

// Groups of processes that ended without removing them.
void Sweep(const std::string& home) {
  DIR* folder = home.empty() ? nullptr : opendir(home.c_str());
  if (folder == nullptr) return;
  while (const dirent* entry = readdir(folder)) {
    const std::string name = entry->d_name;
    if (name.rfind(kPrefix, 0) != 0) continue;
    const auto owner = static_cast<pid_t>(std::atol(name.c_str() + sizeof(kPrefix) - 1));
    if (owner > 0 && kill(owner, 0) != 0 && errno == ESRCH) rmdir((home + "/" + name).c_str());
  }
  closedir(folder);
}

Homes FindHomes() {
  Homes homes;
  std::map<std::string, std::string> own = OwnGroups();
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string id, parent, device, root, mount_point, word, type, source, options;
    words >> id >> parent >> device >> root >> mount_point;
    while (words >> word && word != "-") {
    }
    words >> type >> source >> options;
    // A mount may show only a part of its hierarchy.
    const auto group = [&](const std::string& controller) {
      const std::string path = own[controller];
      return root != "/" && path.rfind(root, 0) == 0 ? path.substr(root.size()) : path;
    };
    const auto any = [](const std::string&) { return true; };
    const std::string all = "," + options + ",";
    if (type == "cgroup" && all.find(",memory,") != std::string::npos)
      homes.memory = NearestHome(mount_point, group("memory"), any);
    if (type == "cgroup" && all.find(",pids,") != std::string::npos)
      homes.pids = NearestHome(mount_point, group("pids"), any);
    if (type != "cgroup2") continue;
    const auto limits = [](const std::string& folder) {
      const std::string given = ReadFile(folder + "/cgroup.subtree_control");
      return HasWord(given, "memory") || HasWord(given, "pids");
    };
    homes.unified = NearestHome(mount_point, group(""), limits);
    const std::string given = ReadFile(homes.unified + "/cgroup.subtree_control");
    homes.unified_memory = HasWord(given, "memory");
    homes.unified_pids = HasWord(given, "pids");
  }
  for (const std::string* home : {&homes.memory, &homes.pids, &homes.unified}) Sweep(*home);
  return homes;
}

// Groups that could not be removed yet.
class Leftovers {
 public:
  void Add(const std::string& folder) {
    std::lock_guard lock(mutex_);
    folders_.push_back(folder);
  }
  void Retry() {
    std::lock_guard lock(mutex_);
    std::erase_if(folders_, [](const std::string& folder) { return rmdir(folder.c_str()) == 0; });
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> folders_;
};

Leftovers& LeftoversOf() {
  static Leftovers leftovers;
  return leftovers;
}

}  // namespace

std::shared_ptr<ControlGroup> ControlGroup::Make(uint64_t memory_bytes, uint64_t processes) {
  static const Homes homes = FindHomes();
  LeftoversOf().Retry();
  std::shared_ptr<ControlGroup> group(new ControlGroup);
  if (memory_bytes > 0 && !homes.memory.empty())
    group->Add(homes.memory, true, false, false, memory_bytes, processes);
  if (processes > 0 && !homes.pids.empty())
    group->Add(homes.pids, false, true, false, memory_bytes, processes);
  if (group->folders_.empty() && !homes.unified.empty())
    group->Add(homes.unified, homes.unified_memory, homes.unified_pids, true, memory_bytes,
               processes);
  return group->limited_.empty() ? nullptr : group;
}

bool ControlGroup::Add(const std::string& home, bool memory, bool pids, bool unified,
                       uint64_t memory_bytes, uint64_t processes) {
  static std::atomic<uint64_t> number{0};
  const std::string folder =
      home + "/" + kPrefix + std::to_string(getpid()) + "-" + std::to_string(++number);
  if (mkdir(folder.c_str(), 0755) != 0) return false;
  folders_.push_back(folder);
  std::string limited;
  const auto limit = [&](const char* name, const char* file, uint64_t value) {
    if (value == 0 || !WriteFile(folder + "/" + file, std::to_string(value))) return;
    limited += (limited.empty() ? "" : ", ") + std::string(name);
  };
  if (memory) limit("memory", unified ? "memory.max" : "memory.limit_in_bytes", memory_bytes);
  if (memory && unified) WriteFile(folder + "/memory.swap.max", "0");
  if (pids) limit("pids", "pids.max", processes);
  const int opened = open(unified ? folder.c_str() : (folder + "/tasks").c_str(),
                          (unified ? O_RDONLY | O_DIRECTORY : O_WRONLY) | O_CLOEXEC);
  if (opened < 0 || limited.empty()) {
    if (opened >= 0) close(opened);
    return false;
  }
  if (unified)
    folder_ = opened;
  else
    joins_.push_back(opened);
  limited_ += (limited_.empty() ? "" : ", ") + limited;
  return true;
}

ControlGroup::~ControlGroup() {
  for (const int fd : joins_) close(fd);
  if (folder_ >= 0) close(folder_);
  for (const std::string& folder : folders_)
    if (rmdir(folder.c_str()) != 0) LeftoversOf().Add(folder);
}

std::string ControlGroup::Reached() const {
  for (const std::string& folder : folders_)
    if (CountOf(folder + "/memory.oom_control", "oom_kill") > 0 ||
        CountOf(folder + "/memory.events", "oom_kill") > 0)
      return "memory";
  for (const std::string& folder : folders_)
    if (CountOf(folder + "/pids.events", "max") > 0) return "processes";
  return "";
}

void ControlGroup::Kill() const {
  for (const std::string& folder : folders_) {
    if (WriteFile(folder + "/cgroup.kill", "1")) continue;
    for (int pass = 0; pass < kKillPasses; ++pass) {
      std::ifstream members(folder + "/cgroup.procs");
      bool any = false;
      for (pid_t member; members >> member;) any |= member > 0 && kill(member, SIGKILL) == 0;
      if (!any) break;
    }
  }
}

}  // namespace kev
