"""Hooks: executables of the project, hooks/before-PHASE and hooks/after-switch, run here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import BackedOut, NeedsYou
from deploy.revision import Revision
from deploy.target import Target

# The step of the release tool, by the phase that people know.
NAMES = {"activate": "switch", "stage": "start"}
DETAIL_LINES = 20


@dataclass(frozen=True)
class Hooks:
    """The hooks of a revision's source, as it was committed."""

    source: Path
    target: Target
    revision: Revision
    note: Callable[[str], None]

    @property
    def before_any(self) -> bool:
        """Whether something of the project's own has to be run on the way."""
        return any((self.source / "hooks").glob("before-*"))

    def before(self, step: str, release: str = "") -> None:
        """Run hooks/before-PHASE.

        Raises:
            BackedOut: it failed, so the deploy ends here; visitors saw nothing.
        """
        failure = self._run(f"before-{NAMES.get(step, step)}", release)
        if failure:
            name, code, said = failure
            raise BackedOut(
                f"Hook {name} ended with {code}, so the deploy stopped there; what was live goes "
                "on serving. Mend it and run: invoke deploy",
                said,
            )

    def after(self, step: str, release: str) -> None:
        """Run hooks/after-PHASE.

        Raises:
            NeedsYou: it failed; the release is live all the same.
        """
        failure = self._run(f"after-{NAMES.get(step, step)}", release)
        if failure:
            name, code, said = failure
            raise NeedsYou(f"{release} is live, but hook {name} ended with {code}", said)

    def _run(self, name: str, release: str) -> tuple[str, int, list[str]] | None:
        path = self.source / "hooks" / name
        if not os.access(path, os.X_OK) or not path.is_file():
            return None
        self.note(f"hooks/{name}")
        facts = {
            "SLIPWAY_ENVIRONMENT": self.target.environment,
            "SLIPWAY_APP": self.target.app,
            "SLIPWAY_URL": f"https://{self.target.domain}/",
            "SLIPWAY_REVISION": self.revision.commit,
            "SLIPWAY_RELEASE": release,
        }
        done = subprocess.run(
            (path,),
            cwd=self.source,
            env={**os.environ, **facts},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = done.stdout.splitlines()[-DETAIL_LINES:]
        return (f"hooks/{name}", done.returncode, said) if done.returncode else None
