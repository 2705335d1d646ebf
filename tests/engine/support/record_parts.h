// Records of subjects as fields (record_fields.h), derived another way: from the whole record, and
// by writing down each part that is told as changed.
#ifndef KEV_TESTS_ENGINE_SUPPORT_RECORD_PARTS_H_
#define KEV_TESTS_ENGINE_SUPPORT_RECORD_PARTS_H_

#include <map>
#include <string>
#include <vector>

#include "engine/core/run_core.h"
#include "engine/host/projection.h"

namespace kev::testing {

using Fields = std::map<std::string, std::string>;

// The subjects of the parts, each once.
std::vector<Subject> SubjectsOf(const std::vector<RecordPart>& parts);
// The fields of the subject, from RunCore::CandidateRecord.
Fields FieldsByRecord(const RunCore& core, Subject subject);
Fields FieldsOf(const Projection& projection);

// What is kept of a run, as a store would have it.
class WrittenRecords {
 public:
  void Write(const std::vector<Projection>& projections);
  const Fields& at(Subject subject) { return all_[ProjectionKey(subject)]; }

 private:
  std::map<std::string, Fields> all_;
};

}  // namespace kev::testing

#endif  // KEV_TESTS_ENGINE_SUPPORT_RECORD_PARTS_H_
