"""What tells recorded requests apart, and in what an unknown one differs from its nearest."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from surefoot.models.fakes.requests import ModelRequest
from surefoot.texts.fences import TAG

_LINES = 24
_WIDTH = 160

# The tags of fences and the names of personal data hold a part that is made with the key of an application: on another
# machine the same request has another one.
_KEYED = re.compile(rf"(</?{TAG})-[\w-]{{22}}>|<([A-Z][A-Z_]*):[a-z2-7]{{10}}>")


def keyless(text: str) -> str:
    """A text without what is made with the key of an application."""
    return _KEYED.sub(lambda found: f"{found[1] or '<' + found[2]}>", text)


def canonical(asked: ModelRequest) -> str:
    """A request as a text that is equal for equal requests: the order of fields plays no part, that of lists does."""
    whole = [asked.operation, asked.path, asked.body]
    return keyless(json.dumps(whole, sort_keys=True, ensure_ascii=False, separators=(",", ":")))


def nearest(asked: ModelRequest, known: Sequence[ModelRequest]) -> ModelRequest | None:
    """The most similar of the requests that ask for the same operation; None where there is none."""
    from difflib import SequenceMatcher

    wanted = _lines(asked, str)
    same = [one for one in known if one.operation == asked.operation]
    return max(
        same,
        key=lambda one: SequenceMatcher(None, _lines(one, str), wanted, autojunk=False).ratio(),
        default=None,
    )


def difference(recorded: ModelRequest, asked: ModelRequest, readable: Callable[[str], str]) -> str:
    """The lines in which two requests differ, as a short diff; `readable` takes the secrets out."""
    from difflib import unified_diff

    lines = list(unified_diff(_lines(recorded, str), _lines(asked, readable), n=1, lineterm=""))[2:]
    shown = [line if len(line) <= _WIDTH else f"{line[: _WIDTH - 3]}..." for line in lines[:_LINES]]
    more = len(lines) - len(shown)
    return "\n".join([*shown, *([f"... and {more} lines more"] if more else [])])


def _lines(asked: ModelRequest, readable: Callable[[str], str]) -> list[str]:
    whole = {"path": asked.path, "model": asked.model, **asked.body}
    return keyless(readable(json.dumps(whole, indent=1, sort_keys=True, ensure_ascii=False))).splitlines()
