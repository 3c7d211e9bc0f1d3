"""Whom a call goes to, and how what a prompt file says of it is put in that one's words."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from surefoot import scope
from surefoot.errors import ConfigError, UnknownModel, UsageError
from surefoot.models import fakes
from surefoot.models.chain.connections import SCRIPTED, Target, in_responses, unnamed
from surefoot.models.chain.endpoints import Policy
from surefoot.models.fakes import Fake
from surefoot.models.generating.asking import Wire
from surefoot.models.generating.choices import Call
from surefoot.models.generating.prompting import Rendered
from surefoot.models.wires import wire_of
from surefoot.values import Json

_OF_CALL = {"top_logprobs": "logprobs"}
"""What fields of an `Ask` are called in a `Call`, where that is another name."""

# Of what OpenAI takes in chat completions, what it takes in responses too.
_SHARED = frozenset(
    {
        *("metadata", "service_tier", "store", "user", "prompt_cache_key", "safety_identifier"),
        *("prompt_cache_retention", "verbosity"),
    }
)
_OPENAI = frozenset({"openai.chat", "openai.responses"})


def target_for(text: Rendered, given: Call, one: Call, policy: Policy, fake: Fake | None) -> Target:
    """Where a call goes: `given` as the code has it, and `one` with what its prompt adds.

    Raises `ConfigError` where nobody names a model, `UnknownModel`, and `ConfigError` for what a connection lacks.
    """
    section = text.section
    is_of_file = not given.model
    reference = one.model or policy.default
    if not reference and (fake or fakes.current()) is not None:
        return unnamed()
    if is_of_file and section.stated is not None and not one.model:
        raise ConfigError(f"{section.where}: it names an endpoint, and no model there: add one")
    if not reference:
        raise ConfigError(
            "no model is named: give using='openai:gpt-4o' (`surefoot prompt run --model`), a model in the prompt's "
            "file, or `default` in [models]"
        )
    with nullcontext() if fake is None else fakes.standing_in(fake):
        if reference == SCRIPTED:
            return unnamed()
        try:
            if is_of_file and section.stated is not None:
                model = one.model.removeprefix(f"{section.stated.provider}:")
                target = policy.stated(section.stated, model)
            else:
                target = policy.target(reference)
        except (ConfigError, UnknownModel) as error:
            if is_of_file and section.where and one.model and section.where not in str(error):
                error.add_note(f"{section.where} names it")
            if is_of_file and (masked := section.masked(str(error))) != str(error):
                raise type(error)(f"{section.where}: {masked}") from None
            raise
    return in_responses(target) if is_of_file and section.api == "responses" else target


def in_place_of(given: Call, one: Call, policy: Policy) -> tuple[Call, Call]:
    """A call as the code has it and with what its prompt adds, where the open run asks another model in its place.

    Then the code is taken to have named that one: what the prompt's file says of its endpoint is of the other.
    """
    here = scope.current()
    others = None if here is None else here.other_models
    if not others:
        return given, one
    other = _other(one.model or policy.default, others, policy)
    return (given, one) if other is None else (replace(given, model=other), replace(one, model=other))


def reference_in_place_of(reference: str, policy: Policy) -> str:
    """The model that the open run asks where the code names this one."""
    here = scope.current()
    others = None if here is None else here.other_models
    return (_other(reference, others, policy) if others else None) or reference


def _other(reference: str, others: Mapping[str, str], policy: Policy) -> str | None:
    """Which model is asked in the place of one, under whichever of its names that was said."""
    if reference in others:
        return others[reference]
    try:
        target = policy.target(reference)
    except (ConfigError, UnknownModel):
        # It is not the one that is changed, or cannot be asked in any case.
        return None
    names = (f"{target.connection}:{target.model}", f"{target.provider}:{target.model}", target.model)
    return next((others[name] for name in names if name in others), None)


def wire_for(text: Rendered, given: Call, target: Target) -> Wire:
    """The format that is spoken there. Raises `ConfigError`."""
    # Whoever names the model asks it in the way of the house, not in that of the file's dialect.
    dialect = "" if given.model else text.section.dialect
    version = target.query.get("api-version", "")
    return wire_of(target.wire, target.provider, dialect=dialect, version=version)


def spoken_for(text: Rendered, given: Call, one: Call, wire: Wire) -> Call:
    """The call without those settings of the file that the format has no words for, each of which is warned of."""
    dropped: dict[str, Any] = {}
    for name in sorted(wire.lacks):
        of_call = _OF_CALL.get(name, name)
        if getattr(one, of_call) is not None and getattr(given, of_call) is None:
            text.section.warn(of_call, f"{wire.operation} has none")
            dropped[of_call] = None
    return replace(one, **dropped) if dropped else one


def extra_for(text: Rendered, one: Call, wire: Wire) -> Mapping[str, Json]:
    """The fields that go into the request as they are: those of the file, in its format, and over them the call's."""
    section = text.section
    taken: dict[str, Json] = {}
    for name, value in section.parameters.items():
        is_shared = name in _SHARED and {section.form, wire.operation} <= _OPENAI
        if section.form == wire.operation or is_shared:
            taken[name] = value
        elif name not in one.extra:
            section.warn(name, f"it is a word of {section.form}, and {wire.operation} is asked")
    return {**taken, **one.extra}


def refuse_unspeakable(text: Rendered) -> None:
    """Raise `UsageError` where the prompt asks for no words at all, and words were to be compared, checked or typed."""
    if text.section.api in ("embedding", "image"):
        raise UsageError(
            f"{text.section.where}: it asks for {text.section.api}s, and no words: name one model for it, without "
            "tiers, routes, tools or a type"
        )
