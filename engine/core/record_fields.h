// The record of a candidate, a request or a prepared thing as the fields that are kept beside the
// log. Each part that changes for itself is a field: what has been written once is not written
// again at every step (whole records took a third of what a candidate cost).
//
//   record             JSON: what does not change after birth (of a request: all of it)
//   state              active | ended
//   verdict, message, ended_by   as they are, once there is one
//   artefacts          JSON list
//   step:ID, step:ID[2], step:ID[claim 1]   JSON: the outcome of each step that has begun
//
// The same facts as RunCore::CandidateRecord, written straight from the state. Threads: plain
// values. Errors: none.
#ifndef KEV_ENGINE_CORE_RECORD_FIELDS_H_
#define KEV_ENGINE_CORE_RECORD_FIELDS_H_

#include <string>
#include <utility>
#include <vector>

#include "engine/core/run_core.h"

namespace kev {

using RecordFields = std::vector<std::pair<std::string, std::string>>;

// All fields of the record; none when the core does not have it.
RecordFields AllFields(const RunCore& core, Subject subject);
// Those of a part that is not all.
void AppendFields(const RunCore& core, const RecordPart& part, RecordFields* out);

}  // namespace kev

#endif  // KEV_ENGINE_CORE_RECORD_FIELDS_H_
