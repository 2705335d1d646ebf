#include "stages/propose/prompt.h"

#include <cctype>
#include <kainjow/mustache.hpp>
#include <set>

namespace kev {
namespace {

namespace mustache = kainjow::mustache;

constexpr char kSystem[] =
    "You write fast kernels. You answer with a short sentence on your idea and one complete source "
    "file in one fenced "
    "code block.";

constexpr char kUser[] = R"(# Task
{{about}}

Write a faster implementation of this function, with exactly this declaration:

```c
{{declaration}}
```

Clear reference, which defines what is right:

```c
{{reference}}
```

It is called with these shapes (weight says how often):
{{#workloads}}
- {{name}}: {{axes}}, weight {{weight}}
{{/workloads}}
It must be right for every shape in this domain: {{domain}}.
Tolerance: {{tolerance}}. Inputs and outputs do not overlap.

It is compiled with: {{command}}
Other libraries cannot be linked.
{{#parents}}

# Kernel to improve: {{name}}
{{#measured}}
Measured: {{measured}}
{{/measured}}
{{#parameters}}
Parameters: {{parameters}}
{{/parameters}}

```c
{{source}}
```
{{#profile}}

Why it is as slow as it is, as far as that is known:

```json
{{profile}}
```
{{/profile}}
{{/parents}}
{{#any_failures}}

# What went wrong lately
{{#failures}}
- {{name}}: {{verdict}}: {{message}}
{{#excerpt}}

```
{{excerpt}}
```
{{/excerpt}}
{{/failures}}
{{/any_failures}}

# Answer
One complete source file, in one fenced code block that begins with ```c, with every #include that it needs. It defines
{{function}} as declared above. One thread; no input or output, no allocation that outlives the call, nothing kept between calls.
)";

std::string Text(const Axes& axes) {
  std::string text;
  for (const auto& [axis, value] : axes)
    text += (text.empty() ? "" : ", ") + axis + " = " + std::to_string(value);
  return text;
}

std::string DomainText(const Task& task) {
  std::string text;
  for (const auto& [axis, range] : task.domain)
    text += (text.empty() ? "" : ", ") + axis + " in [" + std::to_string(range.first) + ", " +
            std::to_string(range.second) + "]";
  return text.empty() ? "any positive sizes" : text;
}

std::string ToleranceText(const Task& task) {
  std::string text;
  if (task.measured) {
    text = "floats: median, 99.9th percentile and largest error at most " +
           FormatDouble(task.measured->factor) + " times those of '" + task.measured->yardstick +
           "' against double precision, and 2 ulp in any case";
  }
  for (const auto& [dtype, tolerance] : task.tolerance)
    text += (text.empty() ? "" : "; ") + dtype + ": relative " + FormatDouble(tolerance.rtol) +
            ", absolute " + FormatDouble(tolerance.atol);
  return (text.empty() ? "" : text + "; ") + "integers exactly";
}

std::string CommandText(const PromptInput& input) {
  std::string text;
  auto language = input.target->languages.find(input.suffix);
  if (language == input.target->languages.end()) return input.target->about;
  for (const std::string& word : language->second.compile)
    if (word != "{flags}" && word != "{link}") text += (text.empty() ? "" : " ") + word;
  return text;
}

// Numbers and words of the profile's facts; per-workload tables only of workloads that may be seen.
std::string MeasuredText(const Value& facts, const Task& task) {
  std::string text;
  auto add = [&](const std::string& name, const Value& value) {
    std::string shown = value.IsString()   ? value.AsString()
                        : value.IsDouble() ? FormatDouble(value.AsDouble())
                                           : ToJson(value);
    text += (text.empty() ? "" : ", ") + name + " " + shown;
  };
  std::set<std::string> visible;
  for (const Workload& workload : task.workloads)
    if (!workload.held_out) visible.insert(workload.name);
  for (const auto& [name, value] : facts.AsMap()) {
    if (value.IsNumber() || (value.IsString() && !TellsHeldOut(task, value.AsString())))
      add(name, value);
    for (const auto& [workload, figure] : value.AsMap())
      if (visible.contains(workload)) add(name + " of " + workload, figure);
  }
  return text;
}

std::string ParametersText(const Value& parameters) {
  std::string text;
  for (const auto& [name, value] : parameters.AsMap())
    text += (text.empty() ? "" : ", ") + name + " = " + ToJson(value);
  return text;
}

bool IsWordByte(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

bool HasWord(const std::string& text, const std::string& word) {
  if (word.empty()) return false;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    size_t end = at + word.size();
    if ((at == 0 || !IsWordByte(text[at - 1])) && (end == text.size() || !IsWordByte(text[end])))
      return true;
  }
  return false;
}

mustache::data ParentData(const PromptParent& parent, const Task& task) {
  mustache::data data;
  data.set("name", parent.name);
  data.set("source", parent.source);
  if (std::string text = MeasuredText(parent.facts, task); !text.empty())
    data.set("measured", text);
  if (std::string text = ParametersText(parent.parameters); !text.empty())
    data.set("parameters", text);
  if (!parent.profile.empty()) data.set("profile", parent.profile);
  return data;
}

mustache::data FailureData(const PromptFailure& failure, const Task& task) {
  mustache::data data;
  data.set("name", failure.name);
  data.set("verdict", Name(failure.verdict));
  // The compiler sees no workload; a line number is not a shape.
  bool hide = failure.verdict != Verdict::kNoCompile && TellsHeldOut(task, failure.message);
  data.set("message", hide ? "on a shape of the domain that is not listed here" : failure.message);
  if (!failure.excerpt.empty() && !hide) data.set("excerpt", failure.excerpt);
  return data;
}

}  // namespace

bool TellsHeldOut(const Task& task, const std::string& text) {
  std::set<int64_t> shown;
  for (const Workload& workload : task.workloads)
    for (const auto& [axis, value] : workload.axes)
      if (!workload.held_out) shown.insert(value);
  for (const Workload& workload : task.workloads) {
    if (!workload.held_out) continue;
    if (HasWord(text, workload.name)) return true;
    for (const auto& [axis, value] : workload.axes)
      if (!shown.contains(value) && value > 16 && HasWord(text, std::to_string(value))) return true;
  }
  return false;
}

Result<Prompt> RenderPrompt(const PromptInput& input) {
  const Task& task = *input.task;
  try {
    mustache::data data;
    data.set("about", task.about);
    data.set("declaration", Declaration(task) + ";");
    data.set("reference", task.reference.text);
    data.set("function", task.function);
    data.set("domain", DomainText(task));
    data.set("tolerance", ToleranceText(task));
    data.set("command", CommandText(input));
    mustache::data workloads(mustache::data::type::list);
    for (const Workload& workload : task.workloads) {
      if (workload.held_out) continue;
      mustache::data one;
      one.set("name", workload.name);
      one.set("axes", Text(workload.axes));
      one.set("weight", FormatDouble(workload.weight));
      workloads.push_back(one);
    }
    data.set("workloads", workloads);
    mustache::data parents(mustache::data::type::list);
    for (const PromptParent& parent : input.parents) parents.push_back(ParentData(parent, task));
    data.set("parents", parents);
    mustache::data failures(mustache::data::type::list);
    for (const PromptFailure& failure : input.failures)
      failures.push_back(FailureData(failure, task));
    data.set("failures", failures);
    data.set("any_failures", mustache::data(!input.failures.empty()));

    mustache::mustache user(kUser);
    user.set_custom_escape([](const std::string& text) { return text; });  // source, not HTML
    Prompt prompt{kSystem, user.render(data)};
    if (!user.is_valid())
      return Error{Code::kInternal, "the prompt template: " + user.error_message()};
    return prompt;
  } catch (const std::exception& e) {
    return Error{Code::kInternal, std::string("the prompt template: ") + e.what()};
  }
}

}  // namespace kev
