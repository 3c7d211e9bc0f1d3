"""The guards around model calls as the settings have them, and what they look with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from surefoot import models
from surefoot.guards.checking import Checks, Parts, Rules, customs_of, judged_by
from surefoot.guards.detecting import Detector
from surefoot.guards.egress import Hosts
from surefoot.guards.privacy import KINDS, Finder, Pseudonyms

if TYPE_CHECKING:
    from surefoot import config
    from surefoot.effects import Program
    from surefoot.guards.checking.parts import Canary, Judge
    from surefoot.ledger import Keyring


def guards_of(
    given: config.Config,
    *,
    secrets: Finder,
    known: Sequence[Callable[[], frozenset[str]]],
    keyring: Keyring,
    canary: Canary | None = None,
) -> Checks:
    """The guards of the settings. secrets: finds those of this project too, which `known` give."""
    settings = given.guards
    parts = Parts(
        detector=lambda: Detector(settings.rules),
        rules=lambda: Detector(settings.rules, is_classifying=False),
        secrets=secrets,
        personal=lambda: Finder(personal=KINDS),
        replacement=Pseudonyms(lambda: keyring.derive("pseudonyms")),
        known=known,
        canary=canary,
        judge=_judge_of(settings.judge, keyring) if settings.judge else None,
    )
    return Checks(
        _rules_of(settings),
        parts,
        by_prompt=_others_of(settings.by_prompt, settings),
        by_flow=_others_of(settings.by_flow, settings),
        customs=customs_of(settings.custom),
    )


def _rules_of(given: config.GuardSettings) -> Rules:
    hosts = Hosts.of(given.egress_hosts)
    return Rules(
        injection=given.injection,
        threshold=given.threshold,
        is_classified=given.classifier,
        hidden=given.hidden,
        secrets=given.secrets,
        canary=given.canary,
        pii=given.pii,
        egress=given.egress or ("defang" if hosts.names else "off"),
        hosts=hosts,
        grounded=given.grounded,
        max_input_bytes=given.max_input_bytes,
        max_output_bytes=given.max_output_bytes,
        seconds=given.seconds,
        on_error=given.on_error,
    )


def _others_of(others: Mapping[str, config.GuardRules], given: config.GuardSettings) -> dict[str, Rules]:
    """The rules of some calls: those of all, with what is said of these."""
    return {
        name: _rules_of(given.model_copy(update=other.model_dump(exclude_none=True)))
        for name, other in others.items()
    }


def _judge_of(model: str, keyring: Keyring) -> Judge:
    """A model that judges messages, and is told to decide alike each time."""

    def ask(inputs: Mapping[str, object]) -> Program[object]:
        from surefoot import prompts
        from surefoot.guards.checking.judging import FILE

        prompt = prompts.Prompty(prompts.load(FILE), reference="surefoot:injection")
        return models.asked_apart(prompt, inputs, using=models.Call(model, temperature=0.0, max_tokens=300))

    return judged_by(ask, lambda: keyring.derive("judge"))
