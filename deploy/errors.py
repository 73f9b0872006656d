"""What can go wrong, on the controller as on the droplet."""

from deploy.host.errors import KINDS, BackedOut, NeedsYou, Refused, SlipwayError

__all__ = ["KINDS", "BackedOut", "NeedsYou", "Refused", "SlipwayError"]
