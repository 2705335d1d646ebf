// Loading: workflow, task and target files, checked as a whole before anything runs.
//
// Every problem is a Diagnostic with file:line:column; all of them come in one go. Files are read
// through a FileSource, so that a worker on another machine loads the same bytes from the run's
// bundle. Threads: functions on values. Errors: diagnostics for what is in a file, Error for a file
// that cannot be read. yaml-cpp stays in the .cc files.
#ifndef KEV_CONFIGS_LOAD_H_
#define KEV_CONFIGS_LOAD_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "configs/target.h"
#include "configs/task.h"
#include "engine/core/plan.h"
#include "engine/core/result.h"
#include "engine/core/value.h"

namespace kev {

struct Diagnostic {
  enum class Severity { kError, kWarning } severity = Severity::kError;
  std::string file;
  int line = 0;             // 1-based; 0: the whole file
  int column = 0;           // 1-based
  std::string message;      // what is wrong and, where known, what to do ("did you mean …?")
  std::string source_line;  // text of that line
};
// "file:3:7: error: …", the line, a caret.
std::string Format(const Diagnostic& diagnostic);
std::string Format(const std::vector<Diagnostic>& diagnostics);

class FileSource {
 public:
  virtual ~FileSource() = default;
  virtual Result<std::string> Read(const std::string& path) const = 0;
};
class DiskFiles : public FileSource {
 public:
  Result<std::string> Read(const std::string& path) const override;
};
class MemoryFiles : public FileSource {
 public:
  explicit MemoryFiles(std::map<std::string, std::string> files) : files_(std::move(files)) {}
  Result<std::string> Read(const std::string& path) const override;

 private:
  std::map<std::string, std::string> files_;
};

// What a command line may change: --task, --target, --seed, --candidates, --wall …
struct Overrides {
  std::string task;  // name of a shipped task or path of a task folder; "" = the workflow's own
  std::string target;
  std::map<std::string, std::string>
      budget;  // budget key -> text as in YAML, e.g. candidates -> "50"
  std::string seed;
};

// A workflow with all that it refers to, checked. `plan.context` and blob references are not yet
// set (see Bundle).
struct LoadedRun {
  Plan plan;
  Task task;
  std::vector<Target> targets;
  std::string workflow_path;
  // Every file read, by a name that is the same on every machine (flow.yaml, task/…,
  // targets/cpu.yaml): the content of the bundle.
  std::map<std::string, std::string> files;
};

struct LoadOutcome {
  std::vector<Diagnostic> diagnostics;  // empty of errors exactly when `run` is set
  std::unique_ptr<LoadedRun> run;
};

// Loads the workflow at `path`, its task and targets. Task and target names are looked for beside
// the workflow (relative path), then in `shipped`/tasks and `shipped`/targets.
LoadOutcome LoadRun(const FileSource& files, const std::string& path, const std::string& shipped,
                    const Overrides& overrides);

struct LoadTaskOutcome {
  std::vector<Diagnostic> diagnostics;
  std::unique_ptr<Task> task;
};
LoadTaskOutcome LoadTask(const FileSource& files, const std::string& folder);

// The run's bundle: what workers need, as one Value (files and overrides), stored as a blob and
// named by Plan::context.
Value MakeBundle(const LoadedRun& run, const Overrides& overrides);
// The inverse: loads from the bundle's own bytes; never touches the disk. Used by every worker.
Result<LoadedRun> OpenBundle(const Value& bundle);

}  // namespace kev

#endif  // KEV_CONFIGS_LOAD_H_
