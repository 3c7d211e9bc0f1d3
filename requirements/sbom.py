"""`make sbom`: the locked packages as a bill of materials (CycloneDX 1.6, JSON), with the hashes of the lock.

It is made of the lock alone, so that it is the same wherever it is made, and needs no network.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

FOLDER = Path(__file__).parent
LINE = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def main() -> int:
    """Print or write it: `sbom.py [LOCK [FILE]]`."""
    lock = sys.argv[1] if len(sys.argv) > 1 else "dev"
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (FOLDER / f"{lock}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    own = Component(name=project["name"], version=project["version"], type=ComponentType.LIBRARY)
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, text))
    bom.metadata.component = own
    parts = [component_of(line) for line in text.splitlines() if LINE.match(line)]
    for part in parts:
        bom.components.add(part)
    bom.register_dependency(own, parts)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    # The moment at which it was made would make each another one.
    document["metadata"].pop("timestamp", None)
    written = json.dumps(document, indent=1)
    if len(sys.argv) > 2:
        Path(sys.argv[2]).parent.mkdir(parents=True, exist_ok=True)
        Path(sys.argv[2]).write_text(f"{written}\n", encoding="utf-8")
        print(f"sbom: {len(parts)} packages of {lock}.txt in {sys.argv[2]}")
    else:
        print(written)
    return 0


def component_of(line: str) -> Component:
    """A locked package: its name, version and the hashes of its files."""
    found = LINE.match(line)
    assert found is not None
    name, version = found["name"].lower(), found["version"]
    purl = PackageURL("pypi", None, name, version)
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=str(purl),
        purl=purl,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=value) for value in HASH.findall(line)],
    )


if __name__ == "__main__":
    sys.exit(main())
