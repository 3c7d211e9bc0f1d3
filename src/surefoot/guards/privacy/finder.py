"""Finds secrets and personal data in text, and writes texts without them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

from surefoot.errors import ConfigError, InvalidInput
from surefoot.guards.privacy.credentials import CREDENTIALS, MASK
from surefoot.guards.privacy.known import SHORTEST, Known, spellings
from surefoot.guards.privacy.personal import PERSONAL, PersonalKind
from surefoot.guards.privacy.pseudonyms import unnamed
from surefoot.guards.privacy.rule import SECRET, Found, Rule
from surefoot.guards.privacy.vendors import VENDORS
from surefoot.texts.patterns import compiled as checked

_MEMORY = 64 << 20
_UNICODE = "utf-8", "surrogatepass"


class Finder:
    """Looks for secrets, always, and for the kinds of personal data that it is told.

    Called with a text it is the ledger's `Privacy`: the text redacted, with JSON left JSON, or None where there is
    nothing to hide. All is done by RE2 in time linear in the text.
    """

    def __init__(
        self,
        *known: Known,
        personal: Iterable[PersonalKind] = (),
        patterns: Mapping[str, str] | None = None,
        allow: Iterable[str] = (),
        pseudonym: Callable[[str, str], str] = unnamed,
    ) -> None:
        """`known` give secrets that are matched exactly, encoded too.

        patterns: further personal data, by kind, as a pattern of RE2; what its first group takes, else all of it.
        allow: texts that are hidden nowhere, such as a public address; capitals do not count.
        pseudonym: what stands in the place of personal data, from its kind and value.

        Raises `ConfigError` for a pattern that RE2 does not take.
        """
        self._known = known
        self._seen: list[frozenset[str]] = []
        self._exact: Any = None
        kinds = frozenset(personal)
        own = tuple(Rule(name, name, pattern, pattern) for name, pattern in (patterns or {}).items())
        self._rules = (*_SECRETS, *(rule for rule in PERSONAL if rule.kind in kinds), *own)
        for rule in own:
            check_pattern(rule.kind, rule.pattern)
        self._allowed = frozenset(text.casefold() for text in allow)
        self._pseudonym = pseudonym
        self._patterns: _Patterns | None = None

    def __call__(self, text: str, /) -> str | None:
        """The text without what it found, or None if there is nothing; where it was JSON, it is."""
        if len(text) < SHORTEST:
            return None
        found = self._spans(text)
        return self._written(text, found, is_json=True) if found else None

    def found(self, text: str) -> list[Found]:
        """What the text holds, in the order in which it stands there; no two overlap."""
        return self._spans(text) if len(text) >= SHORTEST else []

    def redacted(self, text: str) -> str | None:
        """The text without what it found: `[secret]`, and pseudonyms; None if there is nothing."""
        found = self.found(text)
        return self._written(text, found, is_json=False) if found else None

    def replacement(self, text: str, found: Found) -> str:
        """What stands in the place of something that was found in the text."""
        return MASK if found.is_secret else self._pseudonym(found.kind, text[found.start : found.end])

    def secrets_only(self) -> Finder:
        """One that knows the same secrets and looks for no personal data."""
        return Finder(*self._known)

    def _written(self, text: str, found: Sequence[Found], *, is_json: bool) -> str:
        parts: list[str] = []
        end = 0
        for each in found:
            put = self.replacement(text, each)
            if is_json and _is_bare_number(text, each):
                put = f'"{put}"'
            parts += (text[end : each.start], put)
            end = each.end
        parts.append(text[end:])
        return "".join(parts)

    def _spans(self, text: str) -> list[Found]:
        data = text.encode(*_UNICODE)
        patterns = self._patterns
        if patterns is None:
            patterns = self._patterns = _compiled(self._rules)
        hits = patterns.hints(data)
        exact = self._exact_now()
        if exact is not None and exact.search(data) is None:
            exact = None
        if not hits and exact is None:
            return []
        spans = [span for index in sorted(hits) for span in patterns.spans(index, data)]
        if exact is not None:
            spans += (_Span(match.start(), match.end(), 0, SECRET, "known") for match in exact.finditer(data))
        return self._sorted(text, data, spans) if spans else []

    def _sorted(self, text: str, data: bytes, spans: list[_Span]) -> list[Found]:
        """Spans of bytes as what was found, without overlaps: the earlier precedence takes what two have in common."""
        taken: list[_Span] = []
        for span in sorted(spans, key=lambda each: (each.precedence, each.start, -each.end)):
            if self._allowed and data[span.start : span.end].decode(*_UNICODE).casefold() in self._allowed:
                continue
            clash = [other for other in taken if span.start < other.end and other.start < span.end]
            if not clash:
                taken.append(span)
            elif span.kind == SECRET and not _lies_in(span, clash):
                # Of two secrets that overlap, all of both is hidden.
                taken = [other for other in taken if other not in clash]
                joined = [span, *clash]
                taken.append(
                    span._replace(start=min(s.start for s in joined), end=max(s.end for s in joined))
                )
        taken.sort()
        if len(data) == len(text):
            return [Found(span.kind, span.start, span.end, span.rule) for span in taken]
        return list(_in_characters(data, taken))

    def _exact_now(self) -> Any:
        """A pattern of all spellings of the secrets that are known now; None where there are none."""
        known = [give() for give in self._known]
        if known != self._seen:
            secrets = {secret for secrets in known for secret in secrets if len(secret) >= SHORTEST}
            forms = {form for secret in secrets for form in spellings(secret)}
            self._exact = _literal(sorted(forms, key=lambda form: (-len(form), form))) if forms else None
            self._seen = known
        return self._exact


class _Span(NamedTuple):
    """Bytes that were found, and how much what was found there goes before others."""

    start: int
    end: int
    precedence: int
    kind: str
    rule: str


def _lies_in(span: _Span, others: Sequence[_Span]) -> bool:
    return any(other.start <= span.start and span.end <= other.end for other in others)


def _in_characters(data: bytes, spans: Sequence[_Span]) -> Iterator[Found]:
    """Places in bytes as places in the text."""
    place = end = 0
    for span in spans:
        start = place + len(data[end : span.start].decode(*_UNICODE))
        place = start + len(data[span.start : span.end].decode(*_UNICODE))
        end = span.end
        yield Found(span.kind, start, place, span.rule)


_SECRETS: tuple[Rule, ...] = (*VENDORS, *CREDENTIALS)
_PRECEDENCE = {SECRET: 0, "iban": 1, "card": 2, "ssn": 3, "tax_id": 4, "email": 5, "ip": 6, "phone": 7}
"""What goes before what, where one is part of another; patterns of users come last."""
_ESCAPED = b"nrtbf"
_SHORT = 64
"""Bytes of a match in the midst of which another one is looked for, where it is none itself."""


class _Patterns:
    """The compiled patterns of some rules."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        library = _library()
        hints = library.Set.SearchSet(_options())
        for rule in rules:
            hints.Add(rule.hint)
        hints.Compile()
        self._rules = rules
        self._compiled: dict[int, Any] = {}
        self._match: Callable[[bytes], list[int] | None] = hints.Match

    def hints(self, data: bytes) -> Sequence[int]:
        """Which rules may find something."""
        return self._match(data) or ()

    def spans(self, index: int, data: bytes) -> Iterator[_Span]:
        """What one rule finds."""
        pattern = self._compiled.get(index)
        rule = self._rules[index]
        if pattern is None:
            pattern = self._compiled[index] = _library().compile(rule.pattern.encode(), _options())
        group = min(1, pattern.groups)
        match = pattern.search(data)
        while match is not None:
            begin, end = match.span(group)
            # Where its group took no part in a match nothing is hidden.
            start = end if begin < 0 else _behind_escape(data, begin, end)
            kept = end
            if rule.measure is not None and start < end:
                text = data[start:end].decode(*_UNICODE)
                kept = start + len(text[: rule.measure(text)].encode(*_UNICODE))
            if 0 <= start < kept:
                yield _Span(start, kept, _PRECEDENCE.get(rule.kind, 8), rule.kind, rule.name)
                following = kept
            else:
                # What is none may have taken in the beginning of one. Of a long one that would be looked for too often.
                following = start if 0 <= start < end <= start + _SHORT else match.end()
            match = pattern.search(data, max(following, match.start() + 1))


def _behind_escape(data: bytes, start: int, end: int) -> int:
    """Where a find begins that took the letter of an escape of JSON for its own first."""
    slashes = start
    while slashes and data[slashes - 1] == 0x5C:
        slashes -= 1
    if (start - slashes) % 2 == 0 or start == end:
        return start
    if data[start : start + 1] == b"u":
        return min(end, start + 5)
    return start + 1 if data[start] in _ESCAPED else start


def _is_bare_number(text: str, found: Found) -> bool:
    """Whether it is a number of JSON, and no part of a text: what is put in its place has to be a text."""
    if not (text[found.start].isdigit() and text[found.start : found.end].isdecimal()):
        return False
    before, behind = text[: found.start].rstrip(), text[found.end :].lstrip()
    if not ((not before or before[-1] in ":,[") and (not behind or behind[0] in ",]}")):
        return False
    # Inside of a text there is an odd number of quotes before it, without those that are escaped.
    return before.replace("\\\\", "").replace('\\"', "").count('"') % 2 == 0


def _library() -> Any:
    # Takes some milliseconds, and to define a flow nothing is looked for.
    import re2  # type: ignore[import-untyped]

    return cast("Any", re2)


def _options() -> Any:
    options = _library().Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    return options


def _literal(forms: Sequence[str]) -> Any:
    library = _library()
    return library.compile("|".join(map(library.escape, forms)).encode(*_UNICODE), _options())


@lru_cache(maxsize=32)
def _compiled(rules: tuple[Rule, ...]) -> _Patterns:
    """Patterns are compiled once for all that look for the same."""
    return _Patterns(rules)


def check_pattern(name: str, pattern: str) -> None:
    """Raise `ConfigError` for a pattern that RE2 does not take, or that finds nothing in particular."""
    try:
        compiled = checked(pattern)
    except InvalidInput as error:
        raise ConfigError(f"the pattern {name!r}: {error}") from None
    if compiled.search("") is not None:
        raise ConfigError(
            f"the pattern {name!r} matches the empty text: let it ask for one character at least"
        )
