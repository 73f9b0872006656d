"""The certificate that Nginx shows, and when it is renewed."""

from __future__ import annotations

import os
import socket
import subprocess
from datetime import UTC, datetime
from typing import Any

from deploy.host.context import Context
from deploy.host.processes import blocks

DATE = "%b %d %H:%M:%S %Y %Z"
# After the day of the week; --timestamp=unix would leave a timer's as it is.
MOMENT = "%Y-%m-%d %H:%M:%S %Z"
# Of its life: certbot renews with a third left, so less means that it did not.
SHARE_LEFT = 1 / 3
TIMER = "certbot.timer"
SERVICE = "certbot.service"


def certificates(ctx: Context) -> dict[str, Any]:
    """The certificate of the site, and what certbot did and will do. Moments are ISO 8601, UTC."""
    shown_ = shown(ctx.site.domain)
    timer, service = _unit(TIMER), _unit(SERVICE)
    return {
        "domain": ctx.site.domain,
        "certificate": shown_,
        "due": shown_ is None or due(shown_, datetime.now(UTC)),
        "next_attempt": moment(timer.get("NextElapseUSecRealtime", "")),
        "last_attempt": moment(service.get("ExecMainExitTimestamp", "")),
        "last_result": service.get("Result", "unknown"),
    }


def due(certificate: dict[str, Any], now: datetime) -> bool:
    """Whether less than a third of its life is left."""
    begin = datetime.fromisoformat(certificate["not_before"])
    end = datetime.fromisoformat(certificate["not_after"])
    return end - now < (end - begin) * SHARE_LEFT


def shown(domain: str) -> dict[str, Any] | None:
    """What Nginx shows to a visitor of the domain; None when it shows nothing.

    ``not_before`` is when it was issued (Let's Encrypt writes an hour less); ``days`` are left.
    """
    # Here, because others import this, and it takes its time.
    import ssl

    # Without the authorities: nobody is judged here, and they take longer to read than the answer.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", 443), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=domain) as secure,
        ):
            der = secure.getpeercert(binary_form=True)
    except OSError:
        return None
    fields = ("-issuer", "-subject", "-startdate", "-enddate", "-ext", "subjectAltName")
    text = subprocess.run(
        ("openssl", "x509", "-inform", "DER", "-noout", *fields),
        input=der,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return parse(text, datetime.now(UTC))


def parse(text: str, now: datetime) -> dict[str, Any]:
    """What openssl says of a certificate."""
    lines = text.splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    end = _date(values["notAfter"])
    names = (word.strip() for line in lines if "DNS:" in line for word in line.split(","))
    return {
        "issuer": values["issuer"].strip(),
        "self_signed": values["issuer"] == values["subject"],
        "names": [name.removeprefix("DNS:") for name in names if name.startswith("DNS:")],
        "not_before": _date(values["notBefore"]).isoformat(),
        "not_after": end.isoformat(),
        "days": (end - now).days,
    }


def moment(text: str) -> str | None:
    """A moment as systemd tells it in UTC, as ISO 8601; None for never."""
    _, _, date = text.partition(" ")
    return datetime.strptime(date, MOMENT).replace(tzinfo=UTC).isoformat() if date else None


def _date(text: str) -> datetime:
    return datetime.strptime(text, DATE).replace(tzinfo=UTC)


def _unit(name: str) -> dict[str, str]:
    properties = "Id,NextElapseUSecRealtime,ExecMainExitTimestamp,Result"
    done = subprocess.run(
        ("systemctl", "show", f"--property={properties}", name),
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C"},
    )
    return next(iter(blocks(done.stdout)), {})
