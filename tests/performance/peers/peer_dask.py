"""Dask distributed: scheduler and workers in processes of their own, so that the client does not slow them down."""

import os

import durability
import processes
import software
from peer import Peer, Setting, System, run_client

CLIENT = os.path.join(software.HERE, "dask_bench.py")


class Dask(Peer):
    name = "dask"
    systems = [
        System(
            "Dask distributed",
            durability.NONE,
            guess_per_s=800,
            note="submission is part of the time: it has no queue to fill; results stay in the workers' memory",
        )
    ]

    def prepare(self, getter):
        self._python = getter.python("distributed")

    def version(self):
        return software.first_line([self._python, "-c", "import distributed; print(distributed.__version__)"])

    def settings(self, system):
        return [
            Setting(
                f"2 processes × {t} thread{'s' * (t > 1)}, saturation {s}, map in {b or 'one'} batch",
                2,
                {"threads": t, "saturation": s, "batch": b},
            )
            for t, s, b in [(1, "1.1", 0), (1, "inf", 0), (1, "inf", 500), (4, "inf", 0)]
        ]

    def measure(self, system, setting, jobs, latency_s, folder, traced=False):
        v = setting.values
        address = os.path.join(folder, "scheduler.json")
        log = os.path.join(folder, "strace")
        env = {
            "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": v["saturation"],
            "PYTHONPATH": software.HERE,
            "DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING": "False",
            "DASK_TEMPORARY_DIRECTORY": folder,
            "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "error",
        }
        dask = [self._python, "-m", "dask"]
        with processes.Processes(folder) as started:
            scheduler = started.start(
                "scheduler",
                durability.trace_prefix(log) * traced
                + dask
                + [
                    "scheduler",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    "0",
                    "--no-dashboard",
                    "--no-show",
                    "--scheduler-file",
                    address,
                ],
                env=env,
            )
            processes.wait_until("the Dask scheduler listens", lambda: started.check() or os.path.exists(address), 30)
            started.start(
                "workers",
                dask
                + [
                    "worker",
                    "--scheduler-file",
                    address,
                    "--nworkers",
                    str(setting.workers),
                    "--nthreads",
                    str(v["threads"]),
                    "--host",
                    "127.0.0.1",
                    "--no-dashboard",
                    "--local-directory",
                    folder,
                ],
                env=env,
            )
            return run_client(
                started,
                [self._python, CLIENT, address, str(jobs), str(setting.workers), str(v["batch"])],
                scheduler,
                latency_s,
                log if traced else None,
                env=env,
            )
