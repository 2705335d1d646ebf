// A name that nothing else has: 128 random bits as 32 hex digits. Threads: any. Errors: none.
#ifndef KEV_QUEUE_RANDOM_NAME_H_
#define KEV_QUEUE_RANDOM_NAME_H_

#include <string>

namespace kev {

std::string RandomName();

}  // namespace kev

#endif  // KEV_QUEUE_RANDOM_NAME_H_
