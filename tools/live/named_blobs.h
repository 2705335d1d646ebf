// Which blobs a log names: what must be kept beside it. Threads: functions on values. Errors: none.
#ifndef KEV_TOOLS_LIVE_NAMED_BLOBS_H_
#define KEV_TOOLS_LIVE_NAMED_BLOBS_H_

#include <functional>

#include "engine/core/event.h"

namespace kev {

// Sources, artefacts and further blobs of one group, in its order, doubled ones included.
void ForEachNamedBlob(const EventGroup& group, const std::function<void(const BlobRef&)>& each);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_NAMED_BLOBS_H_
