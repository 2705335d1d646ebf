"""The Python clients' side of the dialogue with the driver (see peer.py)."""

import json
import sys
import time


def ready():
    """Says so and waits for the driver's `go`."""
    print("ready", flush=True)
    _command()


def done(jobs, seconds):
    print("done", json.dumps({"jobs": jobs, "seconds": seconds}), flush=True)


def latency(one_job):
    """Runs one job after the other for the time that the driver names, then waits until the driver has counted."""
    limit = float(_command().split()[1])
    micros = []
    if limit > 0:
        one_job()  # the first one opens connections
    begin = time.perf_counter()
    while time.perf_counter() - begin < limit:
        before = time.perf_counter()
        one_job()
        micros.append(round((time.perf_counter() - before) * 1e6))
    print("latency", json.dumps(micros), flush=True)
    _command()


def _command():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return line
