"""What is different in a run from its code and settings as they are: a prompt's version, a model, an input.

A change is written as one text (`prompt:answer@candidate`) and recorded with the run, so that whoever resumes the run,
and every child run of it, goes by the same: a prompt's version by its digest, wherever its label points by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias, cast, get_args

import orjson

from surefoot.errors import UsageError
from surefoot.values import PromptRef

ChangeKind: TypeAlias = Literal["prompt", "model", "step", "input"]

CHANGES = "changes"
"""The tag under which a run is recorded with its changes."""

_KINDS: tuple[str, ...] = get_args(ChangeKind)
_MOST = 2_000
"""Characters that all changes of a run may have: they stand in an index."""
_SHOWN, _DIGITS = 12, 64
"""Digits of a digest: as it is shown, and all of them."""

_FORMS = (
    "write prompt:NAME@VERSION, model:MODEL=OTHER, step:NAME or input:NAME=VALUE, as in prompt:answer@candidate or "
    "model:openai:gpt-4o=openai:gpt-4o-mini"
)


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is different in a run.

    `prompt`: every reference to the prompt `name` means its version `to`: a label, a version or a digest. `model`: what
    is asked of the model `name` is asked of `to`, both references as `using=` takes them. `step`: the step `name` is
    run anew, where a recorded run is forked. `input`: the flow's input `name` is `to`, read as JSON where it does not
    fit as text.
    """

    kind: ChangeKind
    name: str
    to: str = ""

    def __post_init__(self) -> None:
        """Raises `UsageError`."""
        if self.kind not in _KINDS:
            raise UsageError(f"there are no changes of the kind {self.kind!r}: {_FORMS}")
        if not self.name.strip():
            raise UsageError(f"the change {str(self)!r} does not say what is changed: {_FORMS}")
        if self.kind in ("prompt", "model") and not self.to.strip():
            raise UsageError(f"the change {str(self)!r} does not say to what: {_FORMS}")
        if self.kind == "step" and self.to:
            raise UsageError(
                f"the change of step {self.name!r} takes nothing beside its name: it is run anew as it is"
            )

    def __str__(self) -> str:
        """As `parse_change` reads it."""
        if self.kind == "step":
            return f"step:{self.name}"
        return f"{self.kind}:{self.name}{'@' if self.kind == 'prompt' else '='}{self.to}"

    @property
    def shown(self) -> str:
        """As people read it: a digest is cut."""
        is_digest = self.kind == "prompt" and len(self.to) == _DIGITS
        return str(replace(self, to=self.to[:_SHOWN]) if is_digest else self)


def parse_change(text: str) -> Change:
    """The change that a text means. Raises `UsageError`.

    `prompt:answer@candidate`, `model:openai:gpt-4o=openai:gpt-4o-mini`, `step:parse` or `input:limit=5`.
    """
    kind, colon, rest = text.strip().partition(":")
    if not colon or kind not in _KINDS:
        raise UsageError(f"{text!r} is no change: {_FORMS}")
    if kind == "step":
        return Change("step", rest)
    if kind == "prompt":
        # As in references: names have no `@`.
        name, sign, to = rest.rpartition("@")
    else:
        name, sign, to = rest.partition("=")
    if not sign:
        raise UsageError(f"the change {text!r} does not say to what: {_FORMS}")
    return Change(cast("ChangeKind", kind), name, to)


def resolved(changes: Iterable[Change | str]) -> tuple[Change, ...]:
    """The changes with each prompt's version as its digest, whose text the ledger has from here on.

    Resolve once what several runs are to have in common: a label may be moved meanwhile. Raises `UsageError` for two
    changes of one thing, and `UnknownPrompt`, `PromptError` and `LedgerError` for a version that is not to be had.
    """
    found: dict[tuple[str, str], Change] = {}
    for given in changes:
        change = parse_change(given) if isinstance(given, str) else given
        known = found.setdefault((change.kind, change.name), change)
        if known != change:
            raise UsageError(f"{known} and {change} change the same: leave one of them out")
    return tuple(map(_resolved, found.values()))


def _resolved(change: Change) -> Change:
    if change.kind != "prompt":
        return change
    from surefoot.prompts import library

    known = library()
    is_digest = len(change.to) == _DIGITS
    prompt = known.at(_ref(change)) if is_digest else known.find(f"{change.name}@{change.to}")
    known.keep(prompt)
    return replace(change, to=prompt.digest)


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of one run, as they act in it."""

    given: tuple[Change, ...] = ()
    prompts: Mapping[str, PromptRef] = field(default_factory=dict[str, PromptRef])
    """What every reference to a prompt means, by the prompt's name."""
    models: Mapping[str, str] = field(default_factory=dict[str, str])
    """Which model is asked in the place of another."""

    @classmethod
    def of(cls, changes: Iterable[Change | str]) -> Changes:
        """Changes that may not be resolved yet. Raises what `resolved` raises."""
        given = resolved(changes)
        return cls(
            given,
            {change.name: _meant(change) for change in given if change.kind == "prompt"},
            {change.name: change.to for change in given if change.kind == "model"},
        )

    @property
    def tags(self) -> dict[str, str]:
        """The tag that the run is recorded with; none where nothing is changed. Raises `UsageError` for too many.

        An input is not in it: what a run was begun with is recorded with the run.
        """
        named = [str(change) for change in self.given if change.kind != "input"]
        if not named:
            return {}
        text = orjson.dumps(named).decode()
        if len(text) > _MOST:
            raise UsageError(
                f"the changes of a run have {len(text):,} characters, and may have {_MOST:,}: change less at once"
            )
        return {CHANGES: text}

    def __bool__(self) -> bool:
        return bool(self.given)


NO_CHANGES = Changes()


def recorded_changes(tags: Mapping[str, str]) -> tuple[Change, ...]:
    """The changes that a run was recorded with, by its tags; none for a tag of that name that means something else."""
    text = tags.get(CHANGES)
    if text is None:
        return ()
    try:
        named = orjson.loads(text)
        return tuple(parse_change(str(one)) for one in cast("list[object]", named))
    except (UsageError, ValueError, TypeError):
        return ()


def _meant(change: Change) -> PromptRef:
    """The version that a resolved change means, from wherever its text is."""
    from surefoot.prompts import library

    return library().at(_ref(change)).ref


def _ref(change: Change) -> PromptRef:
    return PromptRef(change.name, "", change.to)
