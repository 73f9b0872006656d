"""Tasks: what `invoke --list` shows. Each is a docstring and a call of a named step."""
