"""Child processes that begin warm: forked from a server that has imported what they need."""

from __future__ import annotations

import multiprocessing
import os
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path

PRELOADED = ["approved", "confined", "held", "killed", "rooms"]


@cache
def processes() -> ForkServerContext:
    """The context of the one fork server of this process. Whoever starts it says what it imports, so it is here."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    # Before Python 3.12 the server knows no `sys.path` of ours, and leaves out silently what it cannot import.
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *([before] if before else [])])
    try:
        first = context.Process(target=os.getpid)
        first.start()
        first.join()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    return context
