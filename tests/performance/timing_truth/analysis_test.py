"""Known answers for bounds and verdicts, and repetitions made up with known faults."""

import io
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import unittest

import analysis
import truth

HERE = os.path.dirname(os.path.abspath(__file__))


def repetitions(n, true_ratio=1.0, *, z=1.96, bias=0.0, noisy=0.0, band=0.01, seed=1):
    """Normal errors of 1 % in log ratio, intervals of z standard errors, faster when above the band."""
    random_ = random.Random(seed)
    lines = []
    for _ in range(n):
        log = math.log(true_ratio) + bias + random_.gauss(0, 0.01)
        low, high = math.exp(log - z * 0.01), math.exp(log + z * 0.01)
        lines.append(
            {
                "cell": f"pair {true_ratio}",
                "true_ratio": true_ratio,
                "ratio": math.exp(log),
                "low": low,
                "high": high,
                "faster": low > 1 + band,
                "noisy": random_.random() < noisy,
            }
        )
    return lines


class Bounds(unittest.TestCase):
    def test_exact_bounds_are_those_of_the_tables(self):
        # One-sided 95 %: 0 of n hits is 1 - 0.05^(1/n); 1 of 10 is 0.3942; 10 of 10 surely above 0.7411.
        self.assertAlmostEqual(analysis.upper_bound(0, 1000), 1 - 0.05 ** (1 / 1000), 9)
        self.assertAlmostEqual(analysis.upper_bound(1, 10), 0.39416, 5)
        self.assertAlmostEqual(analysis.lower_bound(10, 10), 0.74113, 5)
        self.assertEqual((analysis.upper_bound(5, 5), analysis.lower_bound(0, 5)), (1.0, 0.0))

    def test_a_thousand_repetitions_decide_at_the_limits(self):
        self.assertGreaterEqual(analysis.lower_bound(944, 1000), 0.93)
        self.assertLess(analysis.lower_bound(942, 1000), 0.93)
        self.assertLessEqual(analysis.upper_bound(4, 1000), 0.01)
        self.assertGreater(analysis.upper_bound(5, 1000), 0.01)


class Verdicts(unittest.TestCase):
    def judged(self, lines):
        (summary,) = analysis.by_cell(lines)
        return summary

    def test_true_figures_pass(self):
        for ratio in (1.0, 1.02, 1.05, 1.2, 2.0):
            summary = self.judged(repetitions(2000, ratio))
            self.assertEqual(summary["failures"], [], summary)
            self.assertAlmostEqual(summary["coverage"], 0.95, delta=0.015)
            self.assertAlmostEqual(summary["bias"], 0, delta=0.001)
        self.assertEqual(self.judged(repetitions(2000, 1.2))["faster"], 1)

    def test_intervals_that_are_too_narrow_fail(self):
        summary = self.judged(repetitions(2000, 1.05, z=1.7))
        self.assertEqual(len(summary["failures"]), 1)
        self.assertIn("coverage is only surely above", summary["failures"][0])

    def test_false_claims_fail_at_one_and_nowhere_else(self):
        self.assertIn("false faster", self.judged(repetitions(2000, band=0.0))["failures"][0])
        self.assertEqual(self.judged(repetitions(2000, 1.02, band=-1))["failures"], [])

    def test_bias_fails_unless_it_is_marked_as_noise(self):
        biased = repetitions(2000, 1.2, bias=0.03, z=6)
        self.assertIn("bias +3.0%", self.judged(biased)["failures"][0])
        for line in biased:
            line["noisy"] = True
        summary = self.judged(biased + repetitions(1000, 1.2))
        self.assertEqual(summary["failures"], [])
        self.assertAlmostEqual(summary["noisy"], 2 / 3, 3)

    def test_a_cell_that_is_all_noise_claims_nothing(self):
        summary = self.judged(repetitions(1000, noisy=1.1))
        self.assertEqual((summary["failures"], summary["coverage"]), ([], None))
        self.assertIn("no claim: all noisy", analysis.table([summary]))

    def test_few_repetitions_are_not_enough(self):
        self.assertIn("1000 are needed", self.judged(repetitions(100, 1.2, z=9))["failures"][0])

    def test_cells_stay_apart_and_in_order(self):
        lines = repetitions(3, 2.0) + repetitions(2, 1.05)
        self.assertEqual([s["repetitions"] for s in analysis.by_cell(lines)], [3, 2])
        lines[0]["true_ratio"] = 3.0
        with self.assertRaisesRegex(analysis.BadLine, "more than one true ratio"):
            analysis.by_cell(lines)


class Output(unittest.TestCase):
    def test_table_and_line_hold_the_same_figures(self):
        summaries = analysis.by_cell(repetitions(2000) + repetitions(2000, 2.0, z=1.0))
        text = analysis.table(summaries)
        self.assertEqual(text.count("\n"), 3)
        self.assertIn("| pair 2.0 | 2 | 2000 | 6", text)
        self.assertIn("**FAILED**: coverage", text)
        line = json.loads(analysis.json_line(summaries, {"cores": 2}))
        self.assertEqual((line["ok"], line["cores"], line["timing_truth"]), (False, 2, summaries))

    def test_conditions_make_cells(self):
        text = json.dumps(repetitions(1)[0]) + "\n\n"
        lines = []
        truth.read(io.StringIO(text), "x", "quiet", None, lines)
        self.assertEqual([line["cell"] for line in lines], ["pair 1.0, quiet"])

    def test_bad_lines_are_told_with_their_place(self):
        good = repetitions(1)[0]
        for text, words in (
            ("starting", "x, line 1: not JSON"),
            ("[1]", "not an object"),
            (json.dumps({**good, "faster": 1}), "faster is 1, not a bool"),
            (json.dumps({**good, "low": None}), "low is null, not a float"),
            (json.dumps({**good, "ratio": 0}), "above 0"),
        ):
            with self.assertRaisesRegex(analysis.BadLine, words):
                truth.read(io.StringIO(text), "x", None, None, [])

    def test_a_whole_run_counts_what_the_program_prints_quiet_and_loaded(self):
        with tempfile.TemporaryDirectory() as folder:
            given, kept = os.path.join(folder, "given"), os.path.join(folder, "kept")
            with open(given, "w", encoding="utf-8") as f:
                f.writelines(json.dumps(line) + "\n" for line in repetitions(1500))
            call = [sys.executable, os.path.join(HERE, "truth.py")]
            run = subprocess.run(
                call + ["--program", "cat", "--keep", kept, "--", given], capture_output=True, text=True, check=False
            )
            self.assertEqual((run.returncode, run.stderr), (0, ""))
            self.assertIn("| pair 1.0, quiet |", run.stdout)
            self.assertIn("| pair 1.0, loaded |", run.stdout)
            again = subprocess.run(call + ["--input", kept], capture_output=True, text=True, check=False)
            self.assertEqual(again.stdout.splitlines()[:4], run.stdout.splitlines()[:4])
            twice = subprocess.run(call + ["--input", given, given], capture_output=True, text=True, check=False)
            self.assertIn("| pair 1.0 | 1 | 3000 |", twice.stdout)
            failed = subprocess.run(
                call + ["--program", "false", "--load", "0"], capture_output=True, text=True, check=False
            )
            self.assertEqual(failed.returncode, 2)
            self.assertIn("false ended with status 1 (quiet)", failed.stderr)

    def test_lanes_are_programs_on_cpus_of_their_own_whose_repetitions_count_together(self):
        cpus = sorted(os.sched_getaffinity(0))
        lanes = len(cpus) // 2
        if lanes == 0:
            self.skipTest("a lane needs two CPUs")
        with tempfile.TemporaryDirectory() as folder:
            given, program = os.path.join(folder, "given"), os.path.join(folder, "program")
            with open(given, "w", encoding="utf-8") as f:
                f.writelines(json.dumps(line) + "\n" for line in repetitions(40))
            with open(program, "w", encoding="utf-8") as f:
                f.write(f'#!/bin/sh\necho "$@" $(taskset -cp $$) >> {folder}/calls\ncat {given}\n')
            os.chmod(program, 0o755)
            call = [sys.executable, os.path.join(HERE, "truth.py"), "--program", program, "--load", "0"]
            run = subprocess.run(call + ["--lanes", str(lanes)], capture_output=True, text=True, check=False)
            self.assertIn(f"| pair 1.0, quiet | 1 | {40 * lanes} |", run.stdout)
            with open(os.path.join(folder, "calls"), encoding="utf-8") as f:
                calls = sorted(f.read().splitlines())
            self.assertEqual(len(calls), lanes)
            self.assertEqual(len({line.split("--seed ")[1].split()[0] for line in calls}), lanes)
            for line in calls:
                timed = line.split("--core ")[1].split()[0]
                self.assertRegex(line, rf"list: .*[,-]{timed}$")
            run = subprocess.run(call + ["--lanes", str(lanes + 1)], capture_output=True, text=True, check=False)
            self.assertEqual(run.returncode, 2)
            self.assertIn(f"needs {2 * lanes + 2} CPUs", run.stderr)


if __name__ == "__main__":
    unittest.main()
