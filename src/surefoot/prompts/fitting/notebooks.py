"""The code cells of a notebook as one module, and where each of its lines is."""

from __future__ import annotations

import ast
import json
from typing import Any, cast

# Cell magics whose cell is Python nevertheless.
_PYTHON_MAGICS = frozenset({"%%time", "%%timeit", "%%capture", "%%prun"})


class NotebookError(ValueError):
    """A file is no notebook."""


def code_of(text: str) -> tuple[str, list[tuple[int, int]], list[tuple[int, int, str]]]:
    """The code of all cells one below the other.

    Beside it, for each line the cell (from 1, all kinds counted) and the line in it, and the cells that cannot be
    parsed, with line and problem. Raises `NotebookError`.
    """
    try:
        data: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotebookError(f"this is no notebook: {error}") from None
    cells: Any = cast("dict[str, Any]", data).get("cells") if isinstance(data, dict) else None
    if not isinstance(cells, list):
        raise NotebookError("this is no notebook: it has no cells")
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    broken: list[tuple[int, int, str]] = []
    for number, cell in enumerate(cast("list[object]", cells), start=1):
        body = _body(cell)
        if body is None:
            continue
        try:
            ast.parse("\n".join(body))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            broken.append((number, getattr(error, "lineno", None) or 1, getattr(error, "msg", str(error))))
            continue
        lines += body
        places += [(number, line) for line in range(1, len(body) + 1)]
    return "\n".join(lines) + "\n", places, broken


def _body(cell: object) -> list[str] | None:
    """The lines of a code cell, with magics blanked; None for what is no Python."""
    if not isinstance(cell, dict):
        return None
    known = cast("dict[str, Any]", cell)
    source: Any = known.get("source")
    if isinstance(source, list):
        source = "".join(part for part in cast("list[object]", source) if isinstance(part, str))
    if known.get("cell_type") != "code" or not isinstance(source, str):
        return None
    lines = source.split("\n")
    first = next((line for line in lines if line.strip()), "")
    if first.startswith("%%") and first.split()[0] not in _PYTHON_MAGICS:
        return None
    return [_without_magic(line) for line in lines]


def _without_magic(line: str) -> str:
    bare = line.lstrip()
    if bare.startswith(("%", "!", "?")) or bare.rstrip().endswith("?"):
        # A block that holds nothing but a magic is no empty block.
        return line[: len(line) - len(bare)] + "pass"
    return line
