"""A detector that looks at each text once: conversations ask with the same messages again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b

from surefoot.guards.checking.parts import Detector, Finder, Found, Looked, Parts
from surefoot.locks import ForkSafeLock, made_once

_MOST = 1_024
_SHORTEST = 8
"""A text of fewer characters asks for nothing."""


class Looking:
    """What the detectors of a project say of texts; what they said is remembered by a digest of the text."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = ForkSafeLock()
        self._said: OrderedDict[tuple[bytes, bool], Looked] = OrderedDict()

    @made_once
    def _detector(self) -> Detector | None:
        return None if self._parts.detector is None else self._parts.detector()

    @made_once
    def _rules(self) -> Detector | None:
        return None if self._parts.rules is None else self._parts.rules()

    @made_once
    def _personal(self) -> Finder | None:
        return None if self._parts.personal is None else self._parts.personal()

    def personal(self, text: str) -> Sequence[Found]:
        """The personal data in a text."""
        finder = self._personal
        return () if finder is None else [each for each in finder.found(text) if each.kind != "secret"]

    def look(self, text: str, *, is_classified: bool) -> Looked | None:
        """What is said of a text, by rules alone or by the classifier too; None where nobody looks."""
        detector = self._detector if is_classified else self._rules
        if detector is None or len(text) < _SHORTEST:
            return None
        key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest(), is_classified
        with self._lock:
            said = self._said.get(key)
            if said is not None:
                self._said.move_to_end(key)
                return said
        said = detector.look(text)
        with self._lock:
            self._said[key] = said
            while len(self._said) > _MOST:
                self._said.popitem(last=False)
        return said
