"""What stops a run before any change: backups that could not be written, or never be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

FOLDER = r"/[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*"
SHAPES = {
    "sftp": re.compile(rf"sftp://[a-z_][a-z0-9_-]*@[A-Za-z0-9.-]+(?::\d+)?{FOLDER}"),
    "s3": re.compile(rf"s3://[A-Za-z0-9.-]+(?::\d+)?/[a-z0-9.-]+(?:{FOLDER})?"),
    "": re.compile(FOLDER),
}
NEEDED = {
    "": {},
    "sftp": {
        "backup_ssh_key": "the private key that logs in there, a !vault value",
        "backup_host_keys": "that host's public keys, type and text of each: ssh-keyscan HOST, "
        "and compare them with what its owner says",
    },
    "s3": {
        "backup_s3_key": "the name of the access key",
        "backup_s3_secret": "its secret, a !vault value",
    },
}
KEY = (
    "site_backup_key is not set: what is backed up elsewhere is encrypted with it, and a key that "
    "lived on the droplet alone would be lost with it. Make one, openssl rand -base64 32, keep it "
    "where you keep passwords, and put it into the inventory as a !vault value."
)
SHORT = 20
# pgBackRest learned SFTP with 2.46.
TOO_OLD = ("bookworm", "jammy")


def backup_findings(repository: Any, secrets: Mapping[str, Any], system: str) -> list[str]:
    """One sentence for each thing that is wrong with the repository or missing for it.

    Args:
        secrets: by the name of their variable; values are never shown.
        system: the droplet's release, such as trixie.
    """
    text = str(repository)
    kind = text.partition("://")[0] if "://" in text else ""
    shape = SHAPES.get(kind)
    if shape is None or not shape.fullmatch(text) or ".." in text.split("/"):
        return [
            f"site_backup_repository is {text!r}: write a folder of the droplet such as "
            "/var/backups/slipway, sftp://USER@HOST/FOLDER or s3://HOST/BUCKET."
        ]
    key = str(secrets.get("site_backup_key", ""))
    findings = [KEY] if kind and not key else []
    if key and (len(key) < SHORT or not key.isprintable() or key != key.strip()):
        findings.append(
            f"site_backup_key is no key: write one line of {SHORT} characters or more, such as "
            "openssl rand -base64 32 makes."
        )
    if kind == "sftp" and system in TOO_OLD:
        findings.append(
            f"site_backup_repository is at an SFTP host, which pgBackRest on {system} does not "
            "know: take an s3:// address, a folder, or a droplet with Debian 13."
        )
    return findings + [
        f"{name} is not set, which {kind}:// needs: {meaning}."
        for name, meaning in NEEDED[kind].items()
        if not str(secrets.get(name, ""))
    ]


class FilterModule:
    """Filters of this role."""

    def filters(self) -> dict[str, Any]:
        return {"backup_findings": backup_findings}
