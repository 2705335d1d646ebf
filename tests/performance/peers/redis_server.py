"""A redis-server of its own for one measurement: unix socket, append-only file, no snapshots."""

import os

import durability
import processes

POLICIES = [("AOF always", durability.STRICT, "always"), ("AOF everysec", durability.ONE_SECOND, "everysec")]


def start(started, folder, policy, trace_log=None):
    """(process, path of its socket), once it answers."""
    path = os.path.join(folder, "redis.sock")
    argv = [
        "redis-server",
        "--port",
        "0",
        "--unixsocket",
        path,
        "--dir",
        folder,
        "--appendonly",
        "yes",
        "--appendfsync",
        policy,
        "--save",
        "",
        "--daemonize",
        "no",
    ]
    prefix = durability.trace_prefix(trace_log) if trace_log else []
    broker = started.start("redis-server", prefix + argv)
    processes.wait_until("redis-server listens", lambda: started.check() or os.path.exists(path))
    return broker, path
