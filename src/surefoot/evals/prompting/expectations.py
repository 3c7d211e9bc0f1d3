"""Whether messages and answers are as expected: pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from surefoot.evals.prompting.cases import Expected, MessageExpected, MessagesExpected, ScorerWish, Texts
from surefoot.evals.prompting.results import Misses
from surefoot.evals.scores import Score
from surefoot.values import Json, Message

_SHOWN = 300
_PROBLEMS = 5
_FENCE = re.compile(r"\s*```(?:json)?\s*\n(?P<inside>.*?)\n?\s*```\s*", re.DOTALL | re.IGNORECASE)


def missed_by_messages(
    expected: MessagesExpected, messages: Sequence[Message], tokens: int
) -> Iterator[Misses]:
    """What is not as expected of rendered messages; `tokens` is the estimate of theirs."""
    roles = [message.role for message in messages]
    if expected.count is not None and expected.count != len(messages):
        yield Misses("the number of messages", str(expected.count), f"{len(messages)} ({', '.join(roles)})")
    if expected.roles is not None and list(expected.roles) != roles:
        yield Misses("the roles", ", ".join(expected.roles), ", ".join(roles) or "no message")
    if expected.each is not None:
        if len(expected.each) != len(messages):
            yield Misses(
                "the number of messages", str(len(expected.each)), f"{len(messages)} ({', '.join(roles)})"
            )
        for number, (one, message) in enumerate(zip(expected.each, messages, strict=False), start=1):
            yield from _missed_by_message(number, one, message)
    yield from missed_by_text("the messages", expected.texts, "\n".join(message.text for message in messages))
    if expected.max_tokens is not None and tokens > expected.max_tokens:
        yield Misses("the estimated tokens", f"{expected.max_tokens:,} at most", f"{tokens:,}")


def _missed_by_message(number: int, expected: MessageExpected, message: Message) -> Iterator[Misses]:
    what = f"message {number}"
    if expected.role and expected.role != message.role:
        yield Misses(f"the role of {what}", expected.role, message.role)
    yield from missed_by_text(what, expected.texts, message.text)


def missed_by_answer(expected: Expected, answer: str) -> Iterator[Misses]:
    """What is not as expected of the text of an answer, scorers apart."""
    yield from missed_by_text("the answer", expected.answer, answer)
    if expected.json_schema is not None:
        yield from _missed_by_json(expected.json_schema, answer)


def missed_by_text(what: str, expected: Texts, text: str) -> Iterator[Misses]:
    """What is not as expected of a text."""
    for part in expected.contains:
        if part not in text:
            yield Misses(what, f"to contain {shown(part)}", shown(text))
    for part in expected.not_contains:
        if part in text:
            yield Misses(what, f"not to contain {shown(part)}", shown(text, around=text.index(part)))
    for pattern in expected.regex:
        if re.search(pattern, text) is None:
            yield Misses(what, f"to match {pattern}", shown(text))
    if expected.equals is not None and not _is_equal(expected.equals, text):
        yield Misses(what, shown(expected.equals), shown(text))


def _is_equal(expected: Json, text: str) -> bool:
    """A text is compared as it is but for blanks at its ends, all else as JSON."""
    if isinstance(expected, str):
        return expected.strip() == text.strip()
    try:
        return bool(json_of(text) == expected)
    except ValueError:
        return False


def _missed_by_json(schema: Mapping[str, Json], answer: str) -> Iterator[Misses]:
    from jsonschema import Draft202012Validator
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    try:
        data = json_of(answer)
    except ValueError as problem:
        yield Misses("the answer", "JSON", f"{shown(answer)} ({problem})")
        return
    # A schema refers to what is in it: without a registry of its own the library would fetch what is elsewhere.
    empty: Registry[Any] = Registry()
    try:
        errors = list(cast("Any", Draft202012Validator(dict(schema), registry=empty)).iter_errors(data))
    except Unresolvable as unresolved:
        yield Misses("json_schema", "to refer to what is in it ($defs)", shown(unresolved.ref))
        return
    for number, error in enumerate(errors):
        if number == _PROBLEMS:
            yield Misses("the answer", "to fit json_schema", "more that does not")
            return
        place = "" if error.json_path == "$" else f" at {error.json_path}"
        yield Misses(f"the answer{place}", "to fit json_schema", shown(error.message))


def json_of(text: str) -> Any:
    """The JSON of an answer, which models like to put into a fence. Raises `ValueError`."""
    fenced = _FENCE.fullmatch(text)
    return json.loads(fenced["inside"] if fenced else text)


def missed_by_score(wish: ScorerWish, score: Score | None) -> Misses | None:
    """What is not as expected of what a scorer said; None where all is well."""
    what = f"the scorer {wish.scorer}"
    if score is None:
        return Misses(what, "a score", "nothing: it does not apply to this case")
    because = f" ({score.reason})" if score.reason else ""
    if isinstance(score.value, bool):
        return None if score.value else Misses(what, "true", f"false{because}")
    if isinstance(score.value, str):
        if wish.equals is None:
            return Misses(what, "to be told a label by `equals`", f"the label {score.value!r}{because}")
        return (
            None
            if score.value == wish.equals
            else Misses(what, repr(wish.equals), f"{score.value!r}{because}")
        )
    least = 1.0 if wish.at_least is None else wish.at_least
    if score.value >= least:
        return None
    return Misses(what, f"at least {least:g}", f"{score.value:.3g}{because}")


def shown(value: Json, *, around: int = 0) -> str:
    """A value on one line, as people compare it; a long text from near the place that matters."""
    text = json.dumps(value, ensure_ascii=False)
    if len(text) <= _SHOWN:
        return text
    begin = max(0, around - _SHOWN // 2)
    cut = text[begin : begin + _SHOWN]
    return f"{'…' if begin else ''}{cut}… ({len(text):,} characters)"
