"""Reading fields of JSON that somebody else wrote, and what the formats write alike.

A field of another type than it should have reads as one that is not there; where an answer cannot do without it, its
format raises `ValueError`, and never anything else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import cast

import orjson

from surefoot.errors import UsageError
from surefoot.models.chain.operations import parse_json
from surefoot.models.generating.asking import Ask, Interrupted, Logprob
from surefoot.values import Json, Message

_ABSENT: Mapping[str, Json] = {}


def object_of(value: Json, what: str) -> Mapping[str, Json]:
    """A JSON object. Raises `ValueError`."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no object")  # noqa: TRY004  (of what was received, not of an argument)
    return value


def event_of(data: str) -> Mapping[str, Json]:
    """The JSON object of a server-sent event. Raises `ValueError`."""
    return object_of(cast("Json", parse_json(data)), "an event of the stream")


def inner(value: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """An object within an object; an empty one where there is none."""
    found = value.get(name)
    return found if isinstance(found, dict) else _ABSENT


def items(value: Mapping[str, Json], name: str) -> Sequence[Mapping[str, Json]]:
    """The objects of a list within an object; none where there is no list."""
    found = value.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def text(value: Mapping[str, Json], name: str) -> str:
    """A text within an object, or the empty one."""
    found = value.get(name)
    return found if isinstance(found, str) else ""


def number(value: Mapping[str, Json], name: str) -> float:
    """A number within an object, or 0."""
    found = value.get(name)
    if not isinstance(found, int | float) or isinstance(found, bool):
        return 0.0
    try:
        return float(found)
    except OverflowError:  # an integer of hundreds of digits
        return math.copysign(math.inf, found)


def place(value: Mapping[str, Json], name: str, default: int = 0) -> int:
    """An index within an object, or the default."""
    found = value.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def json_text(value: Json) -> str:
    """A value as JSON text. Raises `ValueError` for one that is nested too deeply."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # integers beyond 64 bits, halves of surrogate pairs
        pass
    try:
        return json.dumps(value, separators=(",", ":"))
    except RecursionError:
        raise ValueError("a JSON value is nested too deeply") from None


def json_object(content: str) -> dict[str, Json] | None:
    """The object that a JSON text holds; None if it holds none. No text at all is the empty object."""
    if not content.strip():
        return {}
    found = parse_json(content)
    return cast("dict[str, Json]", found) if isinstance(found, dict) else None


def arguments_object(arguments: str) -> dict[str, Json]:
    """The arguments of a tool call as the formats take them that have no room for malformed JSON.

    What a model wrote and is no JSON object is given back as a text, so that the model sees its mistake.
    """
    found = json_object(arguments)
    return {"malformed_arguments": arguments} if found is None else found


def laid_over(body: Mapping[str, Json], extra: Mapping[str, Json]) -> dict[str, Json]:
    """A request's body with the fields of `extra`; objects that both have are put together, field by field."""
    merged = dict(body)
    for name, value in extra.items():
        under = merged.get(name)
        both = isinstance(under, dict) and isinstance(value, dict)
        merged[name] = laid_over(under, value) if both else value  # type: ignore[arg-type]
    return merged


def given(settings: Mapping[str, Json]) -> dict[str, Json]:
    """The settings that are not None."""
    return {name: value for name, value in settings.items() if value is not None}


def leading_system(messages: Sequence[Message], operation: str) -> tuple[list[str], Sequence[Message]]:
    """The texts of the system messages that come first, which some formats have a field for, and the rest.

    Raises `UsageError` where nothing is left, as those formats take no request without a message.
    """
    leading = 0
    while leading < len(messages) and messages[leading].role in ("system", "developer"):
        leading += 1
    if leading == len(messages):
        raise UsageError(f"{operation} takes no request without a message of the user: add one to the prompt")
    return [said.text for said in messages[:leading] if said.text], messages[leading:]


def refuse_lacking(ask: Ask, lacks: frozenset[str], operation: str) -> None:
    """Raise `UsageError` for a setting that the format has no words for."""
    for name in sorted(lacks):
        if getattr(ask, name) not in (None, ()):
            called, instead = _CALLED.get(name, (name, f"leave `{name}` out"))
            raise wordless(operation, called, instead)


_CALLED = {
    "seed": ("seed", "leave `seed` out"),
    "stop": ("stop sequences", "leave `stop` out, or use the api of chat completions"),
    "top_logprobs": ("log-probabilities", "leave them out, or ask a model of another provider"),
}


def wordless(operation: str, setting: str, instead: str) -> UsageError:
    """That a format has no words for what was asked."""
    return UsageError(f"{operation} has no {setting}: {instead}")


def answer_of(body: Mapping[str, Json]) -> Mapping[str, Json]:
    """A buffered answer. Raises `ValueError` for one that is no object, or an error under the status of success."""
    answer = object_of(cast("Json", body), "the answer")
    error = error_in(answer)
    if error is not None:
        raise ValueError(f"the answer is an error: {error} ({error.kind or 'of no kind'})")
    return answer


def error_in(said: Mapping[str, Json]) -> Interrupted | None:
    """The error that an answer, or an event of one, is."""
    error = said.get("error")
    if isinstance(error, str) and error:
        return Interrupted(error)
    if isinstance(error, dict) and error:
        return interruption(error)
    return None


def interruption(error: Mapping[str, Json]) -> Interrupted:
    """What a provider says of why it gave up."""
    kind = text(error, "status") or text(error, "code") or text(error, "type")
    return Interrupted(text(error, "message") or "an error without a message", kind=kind)


def logprobs_of(tokens: Sequence[Mapping[str, Json]]) -> tuple[Logprob, ...]:
    """The tokens of an answer as both of OpenAI's formats have them."""
    return tuple(
        Logprob(
            text(token, "token"),
            number(token, "logprob"),
            tuple((text(other, "token"), number(other, "logprob")) for other in items(token, "top_logprobs")),
        )
        for token in tokens
    )
