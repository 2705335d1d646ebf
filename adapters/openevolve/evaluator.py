"""An OpenEvolve evaluator for kernels in C or C++: what `evaluate` gives comes from `kevolve judge`.

Settings are environment variables, since OpenEvolve calls this file with a path and nothing else; README.md
lists them. A refused kernel scores 0. A judge that cannot judge raises, which OpenEvolve reports and retries.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from kevolve_judge import JudgeError, judge  # noqa: E402


def evaluate(program_path):
    """Checked in full and measured as for a claim; the score is the lower end of the speed-up's interval."""
    return _report(_judged(program_path, screen=False), "speedup_low")


def evaluate_stage1(program_path):
    """For cascades: right on one small workload and measured with few launches, in a fraction of the time."""
    return _report(_judged(program_path, screen=True), "speedup")


def evaluate_stage2(program_path):
    return evaluate(program_path)


def _judged(program_path, screen):
    task = os.environ.get("KEVOLVE_TASK")
    if not task:
        raise JudgeError("set KEVOLVE_TASK to the name of a shipped task or to a task folder")
    return judge(
        task,
        program_path,
        target=os.environ.get("KEVOLVE_TARGET"),
        launches=os.environ.get("KEVOLVE_LAUNCHES"),
        screen=screen,
        timeout_s=float(os.environ.get("KEVOLVE_JUDGE_TIMEOUT_S", "600")),
    )


def _report(summary, score):
    """Numbers for the archive, words for the next prompt."""
    accepted = summary["verdict"] == "ok"
    metrics = {"combined_score": _number(summary[score]) if accepted else 0.0, "accepted": float(accepted)}
    for name in ("speedup", "speedup_low", "speedup_high"):
        metrics[name] = _number(summary[name]) if accepted else 0.0
    words = {name: str(summary[name]) for name in ("verdict", "stage", "reason", "bottleneck") if summary.get(name)}
    try:
        from openevolve.evaluation_result import EvaluationResult
    except ImportError:
        return metrics
    return EvaluationResult(metrics=metrics, artifacts=words)


def _number(value):
    return float(value) if value is not None else 0.0
