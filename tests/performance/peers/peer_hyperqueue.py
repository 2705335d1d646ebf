"""HyperQueue, as far as the Python package index has it: the package's server, worker and client, a process a task.

The index has no `hq` program: so no journal (no durability) and no zero-worker mode, which leaves out the processes.
"""

import os

import durability
import processes
import software
from peer import Peer, Setting, System, run_client

CLIENT = os.path.join(software.HERE, "hyperqueue_bench.py")


class HyperQueue(Peer):
    name = "hyperqueue"
    systems = [
        System(
            "HyperQueue",
            durability.NONE,
            guess_per_s=300,
            note="starts a process for each job, keeps no result; submission is part of the time; "
            "CPU of the server cannot be told from the worker's",
        )
    ]
    not_run = [
        (
            "HyperQueue, zero-worker mode",
            "the mode needs an own build of the program hq; the Python package has neither",
        ),
        (
            "HyperQueue with journal",
            "the journal is an option of the program hq, which the Python package does not bring",
        ),
    ]

    def prepare(self, getter):
        self._python = getter.python("hyperqueue")

    def version(self):
        return software.first_line(
            [self._python, "-c", "from importlib.metadata import version; print(version('hyperqueue'))"]
        )

    def settings(self, system):
        return [Setting(f"1 worker, {n} cores", 1, {"cores": n}) for n in (2, 8, 16, 32)]

    def measure(self, system, setting, jobs, latency_s, folder, traced=False):
        log = os.path.join(folder, "strace")
        with processes.Processes(folder) as started:
            return run_client(
                started,
                durability.trace_prefix(log) * traced
                + [self._python, CLIENT, folder, str(jobs), str(setting.values["cores"])],
                None,
                latency_s,
                log if traced else None,
            )
