"""beanstalkd: a native, pipelined client; three durability classes, with the result in a second tube and without."""

import os

import durability
import processes
import software
from peer import Peer, Setting, System, run_client


class Beanstalkd(Peer):
    name = "beanstalkd"
    systems = [
        System(
            f"beanstalkd {label}{'' if store else ', no result kept'}",
            claim,
            note="" if store else "does less than asked: a job ends with its delete, nothing of it is kept",
            guess_per_s=guess,
            values={"flags": flags, "store": store},
        )
        for label, claim, flags, guess in [
            ("-f 0", durability.STRICT, ["-f", "0"], 3000),
            ("-f 50 (default)", durability.FIFTY_MS, ["-f", "50"], 20000),
            ("without binlog", durability.NONE, None, 20000),
        ]
        for store in (True, False)
    ]

    def prepare(self, getter):
        self._server, self._env = getter.debian("beanstalkd", "beanstalkd")
        self._client = getter.native("beanstalkd_client")

    def version(self):
        return software.first_line([self._server, "-v"], self._env).split()[-1]

    def settings(self, system):
        return [
            Setting(
                f"{c} connection{'s' * (c > 1)} a worker, {d} reserve{'s' * (d > 1)} on each",
                2,
                {"connections": c, "depth": d},
            )
            for c, d in [(1, 1), (1, 16), (1, 64), (8, 1), (8, 8)]
        ]

    def measure(self, system, setting, jobs, latency_s, folder, traced=False):
        port = processes.free_port()
        argv = [self._server, "-l", "127.0.0.1", "-p", str(port)]
        if system.values["flags"]:
            os.mkdir(os.path.join(folder, "binlog"))
            argv += ["-b", os.path.join(folder, "binlog"), *system.values["flags"]]
        log = os.path.join(folder, "strace")
        with processes.Processes(folder) as started:
            broker = started.start("beanstalkd", durability.trace_prefix(log) * traced + argv, env=self._env)
            processes.wait_until("beanstalkd listens", lambda: started.check() or processes.port_answers(port))
            store = system.values["store"]
            # Without a result there is nothing to wait for, so no latency; the counting run keeps results.
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
                    "--connections",
                    str(setting.values["connections"]),
                    "--depth",
                    str(setting.values["depth"]),
                    "--store",
                    str(int(store)),
                ],
                broker,
                latency_s if store or traced else 0,
                log if traced else None,
            )
