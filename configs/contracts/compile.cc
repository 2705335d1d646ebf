#include "configs/contracts/contracts.h"

namespace kev {

std::vector<StageContract> CompileContracts() {
  StageContract compile;
  compile.name = "compile";
  compile.kind = StageKind::kCompile;
  compile.about =
      "Runs the target's compiler on the candidate's source. Gives one or more artefacts; the "
      "compiler's output is kept as the blob `stderr`, and what gcc or clang say of vectorisation "
      "as `remarks`, which the artefact names for profile. Verdicts: ok, no_compile, timeout, "
      "resources. Answers from its cache when compiler, flags and source are the same.";
  compile.facts = {
      {"seconds", FieldType::kDouble, "s", "time the compiler took; of the first time when cached"},
      {"bytes", FieldType::kInt, "bytes", "size of the machine code"},
      {"isolation", FieldType::kString, "",
       "how the compiler was confined: bubblewrap, namespaces, landlock or none"},
  };
  compile.program = "compile";
  return {compile};
}

}  // namespace kev
