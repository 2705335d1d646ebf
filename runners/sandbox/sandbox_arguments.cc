#include "runners/sandbox/sandbox_arguments.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>

namespace kev {
namespace {

using Words = std::vector<std::string>;

Result<std::string> Bubblewrap() {
  for (const char* path : {"/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"})
    if (access(path, X_OK) == 0) return std::string(path);
  return Error{Code::kUnavailable,
               "there is no bubblewrap; install it: apt-get install bubblewrap"};
}

// Without symbolic links: inside, those of the path outside lead nowhere.
Result<std::string> RealPath(const std::string& path) {
  char* resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr)
    return Error{Code::kNotFound,
                 "the sandbox needs " + path + ", which cannot be used: " + std::strerror(errno)};
  std::string text = resolved;
  std::free(resolved);
  return text;
}

Status CheckPlan(const SandboxPlan& plan) {
  if (plan.argv.empty() || plan.argv[0].empty() || plan.argv[0][0] != '/')
    return Error{Code::kInvalid, "a sandbox's program must be named by an absolute path"};
  for (const auto* list : {&plan.read_only, &plan.writable})
    for (const auto& [outside, inside] : *list)
      if (outside.empty() || outside[0] != '/' || inside.empty() || inside[0] != '/')
        return Error{Code::kInvalid, "a sandbox's paths must be absolute, not '" + outside +
                                         "' as '" + inside + "'"};
  return {};
}

// What is put into the file system, by path inside, so that folders come before what lies in them.
using Mounts = std::multimap<std::string, Words>;

Result<Mounts> MountsOf(const SandboxPlan& plan) {
  Mounts mounts;
  const auto add = [&](const char* option, const auto& list) -> Status {
    for (const auto& [outside, inside] : list) {
      Result<std::string> source = RealPath(outside);
      if (!source) return source.error();
      mounts.insert({inside, {option, *source, inside}});
    }
    return {};
  };
  if (Status added = add("--ro-bind", plan.read_only); !added) return added.error();
  if (Status added = add("--bind", plan.writable); !added) return added.error();
  for (const auto& [target, path] : plan.links) mounts.insert({path, {"--symlink", target, path}});
  if (plan.scratch_bytes > 0)
    mounts.insert({"/tmp", {"--size", std::to_string(plan.scratch_bytes), "--tmpfs", "/tmp"}});
  if (const MemoryFolder& folder = plan.in_memory; !folder.path.empty())
    mounts.insert({folder.path, {"--size", std::to_string(folder.bytes), "--tmpfs", folder.path}});
  if (plan.proc) mounts.insert({"/proc", {"--proc", "/proc"}});
  mounts.insert({"/dev/null", {"--dev-bind", "/dev/null", "/dev/null"}});
  for (const std::string& device : plan.devices)
    mounts.insert({device, {"--dev-bind", device, device}});
  return mounts;
}

void Append(Words* words, const Words& more) {
  words->insert(words->end(), more.begin(), more.end());
}

// The plan's whole picture of the machine, for programs that get one of their own.
Status AppendNamespaces(const SandboxPlan& plan, Words* words) {
  Append(words, {"--unshare-all", "--unshare-user", "--new-session", "--uid", "65534", "--gid",
                 "65534", "--cap-drop", "ALL"});
  Result<Mounts> mounts = MountsOf(plan);
  if (!mounts) return mounts.error();
  for (const auto& [inside, mount] : *mounts) Append(words, mount);
  // The root is memory of no set size.
  Append(words, {"--remount-ro", "/"});
  return {};
}

Status AppendLandlock(const SandboxPlan& plan, Words* words) {
  words->push_back("--landlock");
  Result<Mounts> mounts = MountsOf(plan);
  if (!mounts) return mounts.error();
  for (const auto& [inside, mount] : *mounts)
    if (mount[0].ends_with("bind")) Append(words, mount);
  if (plan.proc) Append(words, {"--ro-bind", "/proc", "/proc"});
  return {};
}

}  // namespace

std::string PathInside(const SandboxPlan& plan, Isolation isolation, const std::string& path) {
  if (HasNamespaces(isolation)) return path;
  const std::pair<std::string, std::string>* best = nullptr;
  for (const auto* list : {&plan.read_only, &plan.writable})
    for (const auto& entry : *list) {
      const std::string& inside = entry.second;
      const bool above =
          path.compare(0, inside.size(), inside) == 0 &&
          (path.size() == inside.size() || inside.back() == '/' || path[inside.size()] == '/');
      if (above && (best == nullptr || inside.size() > best->second.size())) best = &entry;
    }
  return best == nullptr ? path : best->first + path.substr(best->second.size());
}

Result<Words> SandboxArguments(const SandboxPlan& plan, Isolation isolation,
                               const GuardDescriptors& descriptors) {
  if (Status checked = CheckPlan(plan); !checked) return checked.error();
  Result<std::string> program = isolation == Isolation::kBubblewrap
                                    ? Bubblewrap()
                                    : Result<std::string>(SiblingProgram("kevolve-confine"));
  if (!program) return program.error();
  Words words = {*program, "--die-with-parent"};
  Status appended;
  if (HasNamespaces(isolation)) appended = AppendNamespaces(plan, &words);
  if (isolation == Isolation::kLandlock) appended = AppendLandlock(plan, &words);
  if (!appended) return appended.error();
  Append(&words, {"--chdir", PathInside(plan, isolation, plan.folder), "--clearenv"});
  for (const auto& [name, value] : plan.environment) Append(&words, {"--setenv", name, value});
  const auto descriptor = [&](const char* option, int number) {
    if (number >= 0) Append(&words, {option, std::to_string(number)});
  };
  descriptor("--info-fd", descriptors.info);
  descriptor("--block-fd", descriptors.block);
  descriptor("--seccomp", descriptors.syscalls);
  words.push_back("--");
  words.push_back(PathInside(plan, isolation, plan.argv[0]));
  words.insert(words.end(), plan.argv.begin() + 1, plan.argv.end());
  return words;
}

}  // namespace kev
