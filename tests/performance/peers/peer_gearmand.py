"""gearmand: a native, pipelined client and foreground jobs, kept in memory; a result goes to the client, no store.

Its persistent queues hold background jobs only, whose results are thrown away: they cannot do this job.
"""

import os

import durability
import processes
import software
from peer import Peer, Setting, System, run_client


class Gearmand(Peer):
    name = "gearmand"
    systems = [
        System(
            "gearmand",
            durability.NONE,
            guess_per_s=50000,
            note="keeps no result: it is finished when the client holds it",
        )
    ]

    def prepare(self, getter):
        self._server, self._env = getter.debian("gearman-job-server", "gearmand")
        self._client = getter.native("gearmand_client")

    def version(self):
        return software.first_line([self._server, "--version"], self._env).split()[1]

    def settings(self, system):
        return [
            Setting(f"{d} grab{'s' * (d > 1)} a worker, {t} I/O threads", 2, {"depth": d, "threads": t})
            for d, t in [(1, 4), (16, 4), (64, 4), (256, 4), (64, 1), (64, 0)]
        ]

    def measure(self, system, setting, jobs, latency_s, folder, traced=False):
        port = processes.free_port()
        log = os.path.join(folder, "strace")
        argv = [self._server, "-L", "127.0.0.1", "-p", str(port), "-l", "stderr", "-t", str(setting.values["threads"])]
        with processes.Processes(folder) as started:
            broker = started.start("gearmand", durability.trace_prefix(log) * traced + argv, env=self._env)
            processes.wait_until("gearmand listens", lambda: started.check() or processes.port_answers(port))
            return run_client(
                started,
                [
                    self._client,
                    "--port",
                    str(port),
                    "--jobs",
                    str(jobs),
                    "--workers",
                    str(setting.workers),
                    "--depth",
                    str(setting.values["depth"]),
                ],
                broker,
                latency_s,
                log if traced else None,
            )
