"""kevolve itself, through its own benchmark: no-op jobs through engine, store and two worker processes."""

import json
import os
import re
import time

import durability
import processes
import software
from peer import Peer, Sample, Setting, System
from processes import Failed

PROGRAM = os.environ.get("KEVOLVE_BENCH", os.path.join(software.ROOT, "build", "bin", "kevolve-bench"))
WORKERS = 2


class Kevolve(Peer):
    name = "kevolve"
    systems = [
        System(
            f"kevolve {name}",
            claim,
            guess_per_s=20000,
            values={"durability": name},
            note="its own benchmark: it chooses its credit; broker CPU is its cpu_us_per_job, all CPU that of the "
            "whole program with start and end",
        )
        for name, claim in [("strict", durability.STRICT), ("normal", durability.ONE_SECOND), ("fast", durability.NONE)]
    ]

    def prepare(self, getter):
        if not os.access(PROGRAM, os.X_OK):
            raise Failed(
                f"there is no {os.path.relpath(PROGRAM)}: build it (ninja -C build kevolve-bench), or name it in "
                "KEVOLVE_BENCH"
            )
        # What a program without this subcommand does not say of itself.
        if not re.search(r"(kevolve-bench|^) +engine\b", software.output([PROGRAM, "--help"]), re.MULTILINE):
            raise Failed(f"{os.path.relpath(PROGRAM)} has no subcommand `engine`: build a newer one")

    def version(self):
        kevolve = os.path.join(os.path.dirname(PROGRAM), "kevolve")
        return software.first_line([kevolve, "--version"]).split(" ", 1)[-1] if os.path.exists(kevolve) else "?"

    def settings(self, system):
        return [Setting("credit of its own choice", WORKERS)]

    def measure(self, system, setting, jobs, latency_s, folder, traced=False):
        log = os.path.join(folder, "strace")
        jobs *= 10 if traced else 1  # in batches; only many jobs tell a strict store from one that syncs now and then
        argv = [
            PROGRAM,
            "engine",
            "--durability",
            system.values["durability"],
            "--workers",
            str(WORKERS),
            "--jobs",
            str(jobs),
            "--json",
        ]
        # Its store must lie on the file system that the peers' stores lie on.
        env = {"TMPDIR": folder, "XDG_STATE_HOME": folder, "XDG_RUNTIME_DIR": folder}
        with processes.Processes(folder) as started:
            before, begin = processes.cpu_us(), time.monotonic()
            bench = started.start("kevolve-bench", durability.trace_prefix(log) * traced + argv, env=env)
            processes.wait_until("kevolve-bench engine", lambda: bench.poll() is not None, 150)
            cpu, took = processes.cpu_us() - before, time.monotonic() - begin
            if bench.returncode != 0:
                raise Failed(
                    f"kevolve-bench engine ended with status {bench.returncode}: "
                    f"{started.last_words('kevolve-bench')}"
                )
            figures = _last_object(os.path.join(folder, "kevolve-bench.log"))
            sample = Sample(
                jobs,
                jobs / figures["jobs_per_s"],
                cpu,
                figures["cpu_us_per_job"] * jobs,
                latency_ms=(figures["latency_p50_ms"], figures["latency_p99_ms"]),
                setting=f"credit {figures['credit']}",
            )
            if traced:
                started.stop()
                with open(log) as f:
                    sample.syncs = durability.Counted(durability.count_syncs(f), jobs, took, one_in_flight=False)
            return sample


def _last_object(path):
    """The last line that is an object with the figures; a log line may follow it."""
    wanted = ("jobs_per_s", "cpu_us_per_job", "latency_p50_ms", "latency_p99_ms", "credit")
    with open(path, errors="replace") as f:
        lines = [line for line in f if line.strip()]
    for line in reversed(lines):
        try:
            figures = json.loads(line)
            return {name: figures[name] for name in wanted}
        except (ValueError, TypeError, KeyError):
            continue
    raise Failed(
        f"kevolve-bench engine --json printed no object with {', '.join(wanted)}; its last line: "
        f"{lines[-1].strip()[:200] if lines else 'none'}"
    )
