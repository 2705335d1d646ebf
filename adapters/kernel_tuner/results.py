"""The results file of a tuning: T4, the open autotuning results schema 1.0.0, which serves as the cache too.

Written anew after each result (a draft, then renamed), so that a tuning that was stopped goes on where it was.
"""

import hashlib
import json
import os
from datetime import datetime, timezone
from pathlib import Path

INVALIDITY = {  # of a verdict, in the schema's words
    "ok": "correct",
    "no_compile": "compile",
    "timeout": "timeout",
    "wrong": "correctness",
    "nondeterministic": "correctness",
    "cheated": "correctness",
    "impossible": "correctness",
}


class ResultsError(Exception):
    """The file belongs to another tuning, or is none."""


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def row(configuration, summary, seconds):
    """One result. summary: of the judge; seconds: what the judgement took, compiling included."""
    accepted = summary["verdict"] == "ok"
    latency_ms = (summary.get("latency_ns") or 0.0) / 1e6 if accepted else None
    measurements = [_measured(name, summary[name]) for name in ("speedup", "speedup_low", "speedup_high")]
    measurements += [_measured(name, summary.get(name) or "") for name in ("verdict", "reason", "fidelity")]
    if accepted:
        measurements.insert(0, _measured("time", latency_ms, "ms"))
    return {
        "timestamp": datetime.now(timezone.utc).isoformat(),
        "configuration": configuration,
        "objectives": ["speedup"],
        "times": {"framework": seconds * 1e3, "runtimes": [latency_ms] if accepted else []},
        "invalidity": INVALIDITY.get(summary["verdict"], "runtime"),
        "correctness": 1.0 if accepted else 0.0,
        "measurements": measurements,
    }


def _measured(name, value, unit=""):
    return {"name": name, "value": value, "unit": unit}


def value_of(result, name):
    """A measurement's value, or None."""
    return next((one["value"] for one in result["measurements"] if one["name"] == name), None)


class ResultsFile:
    """Rows by configuration and fidelity; `about` (task, template, parameters) must be that of the file."""

    def __init__(self, path, about):
        self._path = Path(path)
        self._about = about
        self.rows = []
        if self._path.exists():
            self._read()

    def _read(self):
        try:
            stored = json.loads(self._path.read_text())
            about, rows = stored["metadata"], stored["results"]
        except (ValueError, KeyError, TypeError) as error:
            raise ResultsError(f"{self._path} is no results file ({error!r}); name another") from None
        differs = sorted(key for key in self._about if about.get(key) != self._about[key])
        if differs:
            raise ResultsError(
                f"{self._path} holds another tuning (its {', '.join(differs)} differ); name another file"
            )
        self.rows = rows

    def find(self, configuration, fidelity):
        """The row of a configuration: refused, or of this fidelity or a higher one. None: it is to be judged."""
        for stored in self.rows:
            enough = value_of(stored, "fidelity") in (fidelity, "final") or stored["invalidity"] != "correct"
            if enough and stored["configuration"] == configuration:
                return stored
        return None

    def add(self, new):
        """Replaces the configuration's row, and writes the file."""
        self.rows = [old for old in self.rows if old["configuration"] != new["configuration"]] + [new]
        text = json.dumps({"schema_version": "1.0.0", "metadata": self._about, "results": self.rows}, indent=1)
        draft = self._path.with_name(self._path.name + f".{os.getpid()}")
        draft.write_text(text + "\n")
        draft.replace(self._path)
