"""Why ssh did not get in, as one sentence with the next command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def login_problem(
    said: str, host: str, port: int, user: str, account: str, fingerprints: Sequence[str]
) -> str:
    """What ssh said, in one sentence.

    Args:
        said: ssh's own words.
        account: whom the inventory names, when it was not ``user`` who was tried last.
        fingerprints: lines of `ssh-keygen -l`, for a host whose key is unknown.
    """
    place = f"{user}@{host}:{port}"
    if "IDENTIFICATION HAS CHANGED" in said or "has changed" in said:
        return (
            f"The host key of {place} is not the one you know. If the droplet was made anew, check "
            "its new fingerprint with your provider's console and run: ssh-keygen -R "
            f"{host if int(port) == 22 else f'[{host}]:{port}'}"
        )
    if "verification failed" in said:
        known = ", ".join(" ".join(line.split()[1:2] + line.split()[-1:]) for line in fingerprints)
        return (
            f"The host key of {place} is not known: {known or 'it shows none'}. Compare it with "
            "your provider's console (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub there), "
            f"then log in once: ssh -p {port} {user}@{host}"
        )
    if "Permission denied" in said:
        tried = f"neither {account} nor {user}" if account else f"not {user}"
        return (
            f"{host}:{port} lets {tried} in with your key. Look at ansible_user and "
            "ansible_ssh_private_key_file in the inventory, or which key your agent holds: "
            "ssh-add -l"
        )
    last = said.strip().splitlines()[-1] if said.strip() else "no answer"
    return (
        f"{place} cannot be reached: {last} Is it up, and is ansible_host in the inventory right?"
    )


class FilterModule:
    """Filters of this role."""

    def filters(self) -> dict[str, Any]:
        return {"login_problem": login_problem}
