"""Command lines for the droplet. They are built here and run by the runner."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from deploy.host import in_django
from deploy.target import Target

# What the shell below answers when the droplet does not have this release tool yet.
TOOL_MISSING = "tool missing"
NOT_PROVISIONED = "not provisioned"


def serve(target: Target, digest: str) -> str:
    """Start the release tool, or say that it is missing."""
    folder = shlex.quote(str(PurePosixPath(target.root) / "tools" / digest))
    return (
        f"if [ -e {folder}/__main__.py ]; "
        f"then exec /usr/bin/python3 -IS {folder} {shlex.quote(target.app)} serve; "
        f"else echo {TOOL_MISSING}; fi"
    )


def install_tool(target: Target, digest: str) -> str:
    """Unpack the release tool from standard input, in one rename, and link it for people."""
    root = shlex.quote(target.root)
    return (
        f"cd {root} 2>/dev/null && [ -w tools ] || {{ echo {NOT_PROVISIONED}; exit 0; }}; "
        "umask 022 && draft=$(mktemp -d tools/.XXXXXX) && chmod 755 $draft && "
        "tar -xzf - -C $draft && sync -f $draft && "
        f"{{ mv -T $draft tools/{digest} 2>/dev/null || rm -rf $draft; }} && "
        f"ln -sfn tools/{digest} .tool && mv -T .tool tool"
    )


def manage(target: Target, release: str, words: Sequence[str], program: bool) -> tuple[str, ...]:
    """argv on the droplet that runs a command in a release, as the app's user.

    Args:
        program: the first word is a program, not a command of manage.py.
    """
    helper = f"/usr/local/sbin/{target.app}-manage"
    run = ("--run",) if program else ()
    return ("sudo", "-n", helper, "--attached", "--release", release, *run, *words)


def archive(target: Target, release: str) -> tuple[str, ...]:
    """argv on the droplet that writes its database to standard output, as pg_restore reads it."""
    return manage(target, release, in_django.words("dump", archive=True), program=False)


def database(target: Target, verb: str, *names: str) -> tuple[str, ...]:
    """argv on the droplet, for its operators: roles/postgres/files/slipway-database."""
    return ("sudo", "-n", "/usr/local/sbin/slipway-database", verb, target.app, *names)


def ssh(
    target: Target,
    argv: Sequence[str],
    terminal: bool = False,
    user: str = "",
    more: Sequence[str] = (),
) -> tuple[str, ...]:
    """argv on the controller that runs a command on the droplet with OpenSSH's client.

    Nobody is asked for a password, and a host whose key is not known is not talked to.

    Args:
        terminal: give the command a terminal there.
        user: who logs in; "" for who deploys.
        more: further options, as ssh_config(5) has them.
    """
    options = ["StrictHostKeyChecking=yes", "PreferredAuthentications=publickey", "LogLevel=ERROR"]
    if target.known_hosts:
        options.append(f"UserKnownHostsFile={Path(target.known_hosts).expanduser()}")
    if target.identity_file:
        options += [f"IdentityFile={Path(target.identity_file).expanduser()}", "IdentitiesOnly=yes"]
    return (
        *("ssh", "-tt" if terminal else "-T", "-p", str(target.port)),
        *(f"-o{option}" for option in (*options, *more)),
        *(f"{user or target.user}@{target.host}", "--", shlex.join(argv)),
    )
