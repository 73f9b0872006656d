"""Scripts that run inside the deployed project, through ``manage.py shell --command``.

Each finds what it is asked in ``SLIPWAY`` (JSON in the environment) and prints one line
``slipway:{json}`` as its answer.
"""
