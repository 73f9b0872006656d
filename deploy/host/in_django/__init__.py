"""Scripts that run inside the deployed project, through ``manage.py shell --command``.

Each finds what it is asked in ``SLIPWAY`` (JSON in the environment) and prints one line
``slipway:{json}`` as its answer.
"""

import json
from pathlib import Path
from typing import Any


def words(script: str, **facts: Any) -> tuple[str, ...]:
    """The command of manage.py that runs one of them; it finds ``facts`` in SLIPWAY."""
    code = Path(__file__).with_name(f"{script}.py").read_text()
    told = f"import os\nos.environ['SLIPWAY'] = {json.dumps(json.dumps(facts))}\n"
    return ("shell", "--verbosity", "0", "--command", told + code)
