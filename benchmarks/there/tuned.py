"""Gunicorn's configuration by somebody who counts microseconds."""

import gc

worker_class = "sync"
backlog = 1024


def pre_fork(server: object, worker: object) -> None:
    """What is loaded by now is never garbage: no worker looks at it again, or copies its pages."""
    gc.collect()
    gc.freeze()


def post_fork(server: object, worker: object) -> None:
    gc.set_threshold(50_000, 20, 50)
