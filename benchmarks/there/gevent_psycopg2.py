"""Gunicorn's configuration for gevent: psycopg2 waits as gevent does, by psycogreen."""

from psycogreen.gevent import patch_psycopg

worker_class = "gevent"


def post_fork(server: object, worker: object) -> None:
    patch_psycopg()
