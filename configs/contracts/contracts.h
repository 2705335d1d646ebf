// The parts of the stage contract table, one per stage. Collected in configs/contract.cc.
#ifndef KEV_CONFIGS_CONTRACTS_CONTRACTS_H_
#define KEV_CONFIGS_CONTRACTS_CONTRACTS_H_

#include <vector>

#include "configs/contract.h"

namespace kev {

std::vector<StageContract> ProposeContracts();
std::vector<StageContract> CompileContracts();
std::vector<StageContract> VerifyContracts();
std::vector<StageContract> ProfileContracts();
std::vector<StageContract> SelectContracts();
std::vector<StageContract> NullContracts();  // after the others: takes over their facts

}  // namespace kev

#endif  // KEV_CONFIGS_CONTRACTS_CONTRACTS_H_
