// What this machine has of all that kevolve can use, one check a thing.
//
// Threads: one. Errors: none; what cannot be found out is said in the check's detail.
#ifndef KEV_TOOLS_KEVOLVE_DOCTOR_CHECKS_H_
#define KEV_TOOLS_KEVOLVE_DOCTOR_CHECKS_H_

#include <string>
#include <vector>

#include "engine/core/value.h"

namespace kev {

struct DoctorCheck {
  // Need: without it no run on the CPU. Lacks: something works less well, or not at all.
  enum class State { kOk, kLacks, kNeed };
  std::string name;
  State state = State::kOk;
  std::string detail;  // what was found, or what does not work without it
  std::string remedy;  // package to install, setting to change; "" when nothing is to be done
};

std::vector<DoctorCheck> DoctorChecks();
Value ToValue(const std::vector<DoctorCheck>& checks);

}  // namespace kev

#endif  // KEV_TOOLS_KEVOLVE_DOCTOR_CHECKS_H_
