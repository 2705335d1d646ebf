// What outputs hold before a call: values such as a wrong kernel might leave.
//
// Threads: functions on values. Errors: none.
#ifndef KEV_STAGES_VERIFY_POISON_H_
#define KEV_STAGES_VERIFY_POISON_H_

#include <cstdint>
#include <vector>

#include "configs/task.h"
#include "stages/verify/prepared_case.h"

namespace kev {

// Random values between the least and the largest expected one: they stand out neither as NaN nor
// as zero, and tell nothing of what is right. By argument; "" for what is not only an output.
// Another seed gives another poison.
Arrays PoisonFor(const std::vector<const Argument*>& arguments, const PreparedCase& prepared,
                 uint64_t seed);

}  // namespace kev

#endif  // KEV_STAGES_VERIFY_POISON_H_
