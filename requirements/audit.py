"""`make audit`: known faults of the locked packages, by pip-audit; what could not be looked up is no pass.

Exit codes: 0 nothing is known of them, 1 something is, 3 the database of faults could not be reached.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
LOCKS = ("demo", "dev", "weights", "tools")
OPTIONS = ("--disable-pip", "--require-hashes", "--no-deps", "--progress-spinner", "off", "--format", "json")


def main() -> int:
    """Look up each lock; the exit code."""
    faults: dict[str, list[str]] = {}
    unknown: dict[str, str] = {}
    audited = 0
    for lock in LOCKS:
        command = [sys.executable, "-m", "pip_audit", *OPTIONS, "-r", str(FOLDER / f"{lock}.txt")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            packages = json.loads(done.stdout)["dependencies"]
        except (ValueError, KeyError):
            print(f"audit: {lock}.txt could not be looked up:\n{done.stderr[-2000:]}")
            unknown[f"{lock}.txt"] = "pip-audit gave no report"
            continue
        for package in packages:
            name = f"{package['name']} {package.get('version', '')}".strip()
            if "skip_reason" in package:
                unknown[name] = package["skip_reason"]
                continue
            audited += 1
            for fault in package["vulns"]:
                fixed = ", ".join(fault.get("fix_versions", [])) or "no version yet"
                faults.setdefault(name, []).append(f"{fault['id']}, mended in {fixed}")
    for name, found in sorted(faults.items()):
        print(f"audit: {name}: {'; '.join(found)}")
    print(f"audit: {audited} packages looked up, {len(faults)} with known faults, {len(unknown)} not looked up")
    if faults:
        return 1
    if unknown:
        reason = next(iter(unknown.values()))
        print(f"audit: the database of faults could not be asked about {', '.join(sorted(unknown)[:5])} ... ({reason})")
        print("audit: this is no pass; run it where pypi.org can be reached, as CI does")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
