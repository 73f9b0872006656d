"""SBOM: the packages of a lock, in CycloneDX's words (ECMA-424)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.host.changes import SBOM

if TYPE_CHECKING:
    from importlib.metadata import PackageMetadata


def write(packages: Path, lock: str, folder: Path) -> None:
    """Write ``folder``/sbom.json, CycloneDX 1.6: name, version and licence of each package.

    Args:
        packages: a folder that the locked packages are installed in.
        lock: digest of the lock. Equal locks have equal documents, whoever builds them.
    """
    # Here, because it takes a fifth of a second to import, and a lock is asked once.
    import uuid
    from importlib import metadata

    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    whole = Component(name="locked packages", version=lock, type=ComponentType.APPLICATION)
    whole.bom_ref.value = lock
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_OID, lock))
    bom.metadata.component = whole
    parts = []
    for package in metadata.distributions(path=[str(packages)]):
        name, licence = package.metadata["Name"], _licence(package.metadata)
        url = PackageURL("pypi", name=name.lower().replace("_", "-"), version=package.version)
        part = Component(
            name=name,
            version=package.version,
            purl=url,
            bom_ref=url.to_string(),
            licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        )
        bom.components.add(part)
        parts.append(part)
    bom.register_dependency(whole, parts)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    # When it was written depends on who was first to build this lock.
    del document["metadata"]["timestamp"]
    (folder / SBOM).write_text(json.dumps(document, indent=1, sort_keys=True))


def _licence(facts: PackageMetadata) -> str:
    """One line at most: some packages put the licence's whole text into that field."""
    fields = (facts[key] for key in ("License-Expression", "License") if key in facts)
    told = next(fields, "")
    return told if "\n" not in told else ""
