"""Which process this is, and whether another one is provably gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import orjson

from surefoot.ledger.events import Owner


@lru_cache(maxsize=1)
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return _ask("sysctl", "-n", "kern.bootsessionuuid") or ""


def _started(pid: int) -> str | None:
    """When the process started, in the system's own words; empty if there is no such process, None if unknown."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        except OSError:
            return None
        # Fields are counted behind the command's name, which may itself hold blanks and brackets.
        fields = stat.rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    return _ask("ps", "-o", "lstart=", "-p", str(pid))


def _ask(*command: str) -> str | None:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=5).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return None


def this_process() -> Owner:
    """The owner that this process writes into its leases."""
    return _this_process(os.getpid())


@lru_cache(maxsize=1)
def _this_process(pid: int) -> Owner:
    # Keyed by the pid, so that a forked child does not take itself for its parent.
    return Owner(host=socket.gethostname(), boot=_boot(), pid=pid, started=_started(pid) or "")


def holder() -> str:
    """This process as text, for leases that are kept outside of the ledger."""
    return orjson.dumps(this_process()).decode()


def is_holder_gone(text: str) -> bool:
    """Whether the process that `holder` wrote is provably gone. A text that is none counts as alive."""
    try:
        return is_provably_gone(Owner(**orjson.loads(text)))
    except (ValueError, TypeError):
        return False


def is_provably_gone(owner: Owner) -> bool:
    """Whether the owner ran on this boot of this host and is not there any more. Doubt counts as alive."""
    here = this_process()
    if owner.host != here.host or not owner.boot or not here.boot:
        return False
    # The same host after a reboot: everything that ran before is gone.
    if owner.boot != here.boot:
        return True
    started = _started(owner.pid)
    return started is not None and started != owner.started
