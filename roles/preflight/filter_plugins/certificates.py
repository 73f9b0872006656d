"""Whether a certificate of one's own can serve the site: judged here, before it goes anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

CHAIN, KEY = "site_certificate_chain", "site_certificate_key"


def certificate_findings(chain: str, key: str, domains: Sequence[str]) -> list[str]:
    """One sentence for each thing that is wrong with a chain and a key, both PEM; none for "".

    Neither is ever quoted. The chain begins with the site's own certificate.
    """
    if not chain and not key:
        return []
    if not chain or not key:
        missing, there = (CHAIN, KEY) if key else (KEY, CHAIN)
        return [f"{missing} is not set, and {there} is: set both, or none for ACME's certificate."]
    try:
        certificate = x509.load_pem_x509_certificates(chain.encode())[0]
    except ValueError:
        return [f"{CHAIN} is no certificate: it begins with -----BEGIN CERTIFICATE-----."]
    findings = _name_findings(certificate, domains) + _date_findings(certificate)
    try:
        secret = load_pem_private_key(key.encode(), password=None)
    except (TypeError, ValueError):
        return [*findings, f"{KEY} is no PEM key without a passphrase: write it as one."]
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if secret.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        findings.append(
            f"{KEY} does not belong to the first certificate of {CHAIN}: "
            "put the site's certificate first, and its own key."
        )
    return findings


def _name_findings(certificate: x509.Certificate, domains: Sequence[str]) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = []
    covered = {name.lower() for name in names}
    return [
        f"{CHAIN} is not for {domain}, only for {', '.join(names) or 'no name'}: "
        "take it from site_domains, or get a certificate with it."
        for domain in domains
        if domain not in covered and f"*.{domain.partition('.')[2]}" not in covered
    ]


def _date_findings(certificate: x509.Certificate) -> list[str]:
    now = datetime.now(UTC)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if end <= now:
        return [f"{CHAIN} expired on {end:%Y-%m-%d}: get a new certificate."]
    if begin > now:
        return [f"{CHAIN} is not valid before {begin:%Y-%m-%d %H:%M} UTC: wait, or use another."]
    return []


class FilterModule:
    """Filters of this role."""

    def filters(self) -> dict[str, Any]:
        return {"certificate_findings": certificate_findings}
