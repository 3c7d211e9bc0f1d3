"""The packages of the extra `eval`, imported where a scorer that needs them is used."""

from __future__ import annotations

from typing import Any

from surefoot.errors import MissingExtra


def sacrebleu(what: str) -> Any:
    """The module, for what needs it. Raises `MissingExtra`."""
    try:
        import sacrebleu
    except ImportError:
        raise _missing(what, "sacrebleu") from None
    return sacrebleu


def rapidfuzz(what: str) -> Any:
    """The module of string distances, for what needs it. Raises `MissingExtra`."""
    try:
        from rapidfuzz import distance
    except ImportError:
        raise _missing(what, "rapidfuzz") from None
    return distance


def _missing(what: str, package: str) -> MissingExtra:
    return MissingExtra(f'{what} needs {package}: pip install "surefoot[eval]"')
