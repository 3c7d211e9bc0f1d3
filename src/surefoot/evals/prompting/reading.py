"""Files of cases, `NAME.cases.yaml` beside a prompt: read, and every mistake told with its place."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from surefoot.errors import InvalidInput
from surefoot.evals.prompting.cases import (
    CasesFile,
    Expected,
    MessageExpected,
    MessagesExpected,
    PromptCase,
    ScorerWish,
    Texts,
)
from surefoot.values import Json

SUFFIX = ".cases.yaml"

_FILE_KEYS = ("prompt", "model", "cases")
_CASE_KEYS = ("name", "inputs", "answer", "model", "expect")
_TEXT_KEYS = ("contains", "not_contains", "equals", "regex")
_EXPECT_KEYS = (*_TEXT_KEYS, "json_schema", "scorer", "messages", "error")
_MESSAGES_KEYS = ("count", "roles", "contains", "not_contains", "regex", "max_tokens")
_SCORER_KEYS = ("name", "at_least", "equals", "expected")


def cases_beside(prompt: Path) -> Path:
    """Where the cases of a prompt file lie: `summary.cases.yaml` beside `summary.prompty` or `summary.yaml`."""
    return prompt.with_name(f"{prompt.stem}{SUFFIX}")


def read_cases(path: Path) -> CasesFile:
    """Read a file of cases.

    Raises:
        PromptError: it cannot be read, or is no YAML; with `file:line:column`.
        InvalidInput: it holds no cases, or what is no case; with `file:line` and the name of the case.
    """
    from surefoot.prompts import loading, yamltext

    text = loading.read_text(path)
    document = yamltext.read(text, where=str(path))
    top = _Fields(str(path), document.data)
    top.check(_FILE_KEYS)
    entries = document.data.get("cases")
    if not isinstance(entries, list) or not entries:
        raise InvalidInput(f"{path}:{document.line('cases')}: `cases` has to be a list of one or more")
    model = top.text("model")
    cases = [
        _case(entry, f"{path}:{document.line('cases', index)}", index + 1, model)
        for index, entry in enumerate(entries)
    ]
    seen: dict[str, str] = {}
    for case in cases:
        if (other := seen.setdefault(case.name, case.place)) != case.place:
            raise InvalidInput(
                f"{case.place}: the name {case.name!r} stands at {other} already: give each case its own"
            )
    return CasesFile(path, tuple(cases), top.text("prompt"))


def _case(entry: Json, place: str, number: int, model: str) -> PromptCase:
    fields = _Fields.of(entry, place, f"case {number}", "`name`, `inputs` and `expect`")
    fields.check(_CASE_KEYS)
    name = fields.text("name") or f"case {number}"
    fields = _Fields(f"{place}: case {name!r}", fields.data)
    inputs = fields.data.get("inputs")
    if inputs is not None and not isinstance(inputs, dict):
        raise fields.wrong("inputs", "keys and values")
    expected = _expected(fields)
    if not fields.data.get("expect"):
        raise InvalidInput(f"{fields.place} expects nothing: add `expect`, with {_listed(_EXPECT_KEYS)}")
    return PromptCase(
        name,
        place,
        inputs,
        is_scripted="answer" in fields.data,
        answer=fields.data.get("answer"),
        model=fields.text("model") or model,
        expected=expected,
    )


def _expected(case: _Fields) -> Expected:
    fields = _Fields.of(case.data.get("expect") or {}, case.place, "expect", _listed(_EXPECT_KEYS))
    fields.check(_EXPECT_KEYS)
    schema = fields.data.get("json_schema")
    if schema is not None and not isinstance(schema, dict):
        raise fields.wrong("json_schema", "a JSON schema, as in `{type: object, required: [answer]}`")
    if schema is not None:
        _check_schema(schema, fields)
    error = fields.data.get("error")
    if error is not None and not isinstance(error, str):
        raise fields.wrong("error", "a part of the message by which the inputs are refused")
    wishes = fields.data.get("scorer")
    listed = wishes if isinstance(wishes, list) else [] if wishes is None else [wishes]
    expected = Expected(
        answer=_texts(fields),
        json_schema=schema,
        scorers=tuple(_wish(one, fields) for one in listed),
        messages=_messages(fields),
        error=error,
    )
    if error is not None and (expected.is_about_answer or expected.messages is not None):
        raise InvalidInput(
            f"{fields.place} wants `error` and something else: inputs that are refused make no messages"
        )
    return expected


def _messages(expect: _Fields) -> MessagesExpected | None:
    given = expect.data.get("messages")
    if given is None:
        return None
    if isinstance(given, list):
        each: list[MessageExpected] = []
        for number, one in enumerate(given, start=1):
            what = f"message {number}"
            fields = _Fields.of(one, expect.place, what, "`role` and what its text is to be")
            fields.check(("role", *_TEXT_KEYS))
            each.append(MessageExpected(fields.text("role"), _texts(fields)))
        return MessagesExpected(each=tuple(each))
    fields = _Fields.of(given, expect.place, "messages", _listed(_MESSAGES_KEYS))
    fields.check(_MESSAGES_KEYS)
    return MessagesExpected(
        count=fields.whole("count"),
        roles=fields.texts("roles") if "roles" in fields.data else None,
        texts=_texts(fields),
        max_tokens=fields.whole("max_tokens"),
    )


def _wish(given: Json, expect: _Fields) -> ScorerWish:
    if isinstance(given, str):
        given = {"name": given}
    fields = _Fields.of(given, expect.place, "scorer", _listed(_SCORER_KEYS))
    fields.check(_SCORER_KEYS)
    least, label = fields.data.get("at_least"), fields.data.get("equals")
    if least is not None and (isinstance(least, bool) or not isinstance(least, int | float)):
        raise fields.wrong("at_least", "a number")
    if label is not None and not isinstance(label, str):
        raise fields.wrong("equals", "a label")
    if not fields.text("name"):
        raise fields.wrong("name", "the name of a scorer, or module:function")
    return ScorerWish(
        fields.text("name"), None if least is None else float(least), label, fields.data.get("expected")
    )


def _texts(fields: _Fields) -> Texts:
    patterns = fields.texts("regex")
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise InvalidInput(
                f"{fields.place}: regex {pattern!r} is no expression: {error}; in YAML, write it in single quotes"
            ) from None
    return Texts(fields.texts("contains"), fields.texts("not_contains"), fields.data.get("equals"), patterns)


def _check_schema(schema: Mapping[str, Json], fields: _Fields) -> None:
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise InvalidInput(f"{fields.place}: json_schema is no JSON schema: {error.message}") from None


@dataclass(frozen=True, slots=True)
class _Fields:
    """Keys and values of a file, and where they stand."""

    place: str
    data: Mapping[str, Json]

    @classmethod
    def of(cls, value: Json, place: str, what: str, wanted: str) -> _Fields:
        """Raises `InvalidInput` for what has no keys."""
        if not isinstance(value, dict):
            raise InvalidInput(f"{place}: {what} has to be keys and values: {wanted}")
        return cls(place, value)

    def check(self, known: Collection[str]) -> None:
        """Raises `InvalidInput` for a key that is not known, with the nearest one."""
        for key in self.data:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}"
                raise InvalidInput(f"{self.place}: the key {key} is not known; {hint}")

    def text(self, key: str) -> str:
        """The text under a key; empty where there is none."""
        value = self.data.get(key)
        if value is None:
            return ""
        if isinstance(value, bool | dict | list):
            raise self.wrong(key, "a text")
        return str(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """The text or texts under a key."""
        value = self.data.get(key)
        listed = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(one, str | int | float) and not isinstance(one, bool) for one in listed):
            raise self.wrong(key, "a text, or a list of texts")
        return tuple(str(one) for one in listed)

    def whole(self, key: str) -> int | None:
        """The whole number under a key."""
        value = self.data.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.wrong(key, "a whole number, 0 or more")
        return value

    def wrong(self, key: str, wanted: str) -> InvalidInput:
        """The error for a value of another kind."""
        return InvalidInput(f"{self.place}: {key} has to be {wanted}, and is {self.data.get(key)!r}"[:400])


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)
