"""The adapters with the real program ($KEVOLVE) on a task of one line."""

import contextlib
import io
import json
import os
import sys
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent
ADAPTERS = HERE.parent.parent / "adapters"
sys.path[:0] = [str(ADAPTERS), str(ADAPTERS / "openevolve"), str(ADAPTERS / "kernel_tuner")]

import evaluator  # noqa: E402
import tune  # noqa: E402
from kevolve_judge import JudgeError, judge  # noqa: E402
from restrictions import Restriction, RestrictionError  # noqa: E402
from results import ResultsError, value_of  # noqa: E402

TASK = HERE / "scale"
TEMPLATE = TASK / "template.c"


class WithHome(unittest.TestCase):
    """A home for what the judge keeps, shared by the tests of a class; a folder for each test."""

    @classmethod
    def setUpClass(cls):
        cls._home = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._home.cleanup)
        settings = {"KEVOLVE_HOME": cls._home.name, "KEVOLVE_TASK": str(TASK), "KEVOLVE_LAUNCHES": "1"}
        cls.enterClassContext(mock.patch.dict(os.environ, settings))

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def kernel(self, mode):
        path = self.folder / f"mode{mode}.c"
        path.write_text(tune.instantiate(TEMPLATE.read_text(), {"MODE": mode, "REPEATS": 40}))
        return str(path)


class OpenEvolveTest(WithHome):
    def test_a_right_kernel_scores_the_lower_end_of_its_speedup(self):
        metrics = evaluator.evaluate(self.kernel(1))
        self.assertEqual(metrics["accepted"], 1.0)
        self.assertGreater(metrics["combined_score"], 0)
        self.assertEqual(metrics["combined_score"], metrics["speedup_low"])
        self.assertTrue(all(isinstance(value, float) for value in metrics.values()))

    def test_the_first_stage_scores_too(self):
        self.assertGreater(evaluator.evaluate_stage1(self.kernel(1))["combined_score"], 0)

    def test_refused_kernels_score_nothing(self):
        nothing = dict.fromkeys(["combined_score", "accepted", "speedup", "speedup_low", "speedup_high"], 0.0)
        for mode in (3, 4):
            self.assertEqual(evaluator.evaluate(self.kernel(mode)), nothing)
            self.assertEqual(evaluator.evaluate_stage1(self.kernel(mode)), nothing)

    def test_with_openevolve_the_reason_goes_into_the_next_prompt(self):
        result = types.SimpleNamespace
        module = types.SimpleNamespace(EvaluationResult=lambda metrics, artifacts: result(metrics=metrics, artifacts=artifacts))
        package = {"openevolve": types.ModuleType("openevolve"), "openevolve.evaluation_result": module}
        with mock.patch.dict(sys.modules, package):
            given = evaluator.evaluate(self.kernel(3))
        self.assertEqual(given.metrics["combined_score"], 0.0)
        self.assertEqual(given.artifacts["verdict"], "wrong")
        self.assertIn("expected", given.artifacts["reason"])

    def test_without_a_task_it_says_what_to_set(self):
        with mock.patch.dict(os.environ, {"KEVOLVE_TASK": ""}):
            with self.assertRaisesRegex(JudgeError, "KEVOLVE_TASK"):
                evaluator.evaluate(self.kernel(1))


class JudgeTest(WithHome):
    def test_what_keeps_the_judge_from_judging_is_no_result(self):
        with self.assertRaisesRegex(JudgeError, "there is no program"):
            judge(TASK, self.kernel(1), kevolve="no-such-program")
        with self.assertRaisesRegex(JudgeError, "ended with 2"):
            judge(self.folder / "no-task", self.kernel(1))
        with self.assertRaisesRegex(JudgeError, "gave no result"):
            judge(TASK, self.kernel(1), kevolve="true")

    def test_a_deadline_ends_the_judgement(self):
        with self.assertRaisesRegex(JudgeError, "within 0.01 s"):
            judge(TASK, self.kernel(1), timeout_s=0.01)


class KernelTunerTest(WithHome):
    PARAMETERS = {"MODE": [1, 2, 3, 4], "REPEATS": [40]}

    def test_the_best_configuration_is_found_judged_in_full_and_kept(self):
        cache = self.folder / "scale.t4.json"
        best, rows = tune.tune_kernel(TASK, TEMPLATE, self.PARAMETERS, cache=cache, launches=1)
        self.assertEqual(best["configuration"], {"MODE": 1, "REPEATS": 40})
        self.assertEqual(value_of(best["result"], "fidelity"), "final")
        self.assertTrue(best["source"].startswith("#define MODE 1\n#define REPEATS 40\n"))
        stored = json.loads(cache.read_text())
        self.assertEqual(stored["schema_version"], "1.0.0")
        self.assertEqual(stored["results"], rows)
        invalidity = {one["configuration"]["MODE"]: one["invalidity"] for one in rows}
        self.assertEqual(invalidity, {1: "correct", 2: "correct", 3: "correctness", 4: "compile"})
        # All is known: gone on with, the program is not asked again.
        again, _ = tune.tune_kernel(TASK, TEMPLATE, self.PARAMETERS, cache=cache, kevolve="no-such-program")
        self.assertEqual(again["result"], best["result"])
        with self.assertRaisesRegex(ResultsError, "tune_params differ"):
            tune.tune_kernel(TASK, TEMPLATE, {"MODE": [1]}, cache=cache)

    def test_the_program_prints_the_best_and_writes_it(self):
        words = f"--task {TASK} --template {TEMPLATE} --param MODE=1,3 --param REPEATS=1 --launches 1".split()
        best = self.folder / "best.c"
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            code = tune.main([*words, "--restrict", "MODE * REPEATS < 4", "--best", str(best)])
        answer = json.loads(out.getvalue())
        self.assertEqual((code, answer["configuration"], answer["judged"]), (0, {"MODE": 1, "REPEATS": 1}, 2))
        self.assertGreater(answer["speedup"], 0)
        self.assertIn("#define MODE 1\n", best.read_text())

    def test_where_all_are_refused_there_is_no_best(self):
        best, rows = tune.tune_kernel(TASK, TEMPLATE, {"MODE": [3], "REPEATS": [1]})
        self.assertIsNone(best)
        self.assertEqual(len(rows), 1)


class SearchSpaceTest(unittest.TestCase):
    def test_restrictions_are_python_without_eval(self):
        values = {"a": 4, "b": 6, "c": "row"}
        for text, holds in {
            "a * b <= 24": True,
            "2 < a < b": True,
            "2 < b < a": False,
            "b / a == 1.5": True,
            "b // a == 1 and not b % 3": True,
            "-7 % a == 1": True,
            "c == 'row' or a == 0": True,
        }.items():
            self.assertIs(Restriction(text, values).holds(values), holds, text)

    def test_what_is_no_restriction_is_refused_with_its_place(self):
        for text, message in {
            "a <": "invalid syntax",
            "d > 1": "column 1: there is no parameter d",
            "a + max(b, 1)": "column 5: restrictions are made of",
            "a.real > 0": "restrictions are made of",
            "a ** b > 1": "an operator that restrictions do not have",
        }.items():
            with self.assertRaisesRegex(RestrictionError, message):
                Restriction(text, {"a": 1, "b": 2})
        with self.assertRaisesRegex(RestrictionError, "has no value for"):
            Restriction("a / b > 1", {"a": 1, "b": 0}).holds({"a": 1, "b": 0})

    def test_the_space_is_the_product_that_meets_them(self):
        space = tune.search_space({"A": [1, 2], "B": [1, 2]}, ["A <= B"])
        self.assertEqual(space, [{"A": 1, "B": 1}, {"A": 1, "B": 2}, {"A": 2, "B": 2}])


if __name__ == "__main__":
    unittest.main()
