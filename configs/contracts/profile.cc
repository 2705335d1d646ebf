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
      "launch. Takes a list of artefacts; gives the figures below and two blobs: `samples`, all of "
      "them, and "
      "`profile`, JSON of a few KiB about why the candidate is as slow as it is (time_s, "
      "bottleneck, "
      "roofline, hot_loop, mix, static, remarks, workloads, peaks, absent). A final result that is "
      "suspect "
      "is "
      "measured again and the slower one kept; `samples_other` has the other. "
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
       .about =
           "process launches per artefact; 0: one for screen; for final 10, and up to 40 until "
           "more would change nothing"},
  };
  profile.facts = {
      {"speedup", FieldType::kDouble, "ratio",
       "against the strongest baseline, over the visible workloads"},
      {"speedup_low", FieldType::kDouble, "ratio", "lower end of its interval at 95 %"},
      {"speedup_high", FieldType::kDouble, "ratio", "upper end of its interval"},
      {"aa_band", FieldType::kDouble, "log ratio",
       "within which 95 % of such comparisons of the baseline with its own copy stay"},
      {"faster", FieldType::kBool, "",
       "final, of 8 launches or more: the lower end of its interval at 99 % is above 1 and the A/A "
       "band"},
      {"noisy", FieldType::kBool, "", "the machine was too busy for the figures to be believed"},
      {"conditions", FieldType::kMap, "",
       "clock_ghz, windows, disturbed, run_delay_ms, involuntary_switches, steal_ms, others_ms, "
       "noise: under what conditions it was measured; clocks_apart: how far a second clock is from "
       "the one that times, as a share"},
      {"cache", FieldType::kString, "", "warm or cold: where a call finds its arrays"},
      {"latency_ns", FieldType::kDouble, "ns", "of one call, weighted over the visible workloads"},
      {"flops", FieldType::kDouble, "1/s", "from the task's formula"},
      {"bytes", FieldType::kDouble, "1/s", "from the task's formula"},
      {"bottleneck", FieldType::kString, "",
       "compute, memory-L1, memory-L2, memory-L3, memory-DRAM, latency, front-end, call-overhead "
       "or "
       "unknown: what holds back the visible workload on which most time is spent"},
      {"floor_ns", FieldType::kDouble, "ns",
       "least time of one call that the machine's peaks allow, of the visible workload that came "
       "nearest to it; absent where no peak is known. Below the datasheet's: impossible"},
      {"suspect", FieldType::kBool, "", "faster than the peak measured on this machine allows"},
      {"launches", FieldType::kInt, "", "process launches of the candidate"},
      {"fidelity", FieldType::kString, "", "screen or final"},
      {"baseline", FieldType::kString, "", "the strongest baseline, which speedup is against"},
      {"ranking", FieldType::kMap, "ns",
       "of the calibration job only: each baseline's time, by name; fixes the strongest one"},
      {"speedup_vs", FieldType::kMap, "ratio", "against each baseline that was measured, by name"},
      {"incumbent", FieldType::kMap, "ratio",
       "name, speedup, speedup_low, speedup_high against the incumbent; `anchor`: a screening was "
       "timed beside it instead of the strongest baseline, over which it has this speedup; "
       "`refused`: why it was left out"},
      {"head_to_head", FieldType::kMap, "ratio",
       "of the closing measurement: speedup, low, high against each of those confirmed next to the "
       "winner, by name, from the same launches; all hold at once. `refused`: why one was left "
       "out"},
      {"overtaken_by", FieldType::kString, "",
       "the one of them that was surely faster; absent where none was"},
      {"workloads", FieldType::kMap, "",
       "by name: speedup, low, high, latency_ns, baseline_ns, flops, bytes, weight, held_out, "
       "log_ratios per launch; bottleneck of visible ones"},
      {"trust", FieldType::kString, "", "B: a host function, timed from outside its code"},
      {"isolation", FieldType::kString, "",
       "how the kernels were confined: bubblewrap, namespaces, landlock or none; and seccomp"},
  };
  profile.program = "profile";
  return {profile};
}

}  // namespace kev
