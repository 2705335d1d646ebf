// BestIsolation and ProbeIsolation: what works here is found by starting something.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <map>
#include <mutex>

#include "runners/sandbox/library_closure.h"
#include "runners/sandbox/sandbox.h"

namespace kev {
namespace {

constexpr Isolation kAll[] = {Isolation::kBubblewrap, Isolation::kNamespaces, Isolation::kLandlock,
                              Isolation::kNone};

Status Probe(Isolation isolation) {
  const std::string program = SiblingProgram("kevolve-confine");
  Result<PathPairs> files = RuntimeFiles(program, {});
  if (!files) return files.error();
  SandboxPlan plan;
  plan.argv = {program, "--version"};
  plan.read_only = std::move(*files);
  const int said = memfd_create("probe", MFD_CLOEXEC);
  plan.files = {{said, 2}};
  Result<Launched> launched = LaunchSandboxed(plan, isolation);
  int status = 0;
  if (launched)
    while (waitpid(launched->pid, &status, 0) < 0 && errno == EINTR) {
    }
  std::string text(400, '\0');
  const ssize_t got = pread(said, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  text.resize(text.find('\n') == std::string::npos ? text.size() : text.find('\n'));
  if (said >= 0) close(said);
  if (launched && status == 0) return {};
  std::string why = std::string("isolation by ") + Name(isolation) + " does not work here: ";
  why += !text.empty() ? text : launched ? "the program failed" : launched.error().message;
  return Error{Code::kUnavailable, why};
}

Result<Isolation> Choose(const std::string& wanted) {
  std::string reasons;
  for (const Isolation isolation : kAll) {
    if (wanted == "required" && !HasNamespaces(isolation)) break;
    if (!wanted.empty() && wanted != "required" && wanted != Name(isolation)) continue;
    // Nothing is asked of it, so there is nothing to try.
    Status works = isolation == Isolation::kNone ? Status() : ProbeIsolation(isolation);
    if (works) return isolation;
    reasons += (reasons.empty() ? "" : "; ") + works.error().message;
  }
  if (reasons.empty())
    return Error{Code::kInvalid, "KEVOLVE_ISOLATION is '" + wanted +
                                     "'; it may be bubblewrap, namespaces, landlock, none or "
                                     "required"};
  return Error{Code::kUnavailable, reasons +
                                       ". Install bubblewrap and allow user namespaces, or "
                                       "set KEVOLVE_ISOLATION to another isolation"};
}

}  // namespace

Status ProbeIsolation(Isolation isolation) {
  static std::mutex mutex;
  static std::map<Isolation, Status> known;
  std::lock_guard lock(mutex);
  const auto found = known.find(isolation);
  if (found != known.end()) return found->second;
  return known[isolation] = Probe(isolation);
}

Result<Isolation> BestIsolation() {
  const char* variable = std::getenv("KEVOLVE_ISOLATION");
  return Choose(variable == nullptr ? "" : variable);
}

}  // namespace kev
