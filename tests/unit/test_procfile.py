"""Procfiles as Heroku reads them, and the programs that are made of them."""

import pytest

from deploy.host.procfile import processes, script, web_problem


@pytest.mark.parametrize(
    ("procfile", "expected"),
    [
        ("web: gunicorn mysite.wsgi\n", {"web": "gunicorn mysite.wsgi"}),
        ("web:gunicorn a:b --bind c:1  ", {"web": "gunicorn a:b --bind c:1"}),
        ("web: w\r\nworker_2: celery -A x\r\n", {"web": "w", "worker_2": "celery -A x"}),
        ("# web: old\n\n   \nweb: new\n", {"web": "new"}),
        ("release: python manage.py migrate\nweb: w\n", {"web": "w"}),
        ("release: uv run ./manage.py migrate --noinput\nweb: w\n", {"web": "w"}),
        (
            "release: python manage.py migrate && python manage.py load\nweb: w\n",
            {"release": "python manage.py migrate && python manage.py load", "web": "w"},
        ),
        (
            "release: python manage.py migrate catalog\n",
            {"release": "python manage.py migrate catalog"},
        ),
        ("web:\nnot a line\n", {}),
        ("web:   \n", {}),
        ("", {}),
    ],
)
def test_a_procfile_is_read_as_heroku_reads_it(procfile: str, expected: dict[str, str]) -> None:
    assert processes(procfile) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gunicorn a.wsgi", "exec env gunicorn a.wsgi"),
        (
            "gunicorn a.wsgi --bind 0.0.0.0:$PORT --workers 3",
            "exec env gunicorn a.wsgi --workers 3",
        ),
        ("gunicorn --bind=:$PORT a.wsgi", "exec env gunicorn a.wsgi"),
        ("gunicorn -b :8000 a.wsgi --log-file -", "exec env gunicorn a.wsgi --log-file -"),
        ('gunicorn -b "0.0.0.0:${PORT:-8000}" a.wsgi', "exec env gunicorn a.wsgi"),
        ("gunicorn --backlog 64 a.wsgi", "exec env gunicorn --backlog 64 a.wsgi"),
        ("DEBUG=0 gunicorn a.wsgi", "exec env DEBUG=0 gunicorn a.wsgi"),
        ("cd src && gunicorn a.wsgi", "cd src && exec env gunicorn a.wsgi"),
        ("poetry run gunicorn a.wsgi", "exec env gunicorn a.wsgi"),
    ],
)
def test_a_web_line_keeps_all_but_where_it_listens(line: str, expected: str) -> None:
    assert script("web", line) == f"#!/bin/sh\n{expected}\n"


def test_another_process_keeps_its_flags() -> None:
    assert script("worker", "celery -b redis://x worker") == (
        "#!/bin/sh\nexec env celery -b redis://x worker\n"
    )


@pytest.mark.parametrize(
    "line",
    [
        "gunicorn a.wsgi",
        "python -m gunicorn a.wsgi",
        "newrelic-admin run-program gunicorn a.wsgi",
        "cd src && .venv/bin/gunicorn a.wsgi",
    ],
)
def test_gunicorn_is_handed_the_socket(line: str) -> None:
    assert web_problem(line) is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("uwsgi uwsgi.ini", ("uwsgi", "web: gunicorn library.wsgi")),
        ("waitress-serve --port=$PORT a.wsgi:application", ("waitress-serve",)),
        ("python manage.py runserver 0.0.0.0:$PORT", ("runserver",)),
        ("daphne a.asgi:application -p $PORT", ("daphne", "--worker-class asgi library.asgi")),
        ("uvicorn a.asgi:application", ("uvicorn", "library.asgi")),
        ("bin/start", ("start",)),
        ("gunicorn 'a.wsgi", ("cannot be read",)),
    ],
)
def test_another_server_is_told_what_to_write_instead(line: str, words: tuple[str, ...]) -> None:
    problem = web_problem(line, "library.wsgi")
    assert problem
    for word in words:
        assert word in problem
