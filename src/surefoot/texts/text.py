"""`Text`: what a text may be, declared on a parameter or field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin

from surefoot.errors import InvalidInput, UsageError
from surefoot.mistakes import Mistake, counted, kind_of
from surefoot.texts.hosts import NoHost, host_of, is_among
from surefoot.texts.patterns import compiled, matched_until
from surefoot.values import Json

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

_MOST_SHOWN = 8
# What RE2 reads and the expressions of JSON Schema do not, or read otherwise.
_OWN_SYNTAX = re.compile(r"\(\?(?!:)|\[\[:|\\[AzpPQECaC]|\\x\{|\*\+|\+\+|\?\+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    r"""What a text may be: `query: Annotated[str, Text(max=2000)]` on a flow, a step, or a field of a model.

    max, min: how many characters (code points) it has at most and at least.
    pattern: a regular expression in RE2's syntax that the whole text has to match, in time that grows with the text
        and never faster: `[A-Z]{2}\d{6}`. It has no look-around and no references back to a group.
    allow: the texts that it may be.
    hosts: it has to be an address (`https:` or `http:`) of one of these hosts; `*.example.org` are all below
        example.org. An address that some programs read otherwise than others is refused.
    untrusted: it may come of what users, documents and models wrote, also where it goes to a sink.
    trim: blanks before and after it are dropped before anything is checked.

    Inside a list or mapping it holds for the texts there: `list[Annotated[str, Text(max=80)]]`. Raises `UsageError`
    for a declaration that no text fits, and for a pattern that RE2 does not read.
    """

    max: int | None = None
    min: int | None = None
    pattern: str | None = None
    allow: Sequence[str] | None = None
    hosts: Sequence[str] | None = None
    untrusted: bool = False
    trim: bool = False

    def __post_init__(self) -> None:
        for name in ("allow", "hosts"):
            listed = getattr(self, name)
            if listed is None:
                continue
            if isinstance(listed, str) or not all(isinstance(one, str) for one in listed) or not listed:
                raise UsageError(f"Text({name}={listed!r}): give a list of texts with one at least")
            # Hashable, and no longer the list of whoever gave it.
            object.__setattr__(self, name, tuple(listed))
        for name in ("max", "min"):
            bound = getattr(self, name)
            if bound is not None and (isinstance(bound, bool) or not isinstance(bound, int) or bound < 0):
                raise UsageError(f"Text({name}={bound!r}): give a number of characters, 0 or more")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise UsageError(f"Text(min={self.min}, max={self.max}): no text has both")
        if self.pattern is not None:
            try:
                compiled(self.pattern)
            except InvalidInput as error:
                raise UsageError(f"Text(pattern=...): {error}") from None

    def __repr__(self) -> str:
        """As it was written: it stands in signatures that messages show."""
        said = {one.name: getattr(self, one.name) for one in fields(self)}
        return f"Text({', '.join(f'{name}={value!r}' for name, value in said.items() if value not in (None, False))})"

    @property
    def is_checked(self) -> bool:
        """Whether what passes is one of what the team has described, so that it may be trusted."""
        return self.pattern is not None or self.allow is not None or self.hosts is not None

    def problem(self, value: object) -> str | None:
        """What is wrong with a value, in words that do not tell it; None where it does."""
        found = self.mistake(value)
        return None if found is None else found.problem

    def mistake(self, value: object, field: str = "") -> Mistake | None:
        """The first rule that a value breaks; `field` is where it stands."""
        if not isinstance(value, str):
            return Mistake(field, "type", f"has to be text, and is {kind_of(value)}")
        text = value.strip() if self.trim else value
        # A pattern is never asked about a text that is too long.
        if self.max is not None and len(text) > self.max:
            offset = (len(value) - len(value.lstrip()) if self.trim else 0) + self.max
            size = counted(len(text), "character")
            problem = f"has {size}, and may have {self.max:,} (too long from offset {offset})"
            return Mistake(field, "max", problem, offset)
        if self.min is not None and len(text) < self.min:
            problem = f"has {counted(len(text), 'character')}, and needs {self.min:,}"
            return Mistake(field, "min", problem, len(value))
        return (
            _broken(field, value)
            or (self._unlisted(field, text) if self.allow is not None else None)
            or (self._unmatched(field, value, text) if self.pattern is not None else None)
            or (self._elsewhere(field, value, text) if self.hosts is not None else None)
        )

    def trimmed(self, value: str) -> str:
        """The text as it is passed on: without the blanks around it, where these are dropped."""
        return value.strip() if self.trim else value

    def schema(self) -> dict[str, Json]:
        """The keywords of JSON Schema for it. A pattern that only RE2 reads is told in the description."""
        told: dict[str, Json] = {}
        if self.max is not None:
            told["maxLength"] = self.max
        if self.min is not None:
            told["minLength"] = self.min
        if self.allow is not None:
            told["enum"] = list(self.allow)
        said: list[str] = []
        if self.pattern is not None and _OWN_SYNTAX.search(self.pattern):
            said.append(f"has to match {self.pattern} (RE2)")
        elif self.pattern is not None:
            told["pattern"] = f"^(?:{self.pattern})$"
        if self.hosts is not None:
            said.append(f"an address of {_listed(self.hosts)}")
        return {**told, **({"description": "; ".join(said)} if said else {})}

    @staticmethod
    def of(annotation: object) -> Text | None:
        """The `Text` of a parameter's annotation (`Annotated[str, Text(...)]`); None where it has none."""
        metadata = cast("tuple[object, ...]", getattr(annotation, "__metadata__", ()))
        own = next((one for one in reversed(metadata) if isinstance(one, Text)), None)
        if own is not None:
            return own
        if metadata:
            return Text.of(cast("Any", annotation).__origin__)
        # `Annotated[str, Text(...)] | None` is a text, too.
        parts = [part for part in get_args(annotation) if part is not type(None)]
        is_union = get_origin(annotation) is not None and len(parts) == 1 and len(get_args(annotation)) == 2
        return Text.of(parts[0]) if is_union and type(None) in get_args(annotation) else None

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> Any:
        from pydantic_core import core_schema

        schema = handler(source)
        if _is_no_text(schema):
            if self == Text(untrusted=self.untrusted):
                # Where a value comes from can be said of any.
                return schema
            raise UsageError(
                f"{self!r} is declared of {source}, which is no text, and would hold for nothing: "
                "declare it of what is in there, as in list[Annotated[str, Text(max=80)]], or of str"
            )
        # Before: of bytes pydantic would make a text that is not what the code is given.
        return core_schema.no_info_before_validator_function(self._checked, schema)

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = handler(core_schema)
        told = self.schema()
        said = told.pop("description", None)
        for branch in (found, *found.get("anyOf", ())):
            if branch.get("type") == "string":
                # A type that lists its values goes before: it is the narrower of the two.
                branch.update({**told, **branch})
        if said is not None:
            before = found.get("description")
            found["description"] = f"{before} ({said})" if before else said
        return found

    def _checked(self, value: object) -> object:
        from pydantic_core import PydanticCustomError

        # What else the type takes (None, an enumeration) is for the type to judge.
        if not isinstance(value, str | bytes | bytearray):
            return value
        found = self.mistake(value)
        if found is None:
            return self.trimmed(cast("str", value))
        context = {"rule": found.rule, "offset": found.offset, "problem": found.problem}
        raise PydanticCustomError("text", "{problem}", context)

    def _unlisted(self, field: str, text: str) -> Mistake | None:
        allowed = cast("tuple[str, ...]", self.allow)
        if text in allowed:
            return None
        return Mistake(field, "allow", f"is none of {_listed(allowed)}")

    def _unmatched(self, field: str, value: str, text: str) -> Mistake | None:
        pattern = cast("str", self.pattern)
        if compiled(pattern).fullmatch(text) is not None:
            return None
        offset = matched_until(pattern, text) or 0
        before = len(value) - len(value.lstrip()) if self.trim else 0
        shown = pattern if len(pattern) <= 100 else f"{pattern[:97]}..."
        return Mistake(
            field, "pattern", f"does not match {shown} (from offset {before + offset})", before + offset
        )

    def _elsewhere(self, field: str, value: str, text: str) -> Mistake | None:
        allowed = cast("tuple[str, ...]", self.hosts)
        try:
            if is_among(host_of(text), allowed):
                return None
        except NoHost as error:
            return Mistake(field, "hosts", f"is no address that can be trusted: {error}")
        return Mistake(
            field, "hosts", f"is an address of another host than {_listed(allowed)}", value.find("//") + 2
        )


_NO_TEXTS = frozenset(
    {
        *(
            "list",
            "tuple",
            "set",
            "frozenset",
            "dict",
            "generator",
            "typed-dict",
            "model",
            "dataclass",
            "call",
        ),
        *(
            "int",
            "float",
            "complex",
            "decimal",
            "bool",
            "bytes",
            "date",
            "time",
            "datetime",
            "timedelta",
            "uuid",
        ),
        *("url", "multi-host-url"),
    }
)
"""Schemas of pydantic whose values are something else when the code gets them, so that no rule is asked about them."""


def _is_no_text(schema: Mapping[str, Any]) -> bool:
    """Whether a schema of pydantic takes no text in any of its branches."""
    if "choices" in schema:
        branches: Any = schema["choices"]
        listed: list[Any] = [*(branches.values() if hasattr(branches, "values") else branches)]
        return all(_is_no_text(cast("Any", one)[0] if isinstance(one, tuple) else one) for one in listed)
    inner: Any = schema.get("schema") if schema["type"] not in _NO_TEXTS else None
    return schema["type"] in _NO_TEXTS if inner is None else _is_no_text(inner)


def _broken(field: str, value: str) -> Mistake | None:
    """Halves of a surrogate pair are no text: nothing can record, match or send them."""
    if value.isascii():
        return None
    try:
        value.encode()
    except UnicodeEncodeError as error:
        problem = f"has half of a character (a lone surrogate) at offset {error.start}"
        return Mistake(field, "text", problem, error.start)
    return None


def _listed(values: Sequence[str]) -> str:
    shown = ", ".join(repr(value) for value in values[:_MOST_SHOWN])
    more = len(values) - _MOST_SHOWN
    return f"{shown} and {more:,} more" if more > 0 else shown
