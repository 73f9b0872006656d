"""Scripts that run inside the deployed project, through ``manage.py shell --command``.

Each finds what it is asked in ``SLIPWAY`` (JSON in the environment) and prints one line
``slipway:{json}`` as its answer.
"""

import json
from pathlib import Path
from typing import Any


def words(*scripts: str, **facts: Any) -> tuple[str, ...]:
    """The command of manage.py that runs some of them; they find ``facts`` in SLIPWAY."""
    code = "".join(Path(__file__).with_name(f"{one}.py").read_text() for one in scripts)
    told = f"import os\nos.environ['SLIPWAY'] = {json.dumps(json.dumps(facts))}\n"
    return ("shell", "--verbosity", "0", "--command", told + code)
