"""What a peer does for durability, counted and not believed: strace sees the fsyncs of its server while it works.

Only the counting run is traced, never one whose time counts.
"""

import dataclasses
import re

_CALL = re.compile(r"^\d+ +(\d+\.\d+) (?:fsync|fdatasync|sync_file_range|msync|syncfs)\(")


@dataclasses.dataclass(frozen=True)
class Class:
    """A durability class: how long an acknowledged job may stay out of the disk."""

    name: str
    period_s: float | None = None  # 0: synced before the answer; None: never

    def verdict(self, counted):
        """(whether the count agrees, words)."""
        if not counted.one_in_flight:
            return self._verdict_in_batches(counted)
        if self.period_s is None:
            return counted.syncs == 0, f"{counted.syncs} fsyncs in {counted.jobs} jobs"
        each = counted.syncs / max(counted.jobs, 1)
        rate = counted.syncs / max(counted.seconds, 1e-9)
        if self.period_s == 0:
            return each >= 0.99, f"{each:.2f} fsyncs a job, one in flight"
        return 0.5 <= rate * self.period_s <= 2.0, f"{rate:.1f} fsyncs a second"

    def _verdict_in_batches(self, counted):
        """A whole program was counted, with its start and end, and jobs could share an fsync."""
        words = f"{counted.syncs} fsyncs in {counted.jobs} jobs and {counted.seconds:.1f} s, start and end included"
        more = counted.syncs - START_AND_END
        if self.period_s is None:
            return more <= 0, words
        if self.period_s == 0:
            return more * LARGEST_BATCH >= counted.jobs, words
        return 1 <= counted.syncs and more * self.period_s <= 2 * counted.seconds, words


# kevolve's groups have at most so many events (DESIGN.md); its store syncs 7 times while it starts and ends (counted).
LARGEST_BATCH = 256
START_AND_END = 12

STRICT = Class("fsync before the answer", 0)
FIFTY_MS = Class("fsync within 50 ms", 0.05)
ONE_SECOND = Class("fsync within 1 s", 1)
NONE = Class("none")


@dataclasses.dataclass(frozen=True)
class Counted:
    syncs: int
    jobs: int
    seconds: float
    one_in_flight: bool = True


def trace_prefix(log):
    """Put before a command: its fsyncs, with those of its children, go to `log` with the time of day."""
    # -D: the command itself is the child of who starts it, strace only watches.
    return [
        "strace",
        "-D",
        "-f",
        "--seccomp-bpf",
        "-ttt",
        "-s",
        "0",
        "-o",
        log,
        "-e",
        "trace=fsync,fdatasync,sync_file_range,msync,syncfs",
    ]


def count_syncs(lines, begin=float("-inf"), end=float("inf")):
    """Calls that began within the window."""
    return sum(1 for line in lines if (m := _CALL.match(line)) and begin <= float(m[1]) <= end)
