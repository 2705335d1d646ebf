"""RQ: SimpleWorkers (the usual Worker forks for each job: some ten jobs a second), results kept in Redis."""

import os

import processes
import redis_server
import software
from peer import Peer, Setting, System, run_client

BENCH = os.path.join(software.HERE, "rq_bench.py")


class Rq(Peer):
    name = "rq"
    systems = [
        System(f"RQ, Redis {label}", claim, guess_per_s=400, values={"policy": policy})
        for label, claim, policy in redis_server.POLICIES
    ]

    def prepare(self, getter):
        self._python = getter.python("rq")

    def version(self):
        return software.first_line([self._python, "-c", "from importlib.metadata import version; print(version('rq'))"])

    def settings(self, system):
        return [
            Setting(f"{n} SimpleWorkers, {s}", n, {"serializer": s})
            for n, s in [(2, "pickle"), (2, "json"), (4, "json")]
        ]

    def measure(self, system, setting, jobs, latency_s, folder, traced=False):
        log = os.path.join(folder, "strace") if traced else None
        with processes.Processes(folder) as started:
            broker, path = redis_server.start(started, folder, system.values["policy"], log)
            for i in range(setting.workers):
                started.start(
                    f"worker-{i}",
                    [self._python, BENCH, "worker", path, setting.values["serializer"]],
                    env={"PYTHONPATH": software.HERE},
                )
            return run_client(
                started,
                [self._python, BENCH, "client", path, setting.values["serializer"], str(jobs), str(setting.workers)],
                broker,
                latency_s,
                log,
            )
