"""The driver: sweeps each system's settings, counts its fsyncs, then measures all at their best, in turns."""

import argparse
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time

import durability
import machine
import processes
import report
from peer_beanstalkd import Beanstalkd
from peer_celery import Celery
from peer_dask import Dask
from peer_gearmand import Gearmand
from peer_hyperqueue import HyperQueue
from peer_kevolve import Kevolve
from peer_rq import Rq
from processes import Failed
from software import Software, say

PEERS = [Kevolve(), Beanstalkd(), Gearmand(), HyperQueue(), Celery(), Rq(), Dask()]
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LIMIT_S = 520  # for measuring, without getting the software: the whole stays below nine minutes


class Contestant:
    """A system on its way through the benchmark."""

    def __init__(self, peer, system):
        self.peer, self.system = peer, system
        self.best = None  # (jobs/s, setting)
        self.counted = None
        self.samples = []
        self.failure = None


class Bench:
    def __init__(self, options, folder):
        self._options, self._folder = options, folder
        self._end = float("inf")
        self._contestants = []
        self.not_run = []

    def prepare(self, names):
        getter = Software(
            os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "kevolve-peers")
        )
        for peer in PEERS:
            if names and peer.name not in names:
                continue
            self.not_run += getattr(peer, "not_run", [])
            try:
                peer.prepare(getter)
            except Failed as reason:
                self.not_run.append((peer.name, str(reason)))
                say(f"{peer.name} cannot be run: {reason}")
                continue
            self._contestants += [Contestant(peer, system) for system in peer.systems]

    def run(self):
        if self._options.limit:
            self._end = time.monotonic() + LIMIT_S
        for c in self._contestants:
            self._sweep(c)
            self._count(c)
        for turn in range(self._options.repeats):
            begin = time.monotonic()
            for c in self._contestants:
                if not c.failure:
                    self._repeat(c, turn)
            if turn + 1 < self._options.repeats and time.monotonic() + (time.monotonic() - begin) > self._end:
                say(f"the time is up after {turn + 1} of {self._options.repeats} repeats")
                break

    def lines(self):
        for c in self._contestants:
            if c.failure:
                self.not_run.append((c.system.name, c.failure))
        return [
            report.summary(c.peer.name, c.system, c.peer.version(), c.best[1], c.samples, c.counted)
            for c in self._contestants
            if c.samples
        ]

    def failed(self):
        return any(c.failure for c in self._contestants)

    def _jobs(self, rate, seconds):
        return max(50, min(self._options.jobs, int(rate * seconds)))

    def _sweep(self, c):
        """Short tries of every setting, then of those around the best; they are the warm-up as well."""
        self._try(c, c.peer.settings(c.system), c.system.guess_per_s)
        if c.best:
            self._try(c, c.peer.refine(c.system, c.best[1]), c.best[0])
            c.failure = None  # a setting that failed is no reason while another one works

    def _try(self, c, settings, rate):
        seconds = self._options.seconds / 2
        for setting in settings:
            what = f"try {setting.label}"
            sample = self._measure(c, what, setting, self._jobs(rate, seconds), 0)
            if sample and sample.seconds < seconds / 2 and self._jobs(sample.rate, seconds) > sample.jobs:
                # Far faster than expected: what was seen is the start only.
                sample = self._measure(c, what + " again", setting, self._jobs(sample.rate, seconds), 0)
            if sample:
                rate = sample.rate
                if c.best is None or sample.rate > c.best[0]:
                    c.best = (sample.rate, setting)

    def _count(self, c):
        """Fsyncs of a run of its own, one job in flight."""
        if c.failure or not shutil.which("strace"):
            return
        seconds = 2.5 if c.system.durability is durability.ONE_SECOND else 0.7
        sample = self._measure(c, "count fsyncs", c.best[1], self._jobs(c.best[0], 0.05), seconds, traced=True)
        if sample:
            c.counted = sample.syncs
        c.failure = None

    def _repeat(self, c, turn):
        sample = self._measure(
            c, f"repeat {turn + 1}", c.best[1], self._jobs(c.best[0], self._options.seconds), self._options.seconds / 4
        )
        if sample:
            c.samples.append(sample)
            # The next number of jobs follows what was seen, not a lucky try.
            c.best = (statistics.median(s.rate for s in c.samples), c.best[1])

    def _measure(self, c, what, setting, jobs, latency_s, traced=False):
        begin = time.monotonic()
        # Short names: the path of a unix socket has 107 bytes at most.
        folder = tempfile.mkdtemp(dir=self._folder)
        try:
            sample = c.peer.measure(c.system, setting, jobs, latency_s, folder, traced)
            say(f"{c.system.name}: {what}: {sample.rate:,.0f}/s ({jobs} jobs, {time.monotonic() - begin:.1f} s in all)")
            return sample
        except Failed as reason:
            c.failure = f"{what}: {reason}"
            say(f"{c.system.name}: {c.failure}")
            return None
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _arguments():
    parser = argparse.ArgumentParser(
        prog="run.sh",
        description="kevolve beside beanstalkd, gearmand, HyperQueue, Celery, RQ and Dask on this machine.",
        epilog="Peers: " + ", ".join(p.name for p in PEERS) + ". Rules and limits: README.md beside this script.",
    )
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one measurement (default %(default)s)")
    parser.add_argument(
        "--jobs", type=int, default=200000, help="at most so many jobs in one measurement (default %(default)s)"
    )
    parser.add_argument(
        "--repeats", type=int, default=5, help="measurements of each system, in turns (default %(default)s)"
    )
    parser.add_argument("--only", default="", metavar="NAME,…", help="these peers only")
    parser.add_argument("--json", action="store_true", help="print JSON lines only, no table")
    options = parser.parse_args()
    options.names = [n for n in options.only.split(",") if n]
    unknown = [n for n in options.names if n not in [p.name for p in PEERS]]
    if unknown:
        parser.error(f"--only: there is no peer {', '.join(unknown)}; there are {', '.join(p.name for p in PEERS)}")
    for name, low, high in [("seconds", 0.2, 30), ("jobs", 50, 10_000_000), ("repeats", 1, 1000)]:
        if not low <= getattr(options, name) <= high:
            parser.error(f"--{name} is {getattr(options, name):g}; it can be {low} to {high}")
    # Who asks for longer or more measurements gets them.
    options.limit = options.seconds <= parser.get_default("seconds") and options.repeats <= parser.get_default(
        "repeats"
    )
    return options


def _interrupted(number, _frame):
    for other in STOPS:
        signal.signal(other, signal.SIG_IGN)  # ending everything takes seconds, and must not be cut short
    raise KeyboardInterrupt(number)


def main():
    options = _arguments()
    for number in STOPS:
        signal.signal(number, _interrupted)
    processes.become_reaper()
    folder = tempfile.mkdtemp(prefix="peers.", dir=os.environ.get("TMPDIR", "/var/tmp"))
    try:
        machine.refuse_memory(folder)
        bench = Bench(options, folder)
        bench.prepare(options.names)
        about = machine.describe(folder)
        if about["load_before"] > 0.5:
            say(f"warning: others use this machine (load {about['load_before']}): good for a test, not for figures")
        bench.run()
        lines = bench.lines()
        if not options.json:
            print(
                ", ".join(f"{k} {v}" for k, v in about.items()),
                report.table(lines, bench.not_run),
                sep="\n\n",
                end="\n\n",
            )
        print(report.json_lines(about, lines, bench.not_run))
        return 1 if bench.failed() or not lines else 0
    except Failed as reason:
        say(f"error: {reason}")
        return 5
    except KeyboardInterrupt as stop:
        say("interrupted; everything that was started is ended")
        return 128 + (stop.args[0] if stop.args else signal.SIGINT)
    finally:
        processes.end_descendants()  # what an interrupted installation left behind, such as a compiler
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
