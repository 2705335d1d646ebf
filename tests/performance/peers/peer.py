"""What the driver asks of a peer, and the dialogue with the clients that load it.

A client prints `ready` when workers are connected and the queue is filled; on `go` it runs and prints
`done {"jobs": …, "seconds": …}`; on `latency SECONDS` it runs single jobs and prints `latency [µs, …]`.
"""

import dataclasses
import json
import os
import select
import time

import durability
import processes
from processes import Failed

LIMIT_S = 150.0  # for one answer of a client; the longest measurement takes 30 s, and filling its queue as long again


@dataclasses.dataclass(frozen=True)
class Setting:
    label: str
    workers: int
    values: dict = dataclasses.field(default_factory=dict, hash=False)


@dataclasses.dataclass(frozen=True)
class System:
    """One line of the table: a peer in one durability class."""

    name: str
    durability: durability.Class
    note: str = ""
    guess_per_s: float = 1000  # for the size of the first try only
    values: dict = dataclasses.field(default_factory=dict, hash=False)


@dataclasses.dataclass
class Sample:
    """Raw figures of one measurement."""

    jobs: int
    seconds: float
    all_cpu_us: float
    broker_cpu_us: float | None = None  # None: cannot be told from the rest
    latencies_us: list = dataclasses.field(default_factory=list)
    latency_ms: tuple | None = None  # (p50, p99) where a program gives no raw samples
    syncs: durability.Counted | None = None
    setting: str | None = None  # where the program itself chose it

    @property
    def rate(self):
        return self.jobs / self.seconds


class Peer:
    """One peer; its file says how it is set."""

    name = ""
    systems = []

    def prepare(self, software):
        """Gets what is needed; Failed says why it is not to be had."""

    def version(self):
        raise NotImplementedError

    def settings(self, system):
        """The sweep."""
        raise NotImplementedError

    def refine(self, system, best):
        """A second sweep around the best of the first."""
        return []

    def measure(self, system, setting, jobs, latency_s, folder, traced=False):
        """One measurement from a clean start, in an empty folder."""
        raise NotImplementedError


class Dialogue:
    """A client's answers, each within a time limit."""

    def __init__(self, started, process, limit_s=LIMIT_S):
        self._started, self._process, self._limit_s = started, process, limit_s
        self._buffer = ""

    def say(self, line):
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Failed(f"{self._process.name} ended: {self._started.last_words(self._process.name)}") from None

    def expect(self, word):
        end = time.monotonic() + self._limit_s
        output = self._process.stdout.fileno()
        while "\n" not in self._buffer:
            if not select.select([output], [], [], 0.5)[0]:
                self._started.check()
                if time.monotonic() > end:
                    raise Failed(f"{self._process.name}: no '{word}' within {self._limit_s:.0f} s")
                continue
            data = os.read(output, 1 << 16).decode()
            if not data:
                raise Failed(f"{self._process.name} ended: {self._started.last_words(self._process.name)}")
            self._buffer += data
        line, self._buffer = self._buffer.split("\n", 1)
        if not line.startswith(word):
            raise Failed(f"{self._process.name} said '{line[:200]}' instead of '{word}'")
        return json.loads(line[len(word) :] or "null")


def run_client(started, argv, broker, latency_s, trace_log=None, env=None):
    """Loads a started broker with a client; `broker` is its process, or None where it is part of the client."""
    client = started.start("client", argv, env=env, pipe=True)
    talk = Dialogue(started, client)
    talk.expect("ready")
    all_before, broker_before = processes.cpu_us(), broker and processes.cpu_us(broker.pid)
    talk.say("go")
    done = talk.expect("done ")
    sample = Sample(
        done["jobs"],
        done["seconds"],
        processes.cpu_us() - all_before,
        broker and processes.cpu_us(broker.pid) - broker_before,
    )
    begin = time.time()
    talk.say(f"latency {latency_s}")
    sample.latencies_us = talk.expect("latency ")
    window = (begin, time.time())
    started.check()
    if trace_log:
        started.stop()  # strace has written all only when it has ended
        with open(trace_log) as f:
            syncs = durability.count_syncs(f, *window)
        sample.syncs = durability.Counted(syncs, len(sample.latencies_us), window[1] - window[0])
    return sample
