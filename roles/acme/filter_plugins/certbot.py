"""What certbot has noted about a certificate, and what it says when it gets none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

PEM = "-----BEGIN CERTIFICATE-----"
# Of its life, when renewal is due: certbot's own, since its version 4.
SHARE_LEFT = 1 / 3


def certbot_lineage(text: str) -> dict[str, Any]:
    """Server and sorted domains from the text of a file under /etc/letsencrypt/renewal.

    ``ends_soon`` is whether less than a third of the life of the certificate is left, which follows
    the text as PEM: the timer should have renewed it. An empty text, for a certificate that certbot
    does not know, gives no server and no domain.
    """
    text, begin, pem = text.partition(PEM)
    server = re.search(r"^server = (.+)$", text, re.MULTILINE)
    _, _, webroots = text.partition("[[webroot_map]]")
    domains = re.findall(r"^\s*([^\s=\[]+) = ", webroots, re.MULTILINE)
    return {
        "server": server[1] if server else "",
        "domains": sorted(domains),
        "ends_soon": bool(pem) and _ends_soon(f"{begin}{pem}".encode()),
    }


def _ends_soon(pem: bytes) -> bool:
    certificate = x509.load_pem_x509_certificate(pem)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return end - datetime.now(UTC) < (end - begin) * SHARE_LEFT


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
