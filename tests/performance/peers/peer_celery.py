"""Celery with Redis as broker and result store: late acknowledgement, results kept; pools first, then prefetch."""

import os

import processes
import redis_server
import software
from peer import Peer, Setting, System, run_client

CLIENT = os.path.join(software.HERE, "celery_bench.py")


def _setting(nodes, pool, concurrency, prefetch):
    how = {"prefork": f"prefork {concurrency}", "threads": f"threads {concurrency}", "solo": "solo"}[pool]
    per = "unlimited" if prefetch == 0 else str(prefetch)
    return Setting(
        f"{nodes} × {how}, prefetch {per}" if nodes > 1 else f"{how}, prefetch {per}",
        nodes * concurrency,
        {"nodes": nodes, "pool": pool, "concurrency": concurrency, "prefetch": prefetch},
    )


class Celery(Peer):
    name = "celery"
    systems = [
        System(f"Celery, Redis {label}", claim, guess_per_s=800, values={"policy": policy})
        for label, claim, policy in redis_server.POLICIES
    ]

    def prepare(self, getter):
        self._python = getter.python("celery")

    def version(self):
        return software.first_line([self._python, "-c", "import celery; print(celery.__version__)"])

    def settings(self, system):
        return [
            _setting(1, "prefork", 2, 64),
            _setting(1, "solo", 1, 64),
            _setting(2, "solo", 1, 64),
            _setting(1, "threads", 4, 64),
        ]

    def refine(self, system, best):
        v = best.values
        return [_setting(v["nodes"], v["pool"], v["concurrency"], prefetch) for prefetch in (1, 8, 0)]

    def measure(self, system, setting, jobs, latency_s, folder, traced=False):
        v = setting.values
        log = os.path.join(folder, "strace") if traced else None
        with processes.Processes(folder) as started:
            broker, path = redis_server.start(started, folder, system.values["policy"], log)
            env = {"PEERS_REDIS": path, "PEERS_PREFETCH": str(v["prefetch"]), "PYTHONPATH": software.HERE}
            for i in range(v["nodes"]):
                started.start(
                    f"worker-{i}",
                    [
                        self._python,
                        "-m",
                        "celery",
                        "-A",
                        "celery_app",
                        "worker",
                        "-P",
                        v["pool"],
                        "-c",
                        str(v["concurrency"]),
                        "-n",
                        f"w{i}@peers",
                        "-Q",
                        "standby",
                        "-l",
                        "ERROR",
                        "--without-gossip",
                        "--without-mingle",
                        "--without-heartbeat",
                    ],
                    env=env,
                )
            return run_client(
                started, [self._python, CLIENT, str(jobs), str(v["nodes"])], broker, latency_s, log, env=env
            )
