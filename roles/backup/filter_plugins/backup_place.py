"""One address of a repository, in the words of the two programs that write there."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def backup_place(address: str, region: str, key: str, secret: str, etc: str) -> dict[str, Any]:
    """What pgBackRest and restic are told of a repository.

    Args:
        address: a folder, sftp://USER@HOST[:PORT]/FOLDER or s3://HOST/BUCKET[/FOLDER].
        region: of the bucket; ``key`` and ``secret`` let in there.
        etc: the folder with the keys of SFTP.

    Returns:
        ``pgbackrest``, its settings; ``restic``, its name of the repository, ``restic_options`` and
        ``environment``; ``host``, whose key has to be known, as known_hosts has it.
    """
    if address.startswith("/"):
        return {
            "pgbackrest": {"type": "posix", "path": f"{address}/postgresql"},
            "restic": f"{address}/files",
            "restic_options": [],
            "environment": {},
        }
    parts = urlsplit(address)
    place = _sftp if parts.scheme == "sftp" else _s3
    return place(parts, region, key, secret, etc)


def _sftp(parts: Any, region: str, key: str, secret: str, etc: str) -> dict[str, Any]:
    port = parts.port or 22
    folder = parts.path.rstrip("/")
    ssh = (
        f"-i {etc}/ssh_key -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes "
        f"-o UserKnownHostsFile={etc}/known_hosts -o ServerAliveInterval=30"
    )
    return {
        "pgbackrest": {
            "type": "sftp",
            "path": f"{folder}/postgresql",
            "sftp-host": parts.hostname,
            "sftp-host-port": port,
            "sftp-host-user": parts.username,
            "sftp-private-key-file": f"{etc}/ssh_key.postgres",
            "sftp-host-key-hash-type": "sha256",
            "sftp-host-key-check-type": "strict",
            "sftp-known-host": f"{etc}/known_hosts",
        },
        "restic": f"sftp://{parts.username}@{parts.hostname}:{port}/{folder}/files",
        "restic_options": ["-o", f"sftp.args={ssh}"],
        "environment": {},
        "host": parts.hostname if port == 22 else f"[{parts.hostname}]:{port}",
    }


def _s3(parts: Any, region: str, key: str, secret: str, etc: str) -> dict[str, Any]:
    bucket, _, folder = parts.path.strip("/").partition("/")
    return {
        "pgbackrest": {
            "type": "s3",
            "path": f"/{folder}/postgresql" if folder else "/postgresql",
            "s3-bucket": bucket,
            "s3-endpoint": parts.netloc,
            "s3-uri-style": "path",
            "s3-region": region,
            "s3-key": key,
            "s3-key-secret": secret,
        },
        "restic": "/".join(filter(None, (f"s3:https://{parts.netloc}", bucket, folder, "files"))),
        "restic_options": [],
        "environment": {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": region,
        },
    }


def backup_program(source: str, target: str) -> list[dict[str, str]]:
    """What the module host_files takes to install the program of this role.

    Args:
        source: the folder that holds it; ``target`` is the one on the droplet.
    """
    root, there = Path(source), Path(target)
    files = sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)
    folders = sorted({path.parent for path in files})
    return [{"path": str(there / folder.relative_to(root))} for folder in folders] + [
        {"path": str(there / path.relative_to(root)), "content": path.read_text(), "diff": False}
        # Some hundred lines that stand in this repository.
        for path in files
    ]


class FilterModule:
    """Filters of this role."""

    def filters(self) -> dict[str, Any]:
        return {"backup_place": backup_place, "backup_program": backup_program}
