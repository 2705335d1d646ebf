// Where an engine may listen: tcp://ADDRESS:PORT, and beyond this machine only with keys, or when
// that was accepted in words. Threads: functions on values. Errors: kInvalid, saying what to write.
#ifndef KEV_TOOLS_LIVE_LISTEN_H_
#define KEV_TOOLS_LIVE_LISTEN_H_

#include <string>
#include <vector>

#include "engine/core/result.h"

namespace kev {

// `keys`: peers over tcp must prove who they are (--access).
Status CheckListen(const std::vector<std::string>& endpoints, bool insecure, bool keys);

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_LISTEN_H_
