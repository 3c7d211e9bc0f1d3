"""The command line in a process of its own, as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from warm import IMPORTS, SECONDS, warm

CLEAN = {"COLUMNS": "80"}


def surefoot(
    *arguments: str,
    cwd: Path,
    code: int | None = 0,
    input: str | None = None,
    under: tuple[str, ...] = (),
    is_cold: bool = False,
    **environ: str,
) -> subprocess.CompletedProcess[str]:
    """Run `surefoot ARGUMENTS` in a folder; fails unless it exits with `code` (None: any).

    under: a command that runs the command, such as `setpriv`.
    is_cold: an interpreter begins for it, where it is forked otherwise from one that has made the imports. So it is
    too for settings of the interpreter, and under a command.
    """
    given = {**os.environ, **CLEAN, **environ}
    if is_cold or under or any(name.startswith("PYTHON") for name in environ):
        done = subprocess.run(
            [*under, sys.executable, "-m", "surefoot.cli", *arguments],
            cwd=cwd,
            env=given,
            input=input or "",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    else:
        done = warm(IMPORTS).run(arguments, cwd=cwd, environ=given, input=input or "")
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
