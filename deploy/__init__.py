"""The deployment engine: revisions become releases, and releases can be taken back."""
