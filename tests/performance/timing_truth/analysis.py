"""From repetitions to the verdict on each cell: pure functions, tested in analysis_test.py."""

import json
import math
import statistics

CONFIDENCE = 0.95  # one-sided, of every bound below
LEAST_COVERAGE = 0.93
MOST_FALSE = 0.01
MOST_BIAS = 0.02
LEAST_REPETITIONS = 1000
KEYS = {"cell": str, "true_ratio": float, "ratio": float, "low": float, "high": float, "faster": bool, "noisy": bool}


class BadLine(Exception):
    """A line that is no repetition: what is wrong with it, and what to do."""


def parse(text, where):
    """One line of kevolve-truth as a dictionary with exactly KEYS."""
    try:
        line = json.loads(text)
    except ValueError as error:
        raise BadLine(f"{where}: not JSON ({error}): {text.strip()[:80]}; give the standard output of kevolve-truth")
    if not isinstance(line, dict):
        raise BadLine(f"{where}: not an object: {text.strip()[:80]}; give the standard output of kevolve-truth")
    for key, kind in KEYS.items():
        value = line.get(key)
        number = kind is float and isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number and not isinstance(value, kind):
            raise BadLine(f"{where}: {key} is {json.dumps(value)}, not a {kind.__name__}; kevolve-truth is another version?")
    if not line["true_ratio"] > 0 or not line["ratio"] > 0:
        raise BadLine(f"{where}: ratios are above 0, not {line['true_ratio']} and {line['ratio']}")
    return {key: line[key] for key in KEYS}


def at_most(hits, n, p):
    """P(Binomial(n, p) <= hits)."""
    if p <= 0 or p >= 1:
        return 1.0 if p <= 0 or hits >= n else 0.0
    logs = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
        for k in range(hits + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


def upper_bound(hits, n):
    """Clopper and Pearson's: the largest p under which so few hits still have a chance of 5 %."""
    low, high = 0.0, 1.0
    if hits >= n:
        return 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if at_most(hits, n, middle) > 1 - CONFIDENCE else (low, middle)
    return high


def lower_bound(hits, n):
    return 1 - upper_bound(n - hits, n)


def judge(lines):
    """Summary of one cell. What was marked as noisy claims nothing: it is counted, and left out of all else."""
    cell, true_ratio = lines[0]["cell"], lines[0]["true_ratio"]
    if any(line["true_ratio"] != true_ratio for line in lines):
        raise BadLine(f"cell {cell}: more than one true ratio; each pair of kernels is a cell of its own")
    claims = [line for line in lines if not line["noisy"]]
    summary = {
        "cell": cell,
        "true_ratio": true_ratio,
        "repetitions": len(lines),
        "noisy": round(1 - len(claims) / len(lines), 4),
        "coverage": None,
        "coverage_low": None,
        "faster": None,
        "false_faster_high": None,
        "bias": None,
        "width": None,
    }
    if claims:
        covered = sum(line["low"] <= true_ratio <= line["high"] for line in claims)
        faster = sum(line["faster"] for line in claims)
        summary["coverage"] = round(covered / len(claims), 4)
        summary["coverage_low"] = round(lower_bound(covered, len(claims)), 4)
        summary["faster"] = round(faster / len(claims), 4)
        summary["bias"] = round(statistics.median(line["ratio"] for line in claims) / true_ratio - 1, 5)
        summary["width"] = round(statistics.median(line["high"] - line["low"] for line in claims), 5)
        if true_ratio <= 1:
            summary["false_faster_high"] = round(upper_bound(faster, len(claims)), 5)
    summary["failures"] = failures(summary, len(claims))
    return summary


def failures(summary, claims):
    if claims == 0:
        return []  # nothing was claimed; the share of noisy ones says it
    found = []
    if summary["repetitions"] < LEAST_REPETITIONS:
        found.append(f"{summary['repetitions']} repetitions, {LEAST_REPETITIONS} are needed")
    if summary["coverage_low"] < LEAST_COVERAGE:
        found.append(f"coverage is only surely above {summary['coverage_low']:.1%}")
    if summary["false_faster_high"] is not None and summary["false_faster_high"] > MOST_FALSE:
        found.append(f"false faster is only surely below {summary['false_faster_high']:.2%}")
    if abs(summary["bias"]) > MOST_BIAS:
        found.append(f"bias {summary['bias']:+.1%}, not marked as noisy")
    return found


def by_cell(lines):
    """Summaries in the order in which cells came."""
    cells = {}
    for line in lines:
        cells.setdefault(line["cell"], []).append(line)
    return [judge(lines) for lines in cells.values()]


def _percent(value, digits=1):
    return "–" if value is None else f"{100 * value:.{digits}f}"


def table(summaries):
    """Markdown."""
    rows = [
        "| cell | true | repetitions | coverage % (surely above) | faster % (surely below) | bias % | interval's width | "
        "noisy % | |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for s in summaries:
        bound = "" if s["false_faster_high"] is None else f" ({_percent(s['false_faster_high'], 2)})"
        width = "–" if s["width"] is None else f"{s['width']:.3g}"
        low = "" if s["coverage_low"] is None else f" ({_percent(s['coverage_low'])})"
        verdict = "**FAILED**: " + "; ".join(s["failures"]) if s["failures"] else "ok"
        if s["coverage"] is None:
            verdict = "no claim: all noisy"
        rows.append(
            f"| {s['cell']} | {s['true_ratio']:g} | {s['repetitions']} | {_percent(s['coverage'])}{low} "
            f"| {_percent(s['faster'])}{bound} | {_percent(s['bias'], 2)} | {width} | {_percent(s['noisy'])} | {verdict} |"
        )
    return "\n".join(rows)


def json_line(summaries, conditions):
    ok = not any(s["failures"] for s in summaries)
    return json.dumps({"timing_truth": summaries, "ok": ok, **conditions}, ensure_ascii=False)
