"""The command line in a child process, as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

CLEAN = {"COLUMNS": "80", "PYTHONDONTWRITEBYTECODE": "1"}


def surefoot(
    *arguments: str,
    cwd: Path,
    code: int | None = 0,
    input: str | None = None,
    under: tuple[str, ...] = (),
    **environ: str,
) -> subprocess.CompletedProcess[str]:
    """Run `surefoot ARGUMENTS` in a folder; fails unless it exits with `code` (None: any).

    under: a command that runs the command, such as `setpriv`.
    """
    done = subprocess.run(
        [*under, sys.executable, "-m", "surefoot.cli", *arguments],
        cwd=cwd,
        env={**os.environ, **CLEAN, **environ},
        input=input,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert code is None or done.returncode == code, (
        f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    assert "Traceback" not in done.stderr or "--debug" in arguments or "SUREFOOT_DEBUG" in environ, (
        done.stderr
    )
    return done


def surefoot_json(*arguments: str, cwd: Path, code: int | None = 0, **environ: str) -> Any:
    """What a command prints with `--json`, which must be one document and nothing else."""
    return json.loads(surefoot(*arguments, "--json", cwd=cwd, code=code, **environ).stdout)
