"""RQ's client and worker, run by its own interpreter.

rq_bench.py worker SOCKET SERIALIZER      a SimpleWorker: drains the queue at the start signal, then works for ever
rq_bench.py client SOCKET SERIALIZER JOBS WORKERS
Signals are Redis lists of database 1. A job is finished when it stands in the registry of finished jobs, where RQ puts
it in the transaction that stores its result.
"""

import logging
import sys
import time

import dialogue
from redis import Redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer, PickleSerializer

PAYLOAD = "x" * 100
JOB = "rq_bench.noop"  # by name: a worker cannot import the __main__ of another process


def noop(payload):
    return payload


def open_queue(path, serializer):
    serializer = {"json": JSONSerializer, "pickle": PickleSerializer}[serializer]
    return Queue("jobs", connection=Redis(unix_socket_path=path), serializer=serializer)


def work(path, serializer):
    logging.getLogger("rq.worker").setLevel(logging.ERROR)
    queue = open_queue(path, serializer)
    signals = Redis(unix_socket_path=path, db=1)

    def new_worker():
        return SimpleWorker([queue], connection=queue.connection, serializer=queue.serializer)

    worker = new_worker()
    signals.rpush("ready", 1)
    signals.blpop("go")
    worker.work(burst=True, logging_level="ERROR")
    signals.rpush("drained", 1)
    new_worker().work(logging_level="ERROR")


def _wait_for(queue, finished, jobs):
    begin = time.monotonic()
    while (there := queue.connection.zcard(finished)) < jobs:
        time.sleep(0.002)
        if time.monotonic() - begin > 120:
            sys.exit(f"only {there} of {jobs} jobs were finished within 120 s")
    return there


def load(path, serializer, jobs, workers):
    queue = open_queue(path, serializer)
    signals = Redis(unix_socket_path=path, db=1)
    for _ in range(workers):
        if not signals.blpop("ready", timeout=20):
            sys.exit("a worker did not start")
    data = [Queue.prepare_data(JOB, (PAYLOAD,)) for _ in range(jobs)]
    for first in range(0, jobs, 500):
        with queue.connection.pipeline() as pipe:
            queue.enqueue_many(data[first : first + 500], pipeline=pipe)
            pipe.execute()
    dialogue.ready()
    finished = queue.finished_job_registry.key
    signals.rpush("go", *[1] * workers)
    # A worker's registration and its farewell are no part of any job: time runs from the first results to the last.
    before = _wait_for(queue, finished, 1)
    begin = time.monotonic()
    _wait_for(queue, finished, jobs)
    dialogue.done(jobs - before, time.monotonic() - begin)
    for _ in range(workers):
        if not signals.blpop("drained", timeout=20):
            sys.exit("a worker did not end its first round")

    def one_job():
        result = queue.enqueue(JOB, PAYLOAD).latest_result(timeout=20)
        if result is None or result.return_value != PAYLOAD:
            sys.exit("a job gave no result")

    dialogue.latency(one_job)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        work(*sys.argv[2:4])
    else:
        load(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
