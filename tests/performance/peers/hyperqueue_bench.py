"""HyperQueue's server, worker and client in one process, as its Python package offers them.

usage: hyperqueue_bench.py FOLDER JOBS CORES
Each job is a process (/bin/true with the payload as its argument). Waiting through the package looks once a second;
asking for the state with a callback that leaves at once can be repeated at will, and is what is timed here.
"""

import os
import sys
import time

import dialogue
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

PAYLOAD = "x" * 100


class _Seen(Exception):
    pass


def _finished(connection, job_id):
    state = {}

    def look(jobs):
        state.update(jobs)
        raise _Seen

    try:
        connection.wait_for_jobs([job_id], look)
    except _Seen:
        pass
    # A job that was complete before the question is not in the answer.
    if job_id in state and state[job_id]["failed"]:
        sys.exit(f"{state[job_id]['failed']} tasks failed")
    return job_id not in state or state[job_id]["completed"]


def _run(client, folder, jobs, pause):
    job = Job(default_workdir=folder)
    for _ in range(jobs):
        job.program(["/bin/true", PAYLOAD], stdout=None, stderr=None)
    description = job._build(client)
    begin = time.monotonic()
    job_id = client.connection.submit_job(description)
    while not _finished(client.connection, job_id):
        time.sleep(pause)
        if time.monotonic() - begin > 120:
            sys.exit("the tasks were not finished within 120 s")
    return time.monotonic() - begin


def main(folder, jobs, cores):
    # The package prints a table when its server starts; the driver reads this process's output.
    ours = os.dup(1)
    os.dup2(2, 1)
    with LocalCluster(os.path.join(folder, "hq"), WorkerConfig(cores=cores)) as cluster:
        client = cluster.client()
        _run(client, folder, 10, 0.005)
        sys.stdout.flush()
        os.dup2(ours, 1)
        dialogue.ready()
        dialogue.done(jobs, _run(client, folder, jobs, 0.01))
        dialogue.latency(lambda: _run(client, folder, 1, 0.0005))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
