#include "engine/core/run_core.h"
namespace kev { std::string RunCore::Snapshot() const { return {}; }
Result<std::unique_ptr<RunCore>> RunCore::FromSnapshot(std::string_view, Options) { return Error{Code::kInternal, "no snapshots yet"}; } }
