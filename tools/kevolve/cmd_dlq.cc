// kevolve dlq: the dead letters of a run, jobs that were given up: list, show, retry, drop.
#include <algorithm>
#include <iostream>

#include "tools/kevolve/ask_run.h"
#include "tools/kevolve/drive.h"
#include "tools/kevolve/signal_run.h"
#include "tools/live/engine_client.h"
#include "tools/live/exit_code.h"
#include "tools/live/explain.h"
#include "tools/live/stored_run.h"

namespace kev {
namespace {

Result<Value> Letters(const ControlOptions& options) {
  return AskRun(options, "dlq", Value(), {StoredRun::OpenLean, DeadLetters});
}

}  // namespace

int DlqListCommand(const ControlOptions& options) {
  const auto letters = Letters(options);
  if (!letters) return Complain(letters.error());
  if (letters->AsList().empty() && !options.json)
    std::cout << "run " << options.run << " has no dead letters\n";
  for (const Value& v : letters->AsList()) {
    if (options.json)
      std::cout << ToJson(v) << "\n";
    else
      std::cout << v["job"].AsString() << "  attempt " << v["attempt"].AsInt() << "  "
                << v["why"].AsString() << "\n";
  }
  return kExitDone;
}

int DlqShowCommand(const ControlOptions& options) {
  const auto letters = Letters(options);
  if (!letters) return Complain(letters.error());
  const Value::List& list = letters->AsList();
  const auto letter = std::find_if(list.begin(), list.end(), [&](const Value& v) {
    return v["job"].AsString() == options.subject;
  });
  if (letter == list.end()) return Complain(NoSuchLetter(options.run, options.subject));
  if (options.json) {
    std::cout << ToJson(*letter) << "\n";
    return kExitDone;
  }
  std::cout << (*letter)["job"].AsString() << ", given up with attempt "
            << (*letter)["attempt"].AsInt() << " (event " << (*letter)["seq"].AsInt() << ")\n  "
            << (*letter)["why"].AsString() << "\n";
  for (const Value& line : (*letter)["evidence"].AsList())
    std::cout << "  - " << line.AsString() << "\n";
  return kExitDone;
}

int DlqRetryCommand(const ControlOptions& options) {
  if (const auto folder = FindRunFolder(options.run);
      options.engine.empty() && options.access.empty() && folder && !IsLive(*folder)) {
    const auto letters = Letters(options);
    if (!letters) return Complain(letters.error());
    const Value::List& list = letters->AsList();
    if (std::none_of(list.begin(), list.end(),
                     [&](const Value& v) { return v["job"].AsString() == options.subject; }))
      return Complain(NoSuchLetter(options.run, options.subject));
    return Complain({Code::kNotFound, "run " + options.run + " is not live; `" + CommandName() +
                                          " resume " + options.run + " --retry " + options.subject +
                                          "` goes on with it and tries the job again"});
  }
  Value data;
  data.Set("job", options.subject);
  return SignalRun(options, "retry_dead", std::move(data),
                   options.subject + " of run " + options.run + " is tried again");
}

int DlqDropCommand(const ControlOptions& options) {
  Value data;
  data.Set("job", options.subject);
  return SignalRun(options, "drop_dead", std::move(data),
                   options.subject + " of run " + options.run + " is off the dead-letter list");
}

}  // namespace kev
