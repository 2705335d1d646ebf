"""Celery's client, run by its own interpreter: celery_bench.py JOBS WORKER-PROCESSES

The workers stand by on an empty queue; when the jobs are in the other one, they are told to read that. A job is
finished when its result is stored and its message acknowledged.
"""

import os
import sys
import time

import dialogue
from celery import Celery
from celery_app import BROKER, app, noop
from redis import Redis

PAYLOAD = "x" * 100


def main(jobs, processes):
    end = time.monotonic() + 30
    while len(app.control.ping(timeout=0.3, limit=processes)) < processes:
        if time.monotonic() > end:
            sys.exit("the workers did not start")
    queue = Redis(unix_socket_path=os.environ["PEERS_REDIS"], db=0)
    results = Redis(unix_socket_path=os.environ["PEERS_REDIS"], db=1)
    # Without a result store of its own this sender does not subscribe to every result, which would slow down Redis.
    sender = Celery("sender", broker=BROKER)
    with sender.producer_or_acquire() as producer:
        for _ in range(jobs):
            sender.send_task(noop.name, (PAYLOAD,), queue="jobs", producer=producer)
    if results.dbsize() != 0 or queue.llen("jobs") != jobs:
        sys.exit(f"{jobs} jobs, but {queue.llen('jobs')} wait and {results.dbsize()} have results")
    dialogue.ready()
    app.control.add_consumer("jobs")
    # Telling the workers takes Celery a while that is no part of any job: time runs from the first results on.
    begin = time.monotonic()
    while (before := results.dbsize()) == 0:
        if time.monotonic() - begin > 20:
            sys.exit("no job was finished within 20 s")
        time.sleep(0.001)
    begin = time.monotonic()
    while results.dbsize() < jobs or queue.hlen("unacked") > 0:
        time.sleep(0.005)
        if time.monotonic() - begin > 120:
            sys.exit(f"only {results.dbsize()} of {jobs} jobs were finished within 120 s")
    dialogue.done(jobs - before, time.monotonic() - begin)

    def one_job():
        if noop.delay(PAYLOAD).get(timeout=20) != PAYLOAD:
            sys.exit("a job gave no result")

    dialogue.latency(one_job)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
