#!/usr/bin/env python3
"""Tunes a template as Kernel Tuner does, with `kevolve judge` as the measurement.

Every configuration is screened; the best of them are judged in full, and the best of those is the answer, so
that what is claimed was measured after it was selected. Also a function: tune_kernel. README.md shows both.
"""

import argparse
import itertools
import json
import random
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from kevolve_judge import JudgeError, judge  # noqa: E402
from restrictions import Restriction, RestrictionError  # noqa: E402
from results import ResultsError, ResultsFile, digest, row, value_of  # noqa: E402


def instantiate(template, configuration):
    """The template with its parameters as #define lines before its first."""
    texts = {True: "1", False: "0"}
    lines = [
        f"#define {name} {texts[value] if isinstance(value, bool) else value}\n"
        for name, value in configuration.items()
    ]
    return "".join(lines) + template


def search_space(tune_params, restrictions=()):
    """All configurations (dicts) that meet the restrictions, in the order of the values."""
    rules = [Restriction(text, tune_params) for text in restrictions]
    every = (dict(zip(tune_params, values)) for values in itertools.product(*tune_params.values()))
    return [one for one in every if all(rule.holds(one) for rule in rules)]


def tune_kernel(
    task,
    template,
    tune_params,
    restrictions=(),
    cache=None,
    finalists=3,
    max_fevals=None,
    seed=0,
    note=lambda text: None,
    **judging,
):
    """Best configuration first: {"configuration", "result", "source"}, or None when all were refused; and all rows.

    template: path of the source. tune_params: name -> values. cache: path of the results file (T4), gone on with
    when it is there. max_fevals: judge so many, drawn at random. judging: target, launches, timeout_s, kevolve.
    """
    template = Path(template)
    text = template.read_text()
    space = search_space(tune_params, restrictions)
    if max_fevals is not None and max_fevals < len(space):
        space = random.Random(seed).sample(space, max_fevals)
    about = {"task": str(task), "kernel_sha256": digest(text), "tune_params": tune_params}
    about["target"] = str(judging.get("target") or "cpu")
    with tempfile.TemporaryDirectory() as folder:
        results = ResultsFile(cache or Path(folder) / "results.json", about)

        def judged(configuration, fidelity):
            stored = results.find(configuration, fidelity)
            if stored is None:
                source = Path(folder) / ("kernel" + template.suffix)
                source.write_text(instantiate(text, configuration))
                begin = time.monotonic()
                summary = judge(task, source, screen=fidelity == "screen", **judging)
                stored = row(configuration, summary, time.monotonic() - begin)
                results.add(stored)
            note(_line(stored, fidelity))
            return stored

        screened = [judged(one, "screen") for one in space]
        ranked = sorted(filter(_correct, screened), key=_speedup, reverse=True)
        confirmed = [judged(one["configuration"], "final") for one in ranked[:finalists]]
        best = max(filter(_correct, confirmed), key=_speedup, default=None)
        rows = list(results.rows)
    if best is None:
        return None, rows
    return {
        "configuration": best["configuration"],
        "result": best,
        "source": instantiate(text, best["configuration"]),
    }, rows


def _correct(result):
    return result["invalidity"] == "correct"


def _speedup(result):
    return value_of(result, "speedup")


def _line(result, fidelity):
    what = " ".join(f"{name}={value}" for name, value in result["configuration"].items())
    if not _correct(result):
        return f"{fidelity:6}  {value_of(result, 'verdict')}  {what}: {value_of(result, 'reason')}"
    return f"{fidelity:6}  {_speedup(result):.3g}x  {value_of(result, 'time'):.4g} ms  {what}"


def _parameter(text):
    """NAME=1,2,4: values are numbers or words."""
    name, equals, values = text.partition("=")
    if not name.isidentifier() or not equals or not values:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE,VALUE,…")
    return name, [_scalar(value) for value in values.split(",")]


def _scalar(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _arguments(words):
    parser = argparse.ArgumentParser(description="Tune a template for a kevolve task.")
    parser.add_argument("--task", required=True, help="shipped task, or a task folder")
    parser.add_argument("--template", required=True, help="source whose parameters are macros")
    parser.add_argument("--param", action="append", required=True, type=_parameter, metavar="NAME=V,V")
    parser.add_argument("--restrict", action="append", default=[], metavar="EXPRESSION")
    parser.add_argument("--cache", metavar="FILE", help="results (T4 JSON), gone on with when there")
    parser.add_argument("--best", metavar="FILE", help="write the best kernel here")
    parser.add_argument("--finalists", type=int, default=3, help="judged in full (default 3)")
    parser.add_argument("--max-fevals", type=int, help="judge so many configurations, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", help="target to compile for and run on")
    parser.add_argument("--launches", type=int, help="of a full measurement")
    parser.add_argument("--kevolve", help="the program (default: $KEVOLVE, then $PATH)")
    return parser.parse_args(words)


def main(words=None):
    options = _arguments(words)
    try:
        best, rows = tune_kernel(
            options.task,
            options.template,
            dict(options.param),
            options.restrict,
            cache=options.cache,
            finalists=options.finalists,
            max_fevals=options.max_fevals,
            seed=options.seed,
            note=lambda text: print(text, file=sys.stderr),
            target=options.target,
            launches=options.launches,
            kevolve=options.kevolve,
        )
        if best and options.best:
            Path(options.best).write_text(best["source"])
    except (JudgeError, RestrictionError, ResultsError, OSError) as error:
        print(f"tune: {error}", file=sys.stderr)
        return 2
    answer = {"configuration": None, "speedup": 0.0}
    if best:
        names = ("speedup", "speedup_low", "speedup_high", "time")
        answer = {name: value_of(best["result"], name) for name in names}
        answer["configuration"] = best["configuration"]
    print(json.dumps({**answer, "judged": len(rows)}))
    return 0 if best else 4


if __name__ == "__main__":
    sys.exit(main())
