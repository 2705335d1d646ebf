#include "tools/live/machine.h"

#include <sched.h>

#include <algorithm>
#include <cstdlib>

#include "configs/contract.h"

namespace kev {
namespace {

std::vector<int> UsableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) cores.push_back(i);
  }
  return cores;
}

// "1,3-5" -> {1, 3, 4, 5}; empty when it is not such a list.
std::vector<int> ParseList(const std::string& text) {
  std::vector<int> cores;
  size_t at = 0;
  while (at < text.size()) {
    char* end = nullptr;
    const long low = std::strtol(text.c_str() + at, &end, 10);
    if (end == text.c_str() + at || low < 0) return {};
    long high = low;
    if (*end == '-') {
      const char* from = end + 1;
      high = std::strtol(from, &end, 10);
      if (end == from || high < low || high > CPU_SETSIZE) return {};
    }
    for (long c = low; c <= high; ++c) cores.push_back(static_cast<int>(c));
    at = static_cast<size_t>(end - text.c_str());
    if (at < text.size() && text[at] != ',') return {};
    if (at < text.size()) ++at;
  }
  return cores;
}

}  // namespace

Result<CoreSplit> SplitCores(const std::string& cores) {
  const std::vector<int> usable = UsableCores();
  CoreSplit split;
  if (cores.empty() || cores == "last") {
    split.kept = {usable.back()};
  } else {
    split.kept = ParseList(cores);
    if (split.kept.empty())
      return Error{Code::kInvalid,
                   "device.cores: '" + cores + "' is neither 'last' nor a list such as 1 or 2-3"};
    for (const int core : split.kept) {
      if (std::find(usable.begin(), usable.end(), core) == usable.end()) {
        return Error{Code::kInvalid, "device.cores: core " + std::to_string(core) +
                                         " cannot be used by this process"};
      }
    }
  }
  for (const int core : usable) {
    if (std::find(split.kept.begin(), split.kept.end(), core) == split.kept.end())
      split.others.push_back(core);
  }
  if (split.others.empty()) split.others = split.kept;
  return split;
}

std::vector<StageProcess> ProcessesFor(const Plan& plan, size_t free_cores) {
  std::vector<StageProcess> processes;
  for (const Step& step : plan.steps) {
    const StageContract* contract = FindContract(step.stage);
    const std::string program = contract == nullptr ? Name(step.kind) : contract->program;
    auto it = std::find_if(processes.begin(), processes.end(),
                           [&](const auto& p) { return p.program == program; });
    if (it == processes.end()) it = processes.insert(processes.end(), {program, 1, 1, {}});
    it->processes = std::max(it->processes, step.workers);
    switch (step.kind) {
      case StageKind::kPropose:
        it->slots = 8;  // mostly waiting for answers
        break;
      case StageKind::kCompile:
        it->slots = static_cast<uint32_t>(std::max<size_t>(1, free_cores));
        break;
      case StageKind::kVerify:
        it->slots = static_cast<uint32_t>(std::max<size_t>(1, free_cores / 2));
        break;
      default:
        it->slots = 1;
    }
  }
  return processes;
}

uint32_t AutoInFlight(const std::vector<StageProcess>& processes) {
  uint32_t slots = 0;
  for (const StageProcess& p : processes) {
    if (p.program != "propose" && p.program != "select") slots += p.slots * p.processes;
  }
  return std::max(4u, 2 * slots + 2);
}

void PinTo(const std::vector<int>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(static_cast<size_t>(core), &set);
  sched_setaffinity(0, sizeof set, &set);
}

}  // namespace kev
