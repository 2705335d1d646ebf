// Reads one YAML map by a table of its keys: unknown, repeated and missing keys and wrong types are
// all reported, and what is right is read even when something beside it is wrong.
//
// A Field's reader is made by one of the functions below, or is any function on (node, report).
// Threads: one at a time. Errors: go to the Report.
#ifndef KEV_CONFIGS_SECTION_READER_H_
#define KEV_CONFIGS_SECTION_READER_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "configs/diagnostics.h"
#include "configs/yaml_tree.h"

namespace kev {

using Reader = std::function<void(const YamlNode&, Report&)>;

struct Field {
  std::string key;
  Reader read;
  bool needed = false;
};

// `what` names the section in messages: "a step", "`budget`". Keys in `later` belong to later
// versions of the format.
void ReadSection(const YamlNode& node, const std::string& what, const std::vector<Field>& fields,
                 Report& report, const std::vector<std::string>& later = {});
// A map with free keys: `read` is called for each, in order; repeated keys are reported.
void ReadEach(const YamlNode& node, const std::string& what, Report& report,
              const std::function<void(const YamlNode& key, const YamlNode& value)>& read);

// Readers. Targets must outlive the call of ReadSection.
Reader Text(std::string* out);
Reader TextIn(std::string* out, std::vector<std::string> choices);
Reader Texts(std::vector<std::string>* out);  // a list of scalars
Reader Flag(bool* out);
Reader Number(double* out, double least);  // finite, >= least
Reader Positive(double* out);              // finite, > 0
Reader Integer(int64_t* out);
Reader Count(uint64_t* out, uint64_t least, uint64_t most = UINT64_MAX);  // with k, M, G
Reader Count32(uint32_t* out, uint32_t least, uint32_t most = UINT32_MAX);
Reader DurationMs(uint64_t* out);  // > 0
Reader DurationMs32(uint32_t* out);
Reader TextMap(std::map<std::string, std::string>* out);
Reader Keep(const YamlNode** out);  // read later
Reader FormatVersion();             // must be 1

}  // namespace kev

#endif  // KEV_CONFIGS_SECTION_READER_H_
