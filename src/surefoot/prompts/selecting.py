"""Which version a reference means: by a label, a declared version, or the first digits of a digest. Pure: no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

from surefoot.errors import PromptError, UsageError
from surefoot.prompts.definition import Prompt

_DIGEST = re.compile(r"[0-9a-f]{8,64}")
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,62}")
_LIKE_VERSION = re.compile(r"[vV]?[0-9][^/]*|[0-9a-fA-F]{8,64}")


class Versioned(Protocol):
    """A version of a prompt, wherever its text is."""

    @property
    def version(self) -> str: ...

    @property
    def digest(self) -> str: ...


V = TypeVar("V", bound=Versioned)


def split(reference: str) -> tuple[str, str]:
    """Name and selector of a reference; names have no `@`."""
    name, sign, selector = reference.rpartition("@")
    return (name, selector) if sign else (reference, "")


def selected(candidates: Sequence[V], selector: str) -> list[V]:
    """The versions that a selector means: by version, else by digest; all of them if it is empty."""
    if not selector:
        return list(candidates)
    wanted = version_key(selector)
    by_version = [one for one in candidates if one.version and version_key(one.version) == wanted]
    if by_version or not _DIGEST.fullmatch(selector.lower()):
        return by_version
    return [one for one in candidates if one.digest.startswith(selector.lower())]


def version_key(version: str) -> str:
    """A version without its leading `v`, which may be left out."""
    return version[1:] if version[:1] in ("v", "V") and len(version) > 1 else version


def may_be_label(selector: str) -> bool:
    """Whether a selector may name a label."""
    return _LABEL.fullmatch(selector) is not None and _LIKE_VERSION.fullmatch(selector) is None


def check_label(label: str) -> None:
    """Raise `UsageError` for what is no name of a label."""
    if not may_be_label(label):
        raise UsageError(
            f"{label!r} is no name for a label: give a word such as `production`, of up to 63 letters, digits, `.`, "
            "`_` and `-`, that begins with a letter and looks like neither a version nor a digest"
        )


def distinct(prompts: Iterable[Prompt]) -> list[Prompt]:
    """One prompt for each text. Raises `PromptError` if a version has two texts."""
    kept: dict[str, Prompt] = {}
    for prompt in prompts:
        other = kept.setdefault(prompt.version, prompt)
        if other.digest != prompt.digest:
            version = f"version {prompt.version}" if prompt.version else "no version"
            raise PromptError(
                f"{other.source} and {prompt.source} both declare the prompt {prompt.name!r} with {version}, "
                "but their texts differ; give one of them another version or name"
            )
    return list(kept.values())
