// "Did you mean …?": the known name nearest to one that is not known.
// Threads: functions on values. Errors: none; an empty string when nothing is near.
#ifndef KEV_CONFIGS_SUGGESTION_H_
#define KEV_CONFIGS_SUGGESTION_H_

#include <string>
#include <string_view>
#include <vector>

namespace kev {

// The nearest of `known` (edit distance with transpositions, at most a third of the length), or "".
std::string Nearest(std::string_view name, const std::vector<std::string>& known);
// " (did you mean 'x'?)", or the list of what there is when nothing is near and the list is short,
// or "".
std::string DidYouMean(std::string_view name, const std::vector<std::string>& known);

}  // namespace kev

#endif  // KEV_CONFIGS_SUGGESTION_H_
