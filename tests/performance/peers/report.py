"""From raw samples to the table: pure functions, tested in report_test.py."""

import json
import statistics


def percentile(values, percent):
    """Nearest rank: the smallest value that at least `percent` % of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def summary(peer, system, version, setting, samples, counted):
    """One line of the report as an object; all of its statistics come from `samples`."""
    rates = [s.rate for s in samples]
    latencies = [us for s in samples for us in s.latencies_us]
    given = [s.latency_ms for s in samples if s.latency_ms]
    if latencies:
        p50, p99 = percentile(latencies, 50) / 1000, percentile(latencies, 99) / 1000
    elif given:
        p50, p99 = (statistics.median(g[i] for g in given) for i in (0, 1))
    else:
        p50 = p99 = None
    agrees, words = system.durability.verdict(counted) if counted else (None, "not counted")
    return {
        "peer": peer,
        "system": system.name,
        "version": version,
        "durability": system.durability.name,
        "durability_counted": words,
        "durability_as_claimed": agrees,
        "setting": samples[-1].setting or setting.label,
        "workers": setting.workers,
        "jobs": samples[-1].jobs,
        "jobs_per_s": round(statistics.median(rates), 1),
        "jobs_per_s_min": round(min(rates), 1),
        "jobs_per_s_max": round(max(rates), 1),
        "jobs_per_s_samples": [round(r, 1) for r in rates],
        "cpu_us_per_job_broker": _median_each(samples, lambda s: s.broker_cpu_us),
        "cpu_us_per_job": _median_each(samples, lambda s: s.all_cpu_us),
        "latency_p50_ms": _rounded(p50),
        "latency_p99_ms": _rounded(p99),
        "latency_samples": len(latencies),
        "note": system.note,
    }


def _median_each(samples, total):
    values = [total(s) / s.jobs for s in samples if total(s) is not None]
    return _rounded(statistics.median(values)) if values else None


def _rounded(value):
    return None if value is None else float(f"{value:.3g}")


def _cell(value):
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:g}"


def _count(samples):
    """Few samples make a p99 that is the slowest of them: the reader should know."""
    return f" (of {samples})" if samples else ""


def table(lines, not_run):
    """Markdown."""
    rows = [
        "| system | version | durability (counted with strace) | best setting | workers | jobs/s median [min, max] | "
        "CPU µs/job broker / all | latency ms p50 / p99 |",
        "|---|---|---|---|---:|---:|---:|---:|",
    ]
    notes = []
    for line in lines:
        mark = ""
        if line["note"]:
            if line["note"] not in notes:
                notes.append(line["note"])
            mark = f" [{notes.index(line['note']) + 1}]"
        claim = "" if line["durability_as_claimed"] is not False else "**NOT AS CLAIMED** "
        rows.append(
            f"| {line['system']}{mark} | {line['version']} "
            f"| {claim}{line['durability']} ({line['durability_counted']}) "
            f"| {line['setting']} | {line['workers']} "
            f"| {_cell(line['jobs_per_s'])} [{_cell(line['jobs_per_s_min'])}, {_cell(line['jobs_per_s_max'])}] "
            f"| {_cell(line['cpu_us_per_job_broker'])} / {_cell(line['cpu_us_per_job'])} "
            f"| {_cell(line['latency_p50_ms'])} / {_cell(line['latency_p99_ms'])}{_count(line['latency_samples'])} |"
        )
    rows.append("")
    rows += [f"[{i}] {note}." for i, note in enumerate(notes, 1)]
    rows += [f"Not run: {name}: {reason}" for name, reason in not_run]
    return "\n".join(rows)


def json_lines(machine, lines, not_run):
    objects = [{"machine": machine}] + lines + [{"system": name, "not_run": reason} for name, reason in not_run]
    return "\n".join(json.dumps(o, ensure_ascii=False) for o in objects)
