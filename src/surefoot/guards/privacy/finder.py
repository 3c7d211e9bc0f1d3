"""Finds secrets and personal data in text, and writes texts without them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
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
        # An address may be `a@b.co`, and a pattern of the user's finds what it likes.
        self._least = 1 if patterns else _SHORTEST_PERSONAL if kinds else SHORTEST
        own = tuple(Rule(name, name, pattern, pattern) for name, pattern in (patterns or {}).items())
        self._rules = (*_SECRETS, *(rule for rule in PERSONAL if rule.kind in kinds), *own)
        for rule in own:
            check_pattern(rule.kind, rule.pattern)
        self._allowed = frozenset(text.casefold() for text in allow)
        self._pseudonym = pseudonym
        self._patterns: _Patterns | None = None

    def __call__(self, text: str, /) -> str | None:
        """The text without what it found, or None if there is nothing; where it was JSON, it is."""
        if len(text) < self._least:
            return None
        found = self._spans(text)
        return self._written(text, found, is_json=True) if found else None

    def found(self, text: str) -> list[Found]:
        """What the text holds, in the order in which it stands there; no two overlap."""
        return self._spans(text) if len(text) >= self._least else []

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
        puts = [(each.start, each.end, self.replacement(text, each)) for each in found]
        if is_json:
            puts = _as_json(text, puts)
        parts: list[str] = []
        place = 0
        for start, end, put in puts:
            parts += (text[place:start], put)
            place = end
        parts.append(text[place:])
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
        if self._allowed:
            spans = [span for span in spans if not self._is_allowed(data[span.start : span.end])]
        taken = _without_overlaps(spans)
        if len(data) == len(text):
            return [Found(span.kind, span.start, span.end, span.rule, span.is_guess) for span in taken]
        return list(_in_characters(data, taken))

    def _is_allowed(self, found: bytes) -> bool:
        return found.decode(*_UNICODE).casefold() in self._allowed

    def _exact_now(self) -> Any:
        """A pattern of all spellings of the secrets that are known now; None where there are none."""
        known = [give() for give in self._known]
        if known != self._seen:
            forms = {form for secrets in known for secret in secrets for form in spellings(secret)}
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
    is_guess: bool = False


def _without_overlaps(spans: Iterable[_Span]) -> list[_Span]:
    """The spans in order. Two secrets that overlap are one; of others the one that goes before is left."""
    taken: list[_Span] = []
    # Of each precedence in one pass along what is taken: a text may be made of nothing but finds.
    ordered = sorted(spans, key=lambda each: (each.precedence, each.start, -each.end))
    for _, group in groupby(ordered, key=lambda each: each.precedence):
        kept: list[_Span] = []
        place = 0
        for span in group:
            if kept and span.start < kept[-1].end:
                if span.kind == SECRET:
                    kept[-1] = _joined(kept[-1], span)
                continue
            while place < len(taken) and taken[place].end <= span.start:
                place += 1
            if place == len(taken) or taken[place].start >= span.end:
                kept.append(span)
        taken = sorted(taken + kept) if taken else kept
    return taken


def _joined(first: _Span, second: _Span) -> _Span:
    """All of two secrets that overlap, by the name of the one that is sure."""
    named = second if first.is_guess and not second.is_guess else first
    return named._replace(start=first.start, end=max(first.end, second.end))


def _in_characters(data: bytes, spans: Sequence[_Span]) -> Iterator[Found]:
    """Places in bytes as places in the text."""
    place = end = 0
    for span in spans:
        start = place + len(data[end : span.start].decode(*_UNICODE))
        place = start + len(data[span.start : span.end].decode(*_UNICODE))
        end = span.end
        yield Found(span.kind, start, place, span.rule, span.is_guess)


_SECRETS: tuple[Rule, ...] = (*VENDORS, *CREDENTIALS)
_PRECEDENCE = {SECRET: 0, "iban": 1, "card": 2, "ssn": 3, "tax_id": 4, "email": 5, "ip": 6, "phone": 7}
"""What goes before what, where one is part of another; patterns of users come last."""
_ESCAPED = b"nrtbf"
_SHORT = 128
"""Bytes of a match in the midst of which another one is looked for, where it is none itself."""
_SHORTEST_PERSONAL = 6


class _Patterns:
    """The compiled patterns of some rules."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        library = _library()
        hints = library.Set.SearchSet(_options())
        for rule in rules:
            hints.Add(rule.hint)
        hints.Compile()
        self._rules = rules
        self._compiled: dict[str, Any] = {}
        self._match: Callable[[bytes], list[int] | None] = hints.Match

    def hints(self, data: bytes) -> Sequence[int]:
        """Which rules may find something."""
        return self._match(data) or ()

    def spans(self, index: int, data: bytes) -> Iterator[_Span]:
        """What one rule finds."""
        rule = self._rules[index]
        pattern = self._pattern(rule.pattern)
        group = min(1, pattern.groups)
        match = pattern.search(data)
        while match is not None:
            begin, end = match.span(group)
            # Where its group took no part in a match nothing is hidden.
            start = end if begin < 0 else _behind_escape(data, begin, end)
            if rule.tail and start < end:
                # By so much it is judged: all of the text at each of its beginnings would be the square of it.
                end = self._pattern(rule.tail).match(data, end, start + _SHORT).end()
            kept = end
            if rule.measure is not None and start < end:
                text = data[start:end].decode("utf-8", "replace" if rule.tail else "surrogatepass")
                kept = start + len(text[: rule.measure(text)].encode(*_UNICODE))
            if rule.tail and start < end <= kept:
                kept = self._pattern(rule.tail).match(data, end).end()
            if 0 <= start < kept:
                yield _Span(start, kept, _PRECEDENCE.get(rule.kind, 8), rule.kind, rule.name, rule.is_guess)
                following = kept
            else:
                # What is none may have taken in the beginning of one. Of a long one that would be looked for too often.
                following = start if 0 <= start < end <= start + _SHORT else match.end()
            match = pattern.search(data, max(following, match.start() + 1))

    def _pattern(self, pattern: str) -> Any:
        compiled = self._compiled.get(pattern)
        if compiled is None:
            compiled = self._compiled[pattern] = _library().compile(pattern.encode(), _options())
        return compiled


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


_Put = tuple[int, int, str]
"""From where to where in a text something else is put."""
_BLANKS = " \t\r\n"
_NUMBER = frozenset("0123456789+-.eE")
_JSON_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def _as_json(text: str, puts: Sequence[_Put]) -> list[_Put]:
    """What is put in a JSON text such that it stays one: a number in which something is hidden becomes a text."""
    written: list[_Put] = []
    quoted = looked_at = quotes = 0
    for start, end, put in puts:
        number = _number_around(text, start, end) if start >= quoted else None
        if number is not None:
            first, quoted = number
            # Inside of a text there is an odd number of quotes before it, without those that are escaped.
            before = text[looked_at:first].replace("\\\\", "").replace('\\"', "")
            quotes += before.count('"')
            looked_at = first
            if quotes % 2:
                quoted = 0
            else:
                written += ((first, first, '"'), (quoted, quoted, '"'))
        written.append((start, end, put))
    return sorted(written)


def _number_around(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Where the number begins and ends in which a find lies, if it can be one of JSON and no part of a text."""
    if not _NUMBER.issuperset(text[start:end]):
        return None
    while start and text[start - 1] in _NUMBER:
        start -= 1
    while end < len(text) and text[end] in _NUMBER:
        end += 1
    before, behind = start, end
    while before and text[before - 1] in _BLANKS:
        before -= 1
    while behind < len(text) and text[behind] in _BLANKS:
        behind += 1
    if _JSON_NUMBER.fullmatch(text, start, end) is None:
        return None
    is_value = (not before or text[before - 1] in ":,[") and (behind == len(text) or text[behind] in ",]}")
    return (start, end) if is_value else None


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
    is_at_end = pattern.endswith(r"\z") or (pattern.endswith("$") and not pattern.endswith(r"\$"))
    if pattern.startswith(("^", r"\A")) or is_at_end:
        raise ConfigError(
            f"the pattern {name!r} asks for the beginning or the end of a text, where no value stands, as what is "
            r"recorded is JSON: leave out ^ and $, or write \b"
        )
