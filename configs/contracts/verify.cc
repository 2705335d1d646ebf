#include "configs/contracts/contracts.h"

namespace kev {

std::vector<StageContract> VerifyContracts() {
  StageContract verify;
  verify.name = "verify";
  verify.kind = StageKind::kVerify;
  verify.about =
      "Compares the candidate's outputs with those of the reference, computed in another process. "
      "Takes the "
      "candidate's artefact and the reference's. Verdicts: ok, wrong, nondeterministic, crashed, "
      "timeout, "
      "resources, cheated.";
  verify.settings = {
      {.name = "rigor",
       .type = FieldType::kString,
       .otherwise = "full",
       .choices = {"smoke", "full"},
       .about =
           "smoke: one seed of the smallest workload; full: every workload and seed, the ends of "
           "the domain, held-out workloads, and shapes drawn from the domain"},
  };
  verify.facts = {
      {"workloads", FieldType::kInt, "",
       "workloads compared, the domain's ends and drawn ones counted"},
      {"worst_error", FieldType::kDouble, "ratio",
       "largest error as a multiple of what the tolerance allows, on shapes that are not held out"},
      {"held_out", FieldType::kInt, "", "of these, workloads that propose and select cannot see"},
      {"bit_differences", FieldType::kInt, "",
       "full: elements whose bits differ between two calls on the same input, on shapes that are "
       "not "
       "held out"},
      {"cases", FieldType::kInt, "", "inputs on which it was called"},
      {"errors", FieldType::kMap, "",
       "of the worst output on a shape that is not held out: median, p99.9 and largest error in "
       "ulp "
       "and as multiples of what is allowed, where, what was expected and what was got"},
      {"deterministic", FieldType::kBool, "", "full: two calls on the same input agree bit by bit"},
      {"isolation", FieldType::kString, "",
       "how the kernel was confined: bubblewrap, namespaces, landlock or none; and seccomp"},
  };
  verify.program = "verify";
  return {verify};
}

}  // namespace kev
