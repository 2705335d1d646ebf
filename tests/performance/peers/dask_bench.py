"""Dask's client, run by its own interpreter: dask_bench.py SCHEDULER-FILE JOBS WORKERS BATCH

There is no queue that could be filled before: the time runs from map() until the last result is gathered.
"""

import sys
import time

import dialogue
from distributed import Client

PAYLOAD = "x" * 100


def noop(payload, number):
    return payload


def main(scheduler_file, jobs, workers, batch):
    with Client(scheduler_file=scheduler_file) as client:
        client.wait_for_workers(workers, timeout=30)
        client.gather(client.map(noop, [PAYLOAD] * 50, range(50), pure=False))
        dialogue.ready()
        begin = time.monotonic()
        futures = client.map(noop, [PAYLOAD] * jobs, range(jobs), pure=False, batch_size=batch or None)
        results = client.gather(futures)
        seconds = time.monotonic() - begin
        if results != [PAYLOAD] * jobs:
            sys.exit("results are missing")
        dialogue.done(jobs, seconds)
        del futures, results

        def one_job():
            if client.submit(noop, PAYLOAD, 0, pure=False).result(timeout=20) != PAYLOAD:
                sys.exit("a job gave no result")

        dialogue.latency(one_job)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
