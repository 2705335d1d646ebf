#include "configs/contracts/contracts.h"

namespace kev {

// Stages that do nothing, for measuring the frame itself. They declare the facts of the real ones,
// so that conditions over them can be measured too.
std::vector<StageContract> NullContracts() {
  struct Row {
    const char* name;
    StageContract like;
  };
  const Row rows[] = {{"propose/null", ProposeContracts().front()},
                      {"compile/null", CompileContracts().front()},
                      {"verify/null", VerifyContracts().front()},
                      {"profile/null", ProfileContracts().front()},
                      {"select/null", SelectContracts().front()}};
  std::vector<StageContract> contracts;
  for (const auto& [name, like] : rows) {
    StageContract contract = like;
    contract.name = name;
    contract.about =
        "Does nothing and says ok at once, with the shapes of `" + like.name + "`; for benchmarks.";
    contract.program = "null";
    std::erase_if(contract.settings, [](const Setting& s) { return s.name != "rigor"; });
    contracts.push_back(contract);
  }
  StageContract exec;
  exec.name = "exec/null";
  exec.about = "Does nothing and says ok at once; for benchmarks of the queue.";
  exec.program = "null";
  exec.kind = StageKind::kExec;
  contracts.push_back(exec);
  return contracts;
}

}  // namespace kev
