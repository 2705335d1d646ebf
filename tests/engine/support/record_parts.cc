#include "tests/engine/support/record_parts.h"

namespace kev::testing {

std::vector<Subject> SubjectsOf(const std::vector<RecordPart>& parts) {
  std::vector<Subject> subjects;
  for (const RecordPart& part : parts) {
    if (subjects.empty() || subjects.back() != part.subject) subjects.push_back(part.subject);
  }
  return subjects;
}

Fields FieldsByRecord(const RunCore& core, Subject subject) {
  Fields fields;
  const Value record = core.CandidateRecord(subject);
  if (record.IsNull()) return fields;
  if (subject.kind == SubjectKind::kRequest) {
    fields["record"] = ToJson(record);
    return fields;
  }
  Value birth = Value::Map();
  for (const auto& [key, value] : record.AsMap()) {
    if (key == "steps") {
      for (const auto& [label, outcome] : value.AsMap()) fields["step:" + label] = ToJson(outcome);
    } else if (key == "artefacts") {
      fields[key] = ToJson(value);
    } else if (key == "state" || key == "verdict" || key == "message" || key == "ended_by" ||
               key == "same_as") {
      fields[key] = value.AsString();
    } else {
      birth.Set(key, value);
    }
  }
  fields["record"] = ToJson(birth);
  return fields;
}

Fields FieldsOf(const Projection& projection) {
  return {projection.fields.begin(), projection.fields.end()};
}

void WrittenRecords::Write(const std::vector<Projection>& projections) {
  for (const Projection& projection : projections) {
    Fields& fields = all_[projection.key];
    if (projection.anew) fields.clear();
    for (const auto& [field, value] : projection.fields) fields[field] = value;
  }
}

}  // namespace kev::testing
