"""Lists the benchmarks, or runs the one that is named."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

from benchmarks import harness

OTHERS = {"__init__", "__main__", "harness", "model_server", "postgres", "trace_receiver"}
GROUPS = {"limits": ("budgets", "rates", "breakers", "cache")}
"""Names for several: those of them that are there."""


def main(arguments: list[str]) -> int:
    here = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.py")) if path.stem not in OTHERS}
    match arguments:
        case []:
            for name, path in here.items():
                described = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
                summary = described.partition("\n")[0]
                print(f"make bench NAME={name:<12} {summary}")
            for name, members in GROUPS.items():
                print(f"make bench NAME={name:<12} {', '.join(one for one in members if one in here)}.")
            return 0
        case [name] if name in here:
            harness.publish(importlib.import_module(f"benchmarks.{name}").run())
            return 0
        case [name] if name in GROUPS:
            for one in GROUPS[name]:
                if one in here:
                    harness.publish(importlib.import_module(f"benchmarks.{one}").run())
            return 0
        case _:
            print(f"no benchmark {' '.join(arguments)!r}; there are: {', '.join(here)}", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
