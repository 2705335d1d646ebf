// Projections: what people find of a run beside its log (records of the run, its candidates,
// requests and prepared things), as functions of the fold. Whoever writes or checks them uses
// these.
//
// Threads: plain values. Errors: none.
#ifndef KEV_ENGINE_HOST_PROJECTION_H_
#define KEV_ENGINE_HOST_PROJECTION_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/run_core.h"
#include "engine/host/store.h"

namespace kev {

// "cand:12", "req:3", "prep:1": behind the run's prefix.
std::string ProjectionKey(Subject subject);
// Null: it is the key of no candidate's, request's or prepared thing's record.
std::optional<Subject> SubjectOf(std::string_view projection_key);
// Whether the record will not change any more, so that compaction may take it away.
bool IsOver(const RunCore& core, Subject subject);
// All of the subject's record.
Projection SubjectProjection(const RunCore& core, Subject subject);
// What has changed (RunCore::TakeChanged), by subject.
std::vector<Projection> ChangedProjections(const RunCore& core,
                                           const std::vector<RecordPart>& changed);
Projection RunProjection(const RunCore& core);
// All, but for what the core has let go.
std::vector<Projection> AllProjections(const RunCore& core);

}  // namespace kev

#endif  // KEV_ENGINE_HOST_PROJECTION_H_
