"""The local droplet: real Debian in systemd-nspawn, with DNS and an ACME server."""
