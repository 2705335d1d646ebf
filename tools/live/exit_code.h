// Exit codes of every program here (docs/exit-codes.md).
#ifndef KEV_TOOLS_LIVE_EXIT_CODE_H_
#define KEV_TOOLS_LIVE_EXIT_CODE_H_

namespace kev {

inline constexpr int kExitDone = 0;
inline constexpr int kExitInternal = 1;
inline constexpr int kExitBadInput = 2;    // arguments, YAML, task files
inline constexpr int kExitTaskBroken = 3;  // reference or baseline fails, compiler missing
inline constexpr int kExitNoneStood = 4;   // the search ended and no candidate was confirmed
inline constexpr int kExitEnvironment =
    5;  // disk full, path unwritable or too long, port or file in use, no redis-server
inline constexpr int kExitStoreLost = 6;  // the store went away; what was committed is kept: resume
inline constexpr int kExitDiffers = 7;    // replay found a difference
inline constexpr int kExitHackable = 8;   // validate --qualify: the task accepts what is no answer
inline constexpr int kExitInterrupted = 130;  // Ctrl-C; state kept: resume

}  // namespace kev

#endif  // KEV_TOOLS_LIVE_EXIT_CODE_H_
