"""Which inputs of a run are trusted: as the flow declares it, as its parent knows it, or as its record says."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from surefoot.annotated import fits
from surefoot.flows.declared import hints_of
from surefoot.flows.openrun import OpenRun
from surefoot.flows.options import Target
from surefoot.flows.running import open_scope
from surefoot.ledger import Outcome
from surefoot.parts import is_scalar
from surefoot.rights import Rights


def of_call(target: Target) -> tuple[str, ...] | None:
    """The names of the trusted inputs of a new run; None where all of them are.

    A child run trusts what the run around it does: to declare an input as trusted is said of those who start the flow.
    """
    here, spec = open_scope(), target.spec
    if here is not None:
        trusts = [name for name, value in target.inputs.items() if here.is_trusted(value)]
    else:
        trusts = [
            name
            for name, value in target.inputs.items()
            if spec.is_trusting(name) or _is_checked(spec.function, name, value)
        ]
    return None if len(trusts) == len(target.inputs) else tuple(trusts)


def _is_checked(function: Callable[..., object], name: str, value: object) -> bool:
    """Whether there is no text in an input but what its annotation lets through by a pattern or a list."""
    hint = _hints_of(function).get(name)
    return all(fit == "checked" or is_scalar(part) for part, fit in fits(value, hint))


@functools.lru_cache(maxsize=512)
def _hints_of(function: Callable[..., object]) -> dict[str, Any]:
    return hints_of(function, has_extras=True)


def as_recorded(history: Iterable[Outcome]) -> tuple[str, ...] | None:
    """What the start of a run says of its inputs, whatever the code declares by now."""
    start = next((outcome for outcome in history if outcome.kind == "start"), None)
    if start is not None and start.trust == "trusted":
        return None
    return () if start is None else tuple(pointer.removeprefix("/") for pointer in start.endorsed)


def entrust(run: OpenRun, target: Target) -> str:
    """Let the code of a flow know what it may trust from the start; what is untrusted of its inputs, or nothing."""
    known, trusts = run.known, run.trusted_inputs
    run.uses = _uses(target)
    known.note_code(target.spec.function)
    untrusted = ""
    for name, value in target.inputs.items():
        if trusts is None or name in trusts:
            known.vouch(value)
        else:
            known.distrust(value, is_whole=True)
            untrusted = untrusted or f"the input {name}"
    for value in target.init.values():
        # With what a workflow is built the team builds it.
        known.vouch(value)
    return untrusted


def _uses(target: Target) -> Rights | None:
    """What a run may send to: a child run no more than the one around it."""
    own, here = target.spec.rights, open_scope()
    around = None if here is None else here.uses
    if own is None or around is None:
        return around if own is None else own
    return own.meet(around)


def taint_parent(flow: str) -> None:
    """Tell the step that a child run is that its result is not trusted."""
    if (here := open_scope()) is not None:
        here.taint(f"the result of {flow}")


def depth_here() -> int:
    """How many steps of the run that is open here the code that runs now is inside of."""
    here = open_scope()
    return 0 if here is None else here.depth
