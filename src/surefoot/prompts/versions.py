"""Versions of prompts as lists and checks show them: where their texts are, and what is at odds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from surefoot.prompts import labels as labelling
from surefoot.prompts.definition import Prompt
from surefoot.values import Label, PromptText


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """A version of a prompt. `state`: in a file, in one whose text is not what its version was, or in no file any more.

    `source` is the file, relative to the project if inside. `known` is, for an edited one, the digest that its version
    had first. `first_seen_ns` is 0 where no run has used it.
    """

    name: str
    version: str
    digest: str
    state: Literal["file", "edited", "ledger"]
    source: str
    labels: tuple[str, ...] = ()
    known: str = ""
    first_seen_ns: int = 0

    @property
    def reference(self) -> str:
        """`name@version`, or the name with the beginning of its digest where no version is declared."""
        return f"{self.name}@{self.version or self.digest[:8]}"


@dataclass(frozen=True, slots=True)
class Edited:
    """A file whose text is another than the one that its version had first."""

    prompt: Prompt
    known: str
    """The digest that it had."""

    def __str__(self) -> str:
        return (
            f"{self.prompt.source} was edited under the version {self.prompt.version} of prompt {self.prompt.name!r}: "
            f"its digest is {self.prompt.digest[:8]}, that of the version in the ledger {self.known[:8]}; give it a "
            "new version, so that runs and labels of both can be told apart"
        )


@dataclass(frozen=True, slots=True)
class LabelDifference:
    """A label that points elsewhere in the ledger, whose word counts, than in `labels.toml`."""

    prompt: str
    label: str
    in_file: str
    in_ledger: Label

    def __str__(self) -> str:
        moved = self.in_ledger
        there = moved.version or moved.digest[:8]
        also = ""
        if self.in_file == moved.version:
            there, also = f"{moved.digest[:8]}", f", whose file has another text than {moved.digest[:8]}"
        return (
            f"the label {self.label!r} of prompt {self.prompt!r} points at {there} in the ledger and at {self.in_file} "
            f"in {labelling.FILE}{also}; the ledger counts: `surefoot promote --export` writes its labels back"
        )


def original(prompt: Prompt, kept: Iterable[PromptText]) -> str:
    """The digest that the version of a prompt had first, where it is another one; else empty."""
    if not prompt.version:
        return ""
    same = [text for text in kept if text.name == prompt.name and text.version == prompt.version]
    first = min(same, key=lambda text: text.first_seen_ns, default=None)
    return "" if first is None or first.digest == prompt.digest else first.digest


def listed(versions: Iterable[Prompt | PromptText]) -> str:
    return ", ".join(
        f"{one.name}@{one.version} ({one.digest[:8]}, {one.source})"
        if one.version
        else f"{one.name}@{one.digest[:8]} ({one.source})"
        for one in versions
    )
