#include "configs/contracts/contracts.h"
#include "configs/units.h"

namespace kev {

std::vector<StageContract> ProfileContracts() {
  StageContract profile;
  profile.name = "profile";
  profile.kind = StageKind::kProfile;
  profile.about =
      "Measures candidate, incumbent and baselines in separate processes, interleaved; the unit is "
      "the process "
      "launch. Takes a list of artefacts; gives the figures below and all samples as a blob. "
      "Intervals are at 95 %.";
  profile.settings = {
      {.name = "rigor",
       .type = FieldType::kString,
       .otherwise = "screen",
       .choices = {"screen", "final"},
       .about = "screen: few launches, for choosing; final: enough for a claim, the only one that "
                "can move `best`"},
      {.name = "give_up",
       .type = FieldType::kString,
       .otherwise = "4x",
       .about = "stop early when a call takes this multiple of the strongest baseline's time, or "
                "this long",
       .form = "a multiple like 3x or a duration like 20s",
       .accepts = IsMultipleOrDuration},
      {.name = "launches",
       .type = FieldType::kInt,
       .otherwise = 0,
       .least = 0,
       .most = 1000,
       .about = "process launches per artefact; 0: as many as the rigor needs"},
  };
  profile.facts = {
      {"speedup", FieldType::kDouble, "ratio",
       "against the strongest baseline, over the visible workloads"},
      {"speedup_low", FieldType::kDouble, "ratio", "lower end of its interval"},
      {"speedup_high", FieldType::kDouble, "ratio", "upper end of its interval"},
      {"aa_band", FieldType::kDouble, "log ratio",
       "half-width of the interval of the A/A control, the baseline against its own copy"},
      {"latency_ns", FieldType::kDouble, "ns", "of one call, weighted over the visible workloads"},
      {"flops", FieldType::kDouble, "1/s", "from the task's formula"},
      {"bytes", FieldType::kDouble, "1/s", "from the task's formula"},
      {"launches", FieldType::kInt, "", "process launches of the candidate"},
      {"fidelity", FieldType::kString, "", "screen or final"},
      {"baseline", FieldType::kString, "", "the strongest baseline, which speedup is against"},
      {"ranking", FieldType::kMap, "ns",
       "of the calibration job only: each baseline's time, by name; fixes the strongest one"},
      {"speedup_vs", FieldType::kMap, "ratio", "against each baseline that was measured, by name"},
      {"incumbent", FieldType::kMap, "ratio",
       "name, speedup, speedup_low, speedup_high against the incumbent"},
      {"workloads", FieldType::kMap, "",
       "by name: speedup, low, high, latency_ns, baseline_ns, flops, bytes, weight, held_out, "
       "log_ratios per launch"},
      {"trust", FieldType::kString, "", "B: a host function, timed from outside its code"},
      {"isolation", FieldType::kString, "", "how the kernels were confined: process"},
  };
  profile.program = "profile";
  return {profile};
}

}  // namespace kev
