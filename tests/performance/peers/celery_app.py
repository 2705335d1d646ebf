"""The Celery application of the benchmark: broker and results are databases 0 and 1 of the Redis at $PEERS_REDIS."""

import os

from celery import Celery

_PATH = os.environ["PEERS_REDIS"]

BROKER = f"redis+socket://{_PATH}?virtual_host=0"

app = Celery("peers", broker=BROKER, backend=f"redis+socket://{_PATH}?virtual_host=1")
app.conf.update(
    task_acks_late=True,  # a job is acknowledged after it was done
    task_ignore_result=False,
    worker_prefetch_multiplier=int(os.environ.get("PEERS_PREFETCH", "4")),
    worker_disable_rate_limits=True,
    worker_send_task_events=False,
    task_create_missing_queues=True,
    task_default_queue="jobs",
    broker_connection_retry_on_startup=True,
)


@app.task(name="noop")
def noop(payload):
    return payload
