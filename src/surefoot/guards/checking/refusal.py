"""How the refusal of a guard reads: what was found where, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from surefoot.decisions import Decision
from surefoot.errors import GuardRefused

_WAYS_OUT = {
    "size": "make it smaller, or raise max_input_bytes or max_output_bytes in [guards]",
    "hidden": 'take the invisible characters out, or set hidden = "remove" in [guards]',
    "injection": 'look at where the text comes from; [guards] injection = "flag" records it and lets it pass',
    "secrets": 'see how the secret came into what the model was given; [guards] secrets = "flag" lets it pass',
    "canary": 'the model gave away its system prompt; [guards] canary = "flag" lets it pass',
    "pii": 'set [guards] pii = "redact" to have it masked, or "flag" to let it pass',
    "egress": 'add the host to egress_hosts in [guards], or set egress = "defang"',
}


def refusal(decisions: Sequence[Decision], *, asked: str) -> GuardRefused:
    """The error for the decisions that refuse; `asked` names the call."""
    refused = [one for one in decisions if one.action == "refuse"]
    said = "; ".join(dict.fromkeys(f"{one.guard} in {one.where}{_because(one)}" for one in refused))
    first = refused[0].guard
    way = _WAYS_OUT.get(first, f"look at what the guard {first} says, or at [guards] on_error")
    return GuardRefused(f"{asked} was refused by a guard: {said}: {way}", decisions=tuple(decisions))


def _because(decision: Decision) -> str:
    told = ", ".join(part for part in (decision.rule, decision.reason) if part)
    return f" ({told})" if told else ""
