"""What certbot has noted about a certificate, and what it says when it gets none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def certbot_lineage(text: str) -> dict[str, Any]:
    """Server and sorted domains from the text of a file under /etc/letsencrypt/renewal.

    An empty text, for a certificate that certbot does not know, gives no server and no domain.
    """
    server = re.search(r"^server = (.+)$", text, re.MULTILINE)
    _, _, webroots = text.partition("[[webroot_map]]")
    domains = re.findall(r"^\s*([^\s=\[]+) = ", webroots, re.MULTILINE)
    return {"server": server[1] if server else "", "domains": sorted(domains)}


def certbot_reasons(done: Mapping[str, Any]) -> list[str]:
    """Why no certificate was issued, from certbot's stdout and stderr: one line for each cause.

    The authority names each domain that it could not reach; any other trouble is what is left of
    the output without certbot's own advice.
    """
    output = f"{done.get('stdout', '')}\n{done.get('stderr', '')}"
    refused = re.findall(r"^ *Domain: +(\S+)\n *Type: +\S+\n *Detail: +(.+)$", output, re.MULTILINE)
    if refused:
        return [f"{domain}: {detail}" for domain, detail in refused]
    advice = ("Saving debug log", "Ask for help", "An unexpected error", "Some challenges", "Hint:")
    return [
        line for line in map(str.strip, output.splitlines()) if line and not line.startswith(advice)
    ]


class FilterModule:
    """Filters of this role."""

    def filters(self) -> dict[str, Any]:
        return {"certbot_lineage": certbot_lineage, "certbot_reasons": certbot_reasons}
