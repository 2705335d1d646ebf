#include "stages/sdk/arguments.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

namespace kev {
namespace {

bool ParseNumber(std::string_view text, int64_t least, int64_t most, int64_t* out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return error == std::errc() && end == text.data() + text.size() && *out >= least && *out <= most;
}

std::string DefaultHome() {
  if (const char* home = std::getenv("KEVOLVE_HOME"); home != nullptr && *home != '\0') return home;
  const char* user = std::getenv("HOME");
  return std::string(user != nullptr && *user != '\0' ? user : "/tmp") + "/.local/state/kevolve";
}

// Seconds, or a number with ms, s or m.
bool ParseTime(std::string_view text, std::chrono::milliseconds* out) {
  int64_t unit = 1000;
  if (text.ends_with("ms")) {
    unit = 1;
    text.remove_suffix(2);
  } else if (text.ends_with("s")) {
    text.remove_suffix(1);
  } else if (text.ends_with("m")) {
    unit = 60000;
    text.remove_suffix(1);
  }
  int64_t n = 0;
  if (!ParseNumber(text, 0, 1000000, &n)) return false;
  *out = std::chrono::milliseconds(n * unit);
  return true;
}

// name=value, both not empty.
bool SplitPair(const std::string& text, std::string* name, std::string* value) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos || equals + 1 == text.size()) return false;
  *name = text.substr(0, equals);
  *value = text.substr(equals + 1);
  return true;
}

// Those that say something about the worker. False: it is none of them.
Result<bool> ParseAbout(const std::string& name, const std::string& value, StageArguments* out) {
  int64_t number = 0;
  std::string what, is;
  if (name == "--prefetch") {
    if (!ParseNumber(value, 0, kMostPrefetch, &number))
      return Error{Code::kInvalid, "--prefetch " + value + ": a number from 0 to " +
                                       std::to_string(kMostPrefetch) + " is needed"};
    out->prefetch = static_cast<uint32_t>(number);
  } else if (name == "--label") {
    if (!SplitPair(value, &what, &is))
      return Error{Code::kInvalid, "--label " + value + ": write NAME=VALUE, e.g. gpu.model=H100"};
    out->labels[what] = is;
  } else if (name == "--resource") {
    if (!SplitPair(value, &what, &is) || !ParseNumber(is, 0, 1 << 20, &number))
      return Error{Code::kInvalid, "--resource " + value + ": write NAME=NUMBER, e.g. device=2"};
    out->resources[what] = static_cast<uint32_t>(number);
  } else if (name == "--expires-in") {
    if (!ParseTime(value, &out->expires_in))
      return Error{Code::kInvalid, "--expires-in " + value + ": write seconds, or 500ms, 30s, 5m"};
  } else {
    return false;
  }
  return true;
}

}  // namespace

Result<std::vector<int>> ParseCores(const std::string& text) {
  std::vector<int> cores;
  size_t at = 0;
  while (at <= text.size()) {
    const size_t comma = std::min(text.find(',', at), text.size());
    const std::string_view part = std::string_view(text).substr(at, comma - at);
    const size_t dash = part.find('-');
    int64_t first = 0, last = 0;
    const bool good = dash == std::string_view::npos
                          ? ParseNumber(part, 0, 1023, &first) && ParseNumber(part, 0, 1023, &last)
                          : ParseNumber(part.substr(0, dash), 0, 1023, &first) &&
                                ParseNumber(part.substr(dash + 1), first, 1023, &last);
    if (!good) return Error{Code::kInvalid, "'" + text + "' is not a list of cores; write 0,2-3"};
    for (int64_t core = first; core <= last; ++core) cores.push_back(static_cast<int>(core));
    at = comma + 1;
  }
  return cores;
}

Result<StageArguments> ParseStageArguments(const std::vector<std::string>& words) {
  StageArguments out;
  out.home = DefaultHome();
  for (size_t i = 0; i < words.size(); ++i) {
    std::string name = words[i], value;
    if (name == "--help" || name == "-h") {
      out.help = true;
      return out;
    }
    if (const size_t equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    } else if (i + 1 < words.size()) {
      value = words[++i];
    } else {
      return Error{Code::kInvalid, name + " needs a value"};
    }
    int64_t number = 0;
    if (name == "--connect") {
      out.connect = value;
    } else if (name == "--access") {
      out.access = value;
    } else if (name == "--slots") {
      if (!ParseNumber(value, 1, 1024, &number)) {
        return Error{Code::kInvalid, "--slots " + value + ": a number from 1 to 1024 is needed"};
      }
      out.slots = static_cast<uint32_t>(number);
    } else if (name == "--cores") {
      if (value.empty()) continue;
      Result<std::vector<int>> cores = ParseCores(value);
      if (!cores) return cores.error();
      out.cores = std::move(*cores);
    } else if (name == "--home") {
      out.home = value;
    } else if (name == "--engine-lost-grace") {
      if (!ParseTime(value, &out.engine_lost_grace)) {
        return Error{Code::kInvalid,
                     "--engine-lost-grace " + value + ": write seconds, or 500ms, 30s, 5m"};
      }
    } else {
      const Result<bool> about = ParseAbout(name, value, &out);
      if (!about) return about.error();
      if (!*about) return Error{Code::kInvalid, "unknown argument " + name};
    }
  }
  if (out.connect.empty() && out.access.empty()) {
    return Error{Code::kInvalid,
                 "--connect ENDPOINT is needed, e.g. tcp://host:5555, or --access FILE"};
  }
  return out;
}

std::string StageUsage(const std::string& program) {
  return "usage: kevolve-" + program +
         " --connect ENDPOINT [--access FILE] [--slots N] [--prefetch N] [--label NAME=VALUE]...\n"
         "       [--resource NAME=N]... [--expires-in TIME] [--cores LIST] [--home FOLDER]\n"
         "       [--engine-lost-grace TIME]\n"
         "Serves the " +
         program +
         " stage of the engine at ENDPOINT until it is drained (SIGTERM) or the engine has\n"
         "been gone for TIME (default 30s).\n";
}

}  // namespace kev
