"""Prompts in MLflow's registry: each version once, found again by its digest, and labels as aliases."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus

from surefoot import flows, prompts
from surefoot.errors import InvalidInput, UnknownPrompt, UsageError
from surefoot.evals.mlflow import forms
from surefoot.prompts import Library, PromptVersion, selecting
from surefoot.traces.mlflow import Refused, server_of
from surefoot.traces.mlflow.registry import Registry
from surefoot.traces.remarks import may_be_taken_later
from surefoot.values import Json, PromptRef

_ALIAS = re.compile(r"[A-Za-z0-9_-]+")
_RESERVED = "latest"
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Registered:
    """A version of a prompt and how it stands in MLflow.

    number: the version that MLflow counts, None where it could not be registered. is_new: whether this made it.
    is_filled: whether MLflow's `format` makes of it what we render; else it is kept there as it is written.
    problem: what of it could not be registered, and why; else empty.
    """

    version: PromptVersion
    number: int | None = None
    is_new: bool = False
    is_filled: bool = True
    aliases: tuple[str, ...] = ()
    problem: str = ""

    @property
    def uri(self) -> str:
        """By which MLflow loads it; empty where it is not there."""
        return "" if self.number is None else f"prompts:/{self.version.name}/{self.number}"

    def to_json(self) -> dict[str, Json]:
        return {
            "name": self.version.name,
            "version": self.version.version,
            "digest": self.version.digest,
            "uri": self.uri or None,
            "is_new": self.is_new,
            "is_filled": self.is_filled,
            "aliases": list(self.aliases),
            "problem": self.problem or None,
        }


def register(*references: str, url: str | None = None, experiment_name: str = "") -> list[Registered]:
    """Register prompts in MLflow: all versions of a name, or that of `name@x`; without a reference all that there are.

    url: the server's address; else that of the settings, `[mlflow] url`, or MLFLOW_TRACKING_URI.
    experiment_name: MLflow's experiment that lists them; else that of the settings, if any.

    A version that is there already is left as it is, and its aliases are moved to where our labels point. One that
    cannot be registered says so in its `problem`, and the others go on. Raises `UnknownPrompt`, `ConfigError`,
    `InvalidInput`, `LedgerError` and `ExportError`; registering again goes on.
    """
    library = prompts.library()
    chosen = _versions(library, references)
    server = server_of(url, experiment_name, flows.host().config.mlflow, os.environ)
    registry = Registry(server)
    found = [_registered(registry, library, version) for version in chosen]
    if server.experiment:
        names = dict.fromkeys(each.version.name for each in found if each.number is not None)
        place = server.experiment_id(server.experiment) if names else ""
        refusals = {name: _refusal(partial(registry.show_in, name, place)) for name in names}
        found = [_and(each, refusals.get(each.version.name, "")) for each in found]
    return found


def _versions(library: Library, references: Sequence[str]) -> list[PromptVersion]:
    """The versions that are meant, those of a name in the order in which they were made. Raises `UnknownPrompt`."""
    there = library.versions()
    if not references:
        return sorted(there, key=_age)
    found: dict[tuple[str, str], PromptVersion] = {}
    for reference in references:
        name, selector = selecting.split(reference)
        digest = library.find(reference).digest if selector else ""
        some = [each for each in there if each.name == name and each.digest == (digest or each.digest)]
        if not some:
            # It names what is near.
            library.find(reference)
            raise UnknownPrompt(
                f"no version of {reference!r} can be registered: `surefoot prompt list` shows them"
            )
        found |= {(each.name, each.digest): each for each in sorted(some, key=_age)}
    return list(found.values())


def _registered(registry: Registry, library: Library, version: PromptVersion) -> Registered:
    try:
        entry = forms.entry(library.at(PromptRef(version.name, version.version, version.digest)))
        number, is_new = registry.register(entry)
    except (InvalidInput, UsageError) as error:
        return Registered(version, problem=str(error))
    except Refused as refused:
        if _is_about_all(refused):
            raise
        return Registered(version, problem=str(refused))
    named = [label for label in version.labels if _ALIAS.fullmatch(label) and label.lower() != _RESERVED]
    refusals = {alias: _refusal(partial(registry.point, version.name, alias, number)) for alias in named}
    aliases = tuple(alias for alias, refusal in refusals.items() if not refusal)
    others = [label for label in version.labels if label not in named]
    made = Registered(version, number, is_new, forms.TEMPLATE not in entry.tags, aliases)
    made = _and(made, f"MLflow has no alias of the name {', '.join(others)}" if others else "")
    return _and(made, *(f"no alias {alias}: {why}" for alias, why in refusals.items() if why))


def _refusal(ask: Callable[[], None]) -> str:
    """What the server says against it, else nothing. Raises `ExportError` for what it says to anything."""
    try:
        ask()
    except Refused as refused:
        if _is_about_all(refused):
            raise
        return str(refused)
    return ""


def _is_about_all(refused: Refused) -> bool:
    # Something else than MLflow has no name for an error.
    return may_be_taken_later(refused) or (refused.status == HTTPStatus.NOT_FOUND and not refused.code)


def _and(made: Registered, *problems: str) -> Registered:
    return replace(made, problem="; ".join(filter(None, (made.problem, *problems))))


def _age(version: PromptVersion) -> tuple[str, bool, int, tuple[tuple[int, str], ...]]:
    """Of versions of a name the one that was used first is the oldest; those that were not used follow in order."""
    is_new = not version.first_seen_ns
    return version.name, is_new, version.first_seen_ns, tuple(_numbered(version.version))


def _numbered(version: str) -> Iterator[tuple[int, str]]:
    for part in _DIGITS.split(version):
        yield (int(part), "") if part.isdecimal() else (0, part)
