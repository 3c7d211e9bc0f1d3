"""How far what work gives is trusted: judged when it ends or hands something out, and recalled from its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from surefoot.parts import is_scalar
from surefoot.values import Trust

if TYPE_CHECKING:
    from surefoot.flows.claims import StepClaim
    from surefoot.ledger import Outcome
    from surefoot.scope import Ending

_MOST_HELD = 65_536
"""How large an encoded result may be (bytes) of which it is remembered that it was trusted."""

_MOST_POINTERS = 10_000


def trust_of(claim: StepClaim, ending: Ending, *, size: int) -> tuple[Trust, tuple[str, ...]]:
    """The trust of what came out, with the pointers of what is trusted of it all the same; the scope learns of it.

    `size` is that of it as it is recorded, in bytes.
    """
    here, tainted, is_reading = claim.here, claim.tainted_by, claim.is_reading
    known, value, endorsed = here.run.known, ending.output, tuple(claim.endorsed or ())
    trust: Trust | None = "untrusted" if is_reading else ending.trust
    if trust is None and not tainted:
        trust = "trusted"
    if is_reading:
        known.distrust(value, is_whole=True)
    elif tainted and claim.kind != "call" and ending.status != "failed" and not claim.is_handing_out:
        is_trusted, endorsed = known.judged(value)
        trust = trust or ("trusted" if is_trusted else "untrusted")
    if trust != "trusted":
        here.taint(source(claim.kind, claim.name))
        return "untrusted", endorsed
    if here.tainted:
        known.keep_result(value)
    elif size < _MOST_HELD and not is_scalar(value):
        known.note_early(value)
    return "trusted", ()


def hand_out(claim: StepClaim, value: object, pointer: str) -> None:
    """Note how far a part of a result is trusted that is handed out before the work ends; `pointer` is its place."""
    here, known = claim.here, claim.run.known
    claim.is_handing_out = True
    if tainted := claim.tainted_by:
        here.taint(source(claim.kind, claim.name))
    if claim.is_reading:
        known.distrust(value, is_whole=True)
    elif not tainted:
        _keep(claim, value)
    else:
        is_trusted, inner = known.judged(value)
        found = [pointer] if is_trusted and not is_scalar(value) else [f"{pointer}{one}" for one in inner]
        claim.endorsed = before = claim.endorsed or []
        if len(before) < _MOST_POINTERS:
            before += found


def recall(claim: StepClaim, outcome: Outcome, value: object) -> None:
    """A recorded result is as trusted as its record says, whatever the code declares by now."""
    here = claim.here
    if outcome.trust == "untrusted":
        here.taint(source(outcome.kind, outcome.name))
        if outcome.endorsed:
            here.run.known.restore(value, outcome.endorsed)
    else:
        _keep(claim, value)


def hand_out_again(claim: StepClaim, value: object) -> None:
    """`hand_out` for a part of a recorded result, each of which is looked at apart as it was then."""
    if claim.replayed_from is not None and claim.replayed_from.trust == "trusted":
        _keep(claim, value)


def _keep(claim: StepClaim, value: object) -> None:
    here = claim.here
    if here.tainted:
        here.run.known.keep_result(value)
    elif not is_scalar(value):
        here.run.known.note_early(value)


def source(kind: str, name: str) -> str:
    """What untrusted work is called in messages."""
    return f"the answer of {name}" if kind == "call" else f"the result of {name}"
