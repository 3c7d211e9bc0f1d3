"""Uses of prompts that runs have recorded, and which of them still count beside the code as it is now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from surefoot.prompts.fitting.uses import Given, Scanned, Use, name_in
from surefoot.values import PromptUse

_BY_PATH = "file:"
_OF_THE_PACKAGE = "surefoot:"
"""Prompts of judges, which come with the package: no library has them."""
_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
"""Others are names of classes, of which nothing is known."""

_DAY_NS = 86_400_000_000_000


def use_in(recorded: PromptUse) -> Use:
    """A recorded use in the form of those in code."""
    output = None if recorded.output is None else {name: Given() for name in recorded.output}
    is_file = not recorded.reference or recorded.reference.startswith(_BY_PATH)
    return Use(
        "render" if output is None else "generate",
        recorded.file,
        recorded.line,
        reference="" if is_file else recorded.reference,
        path=recorded.reference.removeprefix(_BY_PATH) if is_file else "",
        inputs={name: Given(type_ if type_ in _TYPES else "") for name, type_ in recorded.inputs.items()},
        output=output,
        flows=(recorded.flow,) if recorded.flow else (),
        origin="run",
        digest=recorded.digest,
        run_id=recorded.run_id,
        used_ns=recorded.used_ns,
    )


def standing(code: Scanned, recorded: Iterable[PromptUse], *, now_ns: int, days: float) -> list[Use]:
    """The recorded uses that count beside those in code: those of the last `days`, of places where code does not tell.

    Where the code of today names the prompt at the place it is right, and where a file names it elsewhere and has no
    call at the place that could be meant, that call is gone. What counts: places whose reference or inputs are put
    together at run time, calls of which the code does not show that a prompt is behind them, and files that are not
    in the project, such as cells of notebooks and the code of others that share the ledger.
    """
    since_ns = now_ns - round(days * _DAY_NS)
    by_file: dict[str, list[Use]] = {}
    for use in code.uses:
        by_file.setdefault(use.file.partition(":cell ")[0], []).append(use)
    unread = {left.file.partition(":cell ")[0] for left in code.left}
    kept: list[Use] = []
    for one in map(use_in, recorded):
        if one.used_ns < since_ns or one.reference.startswith(_OF_THE_PACKAGE):
            continue
        if one.file not in code.paths or one.file in unread or _is_open(one, by_file.get(one.file, ()), code):
            kept.append(one)
    return kept


def _is_open(one: Use, uses: Sequence[Use], code: Scanned) -> bool:
    """Whether the code of its file leaves open what a run has told."""
    here = [use for use in uses if use.line == one.line and use.way != "load"]
    if here:
        return all(use.unknown or use.is_open for use in here)
    if (one.file, one.line) in code.unseen:
        return True
    name = name_in(one.reference)
    is_named = any(name_in(use.reference) == name for use in uses if use.reference)
    return not is_named and (
        any(use.unknown for use in uses) or any(file == one.file for file, _ in code.unseen)
    )
