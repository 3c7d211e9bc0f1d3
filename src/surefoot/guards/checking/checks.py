"""The guards of a project: which rules are for which call, and what they look with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from surefoot.guards.checking.check import INSTRUCTIONS, Check
from surefoot.guards.checking.custom import Custom, CustomGuard
from surefoot.guards.checking.looking import Looking
from surefoot.guards.checking.parts import Parts, Said
from surefoot.guards.checking.rules import Rules
from surefoot.scope import Scope
from surefoot.values import PromptRef

_MARK = re.compile(r"[0-9a-f]{32}")
"""The form of a canary: without one in the request its key need not be asked for."""

_PACKED = 16
"""How many times as large an answer of vectors or pictures may be as one in words."""

JUDGE_PROMPT = "surefoot_injection_judge"
"""The name of the prompt that a judge is asked with. Its own request is not judged."""


class Checks:
    """The guards that stand around all model calls of a project: `surefoot.models.Guards`."""

    def __init__(
        self,
        rules: Rules,
        parts: Parts,
        *,
        by_prompt: Mapping[str, Rules] | None = None,
        by_flow: Mapping[str, Rules] | None = None,
        customs: Sequence[Custom] = (),
    ) -> None:
        """by_prompt, by_flow: other rules for the calls of some prompts and flows, by name; `*` is any characters.

        Those of a prompt go before those of its flow, an exact name before a pattern, and of two patterns the first.
        """
        self._rules = rules
        self._parts = parts
        self._by_prompt = by_prompt or {}
        self._by_flow = by_flow or {}
        self._customs = tuple(customs)
        self._looking = Looking(parts)

    def add(self, guard: CustomGuard, *, name: str = "") -> None:
        """Let a function look at all texts that are sent and answered from now on; see `CustomGuard`."""
        named = name or getattr(guard, "__qualname__", type(guard).__name__)
        self._customs = (*self._customs, Custom(named, guard))

    def guard(
        self,
        asked: Sequence[Said],
        here: Scope,
        /,
        *,
        operation: str,
        prompt: PromptRef | None,
        untrusted: str | None = None,
    ) -> Check:
        """See `surefoot.models.chain.guarding.Guards`."""
        prompt = prompt or here.prompt
        rules, customs = self._rules_for(prompt, here), self._customs
        if prompt is not None and prompt.name == JUDGE_PROMPT:
            # Nobody reads what it says but for its verdict.
            rules = replace(rules, injection="off", secrets="allow", pii="allow", egress="off", grounded=0.0)
            customs = ()
        if operation.endswith(("embeddings", "images")):
            rules = replace(rules, max_output_bytes=rules.max_output_bytes * _PACKED)
        parts = self._parts
        if parts.judge is not None and operation.endswith("embeddings"):
            # There is nobody to take over, and a judge for each of a thousand texts costs what they are not worth.
            parts = replace(parts, judge=None)
        return Check(
            rules,
            parts,
            self._looking,
            customs,
            asked,
            operation if prompt is None else f"{operation} with prompt {prompt.name!r}",
            self._canary_in(asked, here, prompt),
            # Outside of runs nobody knows what may be trusted.
            _all if untrusted == "" and here.run_id else here.is_trusted,
        )

    def _rules_for(self, prompt: PromptRef | None, here: Scope) -> Rules:
        if self._by_prompt and prompt is not None and (found := _named(self._by_prompt, prompt.name)):
            return found
        if self._by_flow and (flow := here.caller.flow) and (found := _named(self._by_flow, flow)):
            return found
        return self._rules

    def _canary_in(self, asked: Sequence[Said], here: Scope, prompt: PromptRef | None) -> str:
        """The mark of the prompt's system messages, where the request has it."""
        if self._parts.canary is None or prompt is None:
            return ""
        marked = [said.text for said in asked if said.role in INSTRUCTIONS and _MARK.search(said.text)]
        if not marked:
            return ""
        canary = self._parts.canary(here.caller.tenant, prompt.digest)
        return canary if any(canary in text for text in marked) else ""


def _named(rules: Mapping[str, Rules], name: str) -> Rules | None:
    found = rules.get(name)
    if found is not None:
        return found
    return next((one for pattern, one in rules.items() if fnmatchcase(name, pattern)), None)


def _all(_: object) -> bool:
    return True
