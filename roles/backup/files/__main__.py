"""Runs the folder that it lies in: python3 -I /usr/local/lib/slipway-backup VERB."""

import sys

from slipway_backup.cli import main

sys.exit(main(sys.argv[1:]))
