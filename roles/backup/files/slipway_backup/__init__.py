"""Backups of a droplet, their proof and the way back: runs there as root, by systemd."""
