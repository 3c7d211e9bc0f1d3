"""How many tokens the messages of a prompt take, estimated without asking anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from surefoot.errors import UnboundedCall, UsageError
from surefoot.models.chain.bounds import BYTES_PER_TOKEN, Load, expected_read, most_of
from surefoot.models.chain.connections import Target
from surefoot.models.chain.endpoints import Policy
from surefoot.models.chain.published import window_of
from surefoot.models.generating.asking import Ask
from surefoot.models.generating.whereto import named_model
from surefoot.models.wires import wire_of
from surefoot.values import Json, Message

_FRAME = 4
"""Tokens around a message, where no provider's format is known."""


@dataclass(frozen=True, slots=True)
class TokenEstimate:
    """How many tokens messages take as a rule, and at most; for which model, and what fits into its window.

    The rule is that of the rate limits, a token for each 4 bytes of the request and 1,000 for a picture; the bound is
    that of budgets, a token for each byte. No tokeniser is asked. What is None is not known; `model` is empty where
    none is named or none can be asked here.
    """

    tokens: int
    most: int | None = None
    model: str = ""
    window: int | None = None


def estimated(
    messages: Sequence[Message], section: Mapping[str, Json], policy: Policy, *, model: str = ""
) -> TokenEstimate:
    """The estimate for a model, else for that of the prompt's model section, else for the default of the settings."""
    reference = model or named_model(section) or policy.default
    try:
        load = _load(messages, policy.target(reference)) if reference else None
    except UsageError:
        # No key, no such connection, no words for a part: to render needs none of them.
        load = None
    if load is None:
        size = sum(len(message.text.encode("utf-8", "replace")) for message in messages)
        return TokenEstimate(size // BYTES_PER_TOKEN + _FRAME * len(messages))
    window = window_of(load.provider, load.name, local_context=policy.local_context)
    try:
        most = most_of(load, window).read
    except UnboundedCall:
        most = None
    return TokenEstimate(expected_read(load), most, f"{load.provider}:{load.model}", window.context)


def _load(messages: Sequence[Message], target: Target) -> Load:
    wire = wire_of(target.wire, target.provider)
    body = wire.body(Ask(model=target.model, messages=tuple(messages)))
    return Load(
        wire.operation, target.provider, target.model, body, orjson.dumps(body), target.priced_as or ""
    )
