"""A database on its way through this machine: from ssh to ssh, and onto no disk in between."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from deploy import commands
from deploy.errors import BackedOut, Refused
from deploy.target import Target

CHUNK = 1 << 16
DETAIL_LINES = 12


class Trouble(Exception):
    """What slipway-database says is wrong: a sentence, and lines of evidence."""


class Silence(Exception):
    """It ended without an answer."""


@dataclass
class Source:
    """Where an archive of pg_dump comes from: a command, or a file."""

    name: str
    argv: Sequence[str] = ()
    path: Path | None = None
    said: list[str] = field(default_factory=list)
    code: int = 0

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """The archive. ``code`` and ``said`` tell afterwards how the command ended."""
        if self.path:
            with self.path.open("rb") as file:
                yield file
            return
        with (
            tempfile.TemporaryFile() as said,
            subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said
            ) as process,
        ):
            assert process.stdout
            try:
                yield process.stdout
            except BaseException:
                process.terminate()
                raise
            # Whoever writes to it ends when nobody reads any more.
            process.stdout.close()
            self.code = process.wait()
            self.said = _lines(said)


def ask(target: Target, verb: str, *names: str) -> dict[str, Any]:
    """What slipway-database of the droplet answers.

    Raises:
        Trouble: its own sentence.
        Refused: it does not answer.
    """
    done = subprocess.run(
        _argv(target, verb, *names), stdin=subprocess.DEVNULL, capture_output=True
    )
    try:
        return _answer(done.stdout.splitlines())
    except Silence:
        said = done.stderr.decode(errors="replace").splitlines()
        raise Refused(_why_silent(target, said), said[-DETAIL_LINES:]) from None


def receive(
    target: Target,
    source: Source,
    header: Mapping[str, Any],
    sent: Callable[[int], None],
    phase: Callable[[str], None],
) -> dict[str, Any]:
    """Have the droplet make a database of the archive, beside the site's own.

    Args:
        header: what is told before it; see roles/postgres/files/slipway-database.
        sent: told the bytes of the archive, as they go.
        phase: told what the droplet has begun to do.

    Raises:
        BackedOut: the archive or the connection broke off.
        Trouble: the droplet cannot make a database of it. Either way it keeps nothing of it.
    """
    answer, failure, whole = {}, None, False
    with tempfile.TemporaryFile() as said:
        with (
            source.opened() as archive,
            subprocess.Popen(
                _argv(target, "receive"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
            ) as process,
        ):
            assert process.stdin
            assert process.stdout
            try:
                whole = _pump(archive, process.stdin, header, sent)
                answer = _answer(process.stdout, phase)
            except (Trouble, Silence) as trouble:
                failure = trouble
            except BaseException:
                process.kill()
                raise
        lines = _lines(said)
    if whole and source.code != 0:
        raise BackedOut(_broke_off(source), source.said)
    if isinstance(failure, Silence):
        raise BackedOut(
            f"The connection with {target.name} broke off: {_last(lines)}. It keeps the database "
            "that it has"
        )
    if failure:
        raise failure
    return answer


def save(source: Source, path: Path, sent: Callable[[int], None]) -> None:
    """Keep an archive in a file, which comes whole or not at all.

    Raises:
        Refused: the file cannot be written.
        BackedOut: the archive broke off.
    """
    draft = path.with_name(f".{path.name}.part")
    try:
        # It is nobody else's to read.
        draft.touch(0o600)
        with source.opened() as archive, draft.open("wb") as file:
            while chunk := archive.read(CHUNK):
                file.write(chunk)
                sent(len(chunk))
        if source.code == 0:
            draft.rename(path)
            return
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error}") from None
    finally:
        draft.unlink(missing_ok=True)
    raise BackedOut(_broke_off(source), source.said)


def _pump(
    archive: IO[bytes], out: IO[bytes], header: Mapping[str, Any], sent: Callable[[int], None]
) -> bool:
    """Whether all of it was read. Why nobody takes it any more is said on the other side."""
    whole = False
    with suppress(BrokenPipeError):
        out.write(json.dumps(dict(header)).encode() + b"\n")
        while chunk := archive.read(CHUNK):
            out.write(chunk)
            sent(len(chunk))
        whole = True
    with suppress(BrokenPipeError):
        out.close()
    return whole


def _argv(target: Target, verb: str, *names: str) -> tuple[str, ...]:
    return commands.ssh(target, commands.database(target, verb, *names), user=target.admin)


def _unheard(phase: str) -> None:
    """Nobody looks on."""


def _answer(lines: Iterable[bytes], phase: Callable[[str], None] = _unheard) -> dict[str, Any]:
    for line in lines:
        facts = json.loads(line)
        if "error" in facts:
            raise Trouble(facts["error"]["message"], *facts["error"]["detail"])
        if "done" in facts:
            return dict(facts["done"])
        phase(facts["phase"])
    raise Silence


def _why_silent(target: Target, said: Sequence[str]) -> str:
    if any("command not found" in line for line in said):
        return (
            f"{target.name} was provisioned before databases could be exchanged. Run: "
            f"ansible-playbook -i {target.inventory} site.yml"
        )
    return (
        f"Databases are exchanged by an operator with sudo, and {target.admin}@{target.host} gets "
        f"no answer: {_last(said)}. See site_operators and ansible_user in the inventory"
    )


def _broke_off(source: Source) -> str:
    return f"The database of {source.name} broke off: {_last(source.said)}"


def _lines(file: IO[bytes]) -> list[str]:
    file.seek(0)
    said = file.read().decode(errors="replace").splitlines()
    return [line for line in said if line.strip()][-DETAIL_LINES:]


def _last(said: Sequence[str]) -> str:
    return next((line.strip() for line in reversed(said) if line.strip()), "the connection ended")
