#include "tools/live/named_blobs.h"

#include "engine/core/result_fit.h"

namespace kev {

void ForEachNamedBlob(const EventGroup& group, const std::function<void(const BlobRef&)>& each) {
  const auto want = [&](const BlobRef& ref) {
    if (!ref.empty()) each(ref);
  };
  for (const Event& event : group.events) {
    if (const auto* submitted = std::get_if<RunSubmitted>(&event)) {
      want(submitted->plan.context);
      for (const Prepared& prepared : submitted->plan.prepared) want(prepared.source);
    } else if (const auto* report = std::get_if<JobReported>(&event)) {
      ForEachBlob(report->result, [&](const BlobRef& ref) {
        want(ref);
        return true;
      });
    } else if (const auto* given = std::get_if<CandidatesGiven>(&event)) {
      for (const Proposal& proposal : given->proposals) want(proposal.source);
    }
  }
}

}  // namespace kev
