"""Tiers: the cheap model first, and the strong one where its answer is not taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from surefoot.errors import UsageError
from surefoot.models.fakes import Script
from surefoot.models.generating.checks import (
    Agreement,
    Check,
    Confidence,
    Judge,
    Same,
    name_of,
    plain_settings,
    with_logprobs,
)
from surefoot.models.generating.choices import (
    Call,
    Fallback,
    Single,
    calls_of,
    filled,
    settings_in,
    with_calls,
)

Numbered = tuple[int, "Tier"]


@dataclass(frozen=True, slots=True, init=False)
class Tier:
    """One model of a ladder, and when its answer is taken.

        Tier("openai:gpt-4o-mini", accept=is_cited, confidence=0.9)

    using: a model reference, a `Call`, a `Fallback`, or a script in tests.
    accept: one or several functions of the answer's value (or of its `Reply`, where the parameter is annotated or named
        so), sync or async, that return whether it is taken, or a text that says why it is not.
    confidence: the least mean probability of the answer's tokens, or a `Confidence`; asks for log-probabilities.
    agreement: how many answers have to be the same, or an `Agreement`.
    judge: a model, a function such as a scorer, or a `Judge`.

    Checks are made in that order, the cheap ones first, until one fails. Before them: an answer that was cut off at its
    limit of tokens, or by a content filter, is not taken.
    """

    using: Single
    accept: tuple[Check, ...]
    confidence: Confidence | None
    agreement: Agreement | None
    judge: Judge | None

    def __init__(
        self,
        using: Single,
        accept: Check | Sequence[Check] = (),
        *,
        confidence: Confidence | float | None = None,
        agreement: Agreement | int | None = None,
        judge: Judge | Single | Check | None = None,
    ) -> None:
        """Raises `UsageError`."""
        if not isinstance(cast("object", using), str | Call | Fallback | Script):
            raise UsageError(
                f"a tier is a model reference, a Call or a Fallback, and not a {type(using).__name__}: to choose "
                "between ladders use a Router"
            )
        functions = (accept,) if callable(accept) else tuple(accept)
        if not all(map(callable, functions)):
            raise UsageError("accept is given functions: Tier(model, accept=[is_short, is_cited])")
        if isinstance(confidence, int | float):
            confidence = Confidence(mean=confidence)
        if isinstance(agreement, int):
            agreement = Agreement(agreement)
        if judge is not None and not isinstance(judge, Judge):
            judge = Judge(judge)
        for name, value in (
            ("using", using),
            ("accept", functions),
            ("confidence", confidence),
            ("agreement", agreement),
            ("judge", judge),
        ):
            object.__setattr__(self, name, value)

    @property
    def model(self) -> str:
        """The model it asks first; empty for that of the prompt."""
        return calls_of(self.using)[0].model

    @property
    def checks(self) -> tuple[Confidence | Agreement | Judge, ...]:
        """The built-in checks, in the order in which they are made."""
        return tuple(each for each in (self.confidence, self.agreement, self.judge) if each is not None)

    def asked(self) -> Single:
        """What is asked, with what the checks need to know."""
        return self.using if self.confidence is None else with_calls(self.using, with_logprobs)


@dataclass(frozen=True, slots=True, init=False)
class Tiered:
    """A ladder of models, cheap ones first: the next one is asked where the answer of the one before is not taken.

        using=Tiered([Tier("openai:gpt-4o-mini", accept=is_cited), Tier("openai:gpt-4o")])

    It is asked, too, where the model before cannot answer (out of reach, too slow, over its limits, its context too
    small, refused by its filter, no end of tool calls) or gives no answer of the wanted type; not where a provider
    refused the request itself. The answer of the last tier is taken whatever its checks say, and marked if they
    refuse it. The text of a tier is handed on to a stream once it is taken; that of the last tier as it comes.

    tiers: a plain model reference is a tier whose answers are taken if they are whole.
    defaults: settings (tools, temperature, a stream ...) for the calls that leave them open.
    shadow_rate: for which share (0 to 1) of the answers of cheaper tiers the last one is asked as well, to see whether
        it would have said the same. Inside runs only, once the answer is known; its failure does no harm.
    same: whether two answers say the same, for the shadow; see `Agreement`.
    """

    tiers: tuple[Tier, ...]
    shadow_rate: float
    same: Same | None

    def __init__(
        self,
        tiers: Sequence[Tier | Single],
        *,
        defaults: Call | None = None,
        shadow_rate: float = 0.0,
        same: Same | None = None,
    ) -> None:
        """Raises `UsageError`."""
        if isinstance(tiers, str) or not tiers:
            raise UsageError(
                "a Tiered is given its tiers as a list, the cheapest first: Tiered([Tier('openai:gpt-4o-mini', "
                "accept=check), Tier('openai:gpt-4o')])"
            )
        if not 0 <= shadow_rate <= 1:
            raise UsageError(f"shadow_rate is {shadow_rate}: give a share of the answers, from 0 to 1")
        made = [each if isinstance(each, Tier) else Tier(each) for each in tiers]
        if defaults is not None:
            made = [under(tier, defaults) for tier in made]
        object.__setattr__(self, "tiers", tuple(made))
        object.__setattr__(self, "shadow_rate", shadow_rate)
        object.__setattr__(self, "same", same)

    @property
    def numbered(self) -> list[Numbered]:
        """The tiers with their numbers, from 1."""
        return list(enumerate(self.tiers, 1))


def under(tier: Tier, defaults: Call) -> Tier:
    """The tier, with what its calls leave open taken from the defaults."""
    return Tier(
        with_calls(tier.using, lambda call: filled(call, defaults)),
        tier.accept,
        confidence=tier.confidence,
        agreement=tier.agreement,
        judge=tier.judge,
    )


def settings_of_tier(tier: Tier) -> dict[str, object]:
    """What makes a difference to what a tier does, as plain data."""
    found: dict[str, object] = {
        "calls": [settings_in(one) for one in calls_of(tier.asked())],
        "accept": [name_of(check) for check in tier.accept],
    }
    for check in tier.checks:
        found |= plain_settings(check)
    return found
