"""Every module of the rooms that run, imported: for the processes that children are forked from.

The doors of rooms are lazy, so that nothing is loaded by the import of a room alone.
"""

from __future__ import annotations

import importlib
import pkgutil

# Not retrieval: numpy starts threads.
ROOMS = (
    "access",
    "cli",
    "config",
    "evals",
    "flows",
    "guards",
    "ledger",
    "limits",
    "models",
    "prompts",
    "server",
    "traces",
)

for _room in ROOMS:
    _package = importlib.import_module(f"surefoot.{_room}")
    for _found in pkgutil.walk_packages(_package.__path__, f"surefoot.{_room}."):
        if not _found.name.endswith("__main__"):
            importlib.import_module(_found.name)
for _module in ("app", "endpoints", "fitting", "wiring"):
    importlib.import_module(f"surefoot.{_module}")
