"""The guards of one call: what its request and its answer are looked at for, and what is decided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from surefoot import scope
from surefoot.decisions import Action, Decision
from surefoot.effects import Block, Program
from surefoot.errors import ConfigError, ContextOverflow, GuardRefused, LedgerError, RunError, UsageError
from surefoot.guards.checking.custom import Custom, verdict_of
from surefoot.guards.checking.grounding import grounded_share
from surefoot.guards.checking.judging import MOST
from surefoot.guards.checking.parts import NOTHING, Parts, Said
from surefoot.guards.checking.passing import SecretPassing
from surefoot.guards.checking.refusal import refusal
from surefoot.guards.checking.rules import Rules
from surefoot.texts.characters import visible

if TYPE_CHECKING:
    from surefoot.guards.checking.looking import Looking

logger = scope.logger("surefoot.guards")

INSTRUCTIONS = frozenset({"system", "developer"})
_OWN = frozenset({"assistant", "model"})
"""Who speaks in what the model has said before."""
_CHANGEABLE = frozenset({"text", "reasoning"})
"""Kinds of texts of an answer in whose place others may stand."""
_SHOWN: Mapping[str, str] = {"text": "output", "reasoning": "reasoning", "signed": "reasoning"}
"""Kinds of texts that people read, and what guards of the project's own are told of where they stand."""
_ACTIONS: Mapping[str, Action] = {"flag": "flag", "block": "refuse"}
_SHORT = 4_096
"""Characters up to which a text is looked at where the call is made; a longer one off the event loop."""


@dataclass(slots=True)
class Check:
    """The guards of one call. `asked` are the texts of its request, `name` is how messages call it."""

    rules: Rules
    parts: Parts
    looking: Looking
    customs: tuple[Custom, ...]
    asked: Sequence[Said]
    name: str
    canary: str = ""
    is_trusted: Callable[[object], bool] = lambda _: False
    decisions: list[Decision] = field(default_factory=list[Decision])

    @property
    def max_output_bytes(self) -> int:
        """See `surefoot.models.chain.guarding.CallGuard`."""
        return self.rules.max_output_bytes

    @property
    def is_whole(self) -> bool:
        """Whether what leaves may be another text, or is judged as a whole."""
        rules = self.rules
        return bool(self.customs) or rules.pii in ("redact", "block") or rules.egress in ("defang", "block")

    # Before the request leaves

    def judge(self) -> Program[None]:
        """See `surefoot.models.chain.guarding.CallGuard`."""
        if (judge := self.parts.judge) is None or self.rules.injection == "off":
            return
        for where, text in self._untrusted():
            try:
                is_attempt = yield from judge(text)
            except (GuardRefused, ContextOverflow) as error:
                self._failed("judge", where, error)
                continue
            except (RunError, UsageError, LedgerError):
                # That the run is stopped, or out of money, is no word of the judge.
                raise
            except Exception as error:  # noqa: BLE001 - it fails closed
                self._failed("judge", where, error)
                continue
            if len(text) > MOST:
                reason = "the judge was shown its beginning and its end"
                self.decisions.append(Decision("injection", "flag", where, "too-large", reason=reason))
            if is_attempt:
                action = _ACTIONS[self.rules.injection]
                self.decisions.append(Decision("injection", action, where, "judge"))

    def enter(self, size: int) -> Program[Mapping[str, str]]:
        """See `surefoot.models.chain.guarding.CallGuard`."""
        rules = self.rules
        if size > rules.max_input_bytes:
            told = f"{size:,} bytes, and {rules.max_input_bytes:,} may be sent"
            self.decisions.append(Decision("size", "refuse", "input", reason=told))
            raise self._refused()
        changes = self._hidden() if rules.hidden != "keep" else {}
        if rules.injection != "off":
            for where, text in self._untrusted(changes):
                if len(text) > _SHORT and rules.is_classified:
                    yield Block(partial(self._look, where, text))
                else:
                    self._look(where, text)
        if self.customs:
            yield from self._customs_on_input(changes)
        self._settle()
        return changes

    def _hidden(self) -> dict[str, str]:
        """Texts with invisible characters, and what they are without."""
        changes: dict[str, str] = {}
        for said in self.asked:
            if said.text.isascii():
                continue
            shown = visible(said.text)
            if not shown.removed:
                continue
            kinds = ", ".join(sorted(shown.removed))
            action: Action = "redact" if self.rules.hidden == "remove" else "refuse"
            count = sum(shown.removed.values())
            self.decisions.append(Decision("hidden", action, _where(said), kinds, count=count))
            changes[said.text] = shown.text
        return changes

    def _untrusted(self, changes: Mapping[str, str] = NOTHING) -> list[tuple[str, str]]:
        """What may hold instructions of somebody else, message by message; and messages of one role that follow."""
        found: list[tuple[str, str]] = []
        roles: list[str] = []
        for said in self.asked:
            if said.role in INSTRUCTIONS or said.role in _OWN:
                continue
            text, where = changes.get(said.text, said.text), _where(said)
            if self.is_trusted(said.text):
                continue
            if found and found[-1][0] == where:
                found[-1] = where, found[-1][1] + text
            else:
                found.append((where, text))
                roles.append(said.role)
        several = [text for (_, text), role in zip(found, roles, strict=True) if role == "user"]
        if len(several) > 1:
            # What is split over two messages reads as one.
            found.append(("messages", "".join(several)))
        return found

    def _look(self, where: str, text: str) -> None:
        rules = self.rules
        try:
            looked = self.looking.look(text, is_classified=rules.is_classified)
        except Exception as error:  # noqa: BLE001 - it fails closed
            self._failed("injection", where, error)
            return
        if looked is None:
            return
        is_scored = rules.is_classified and looked.score >= rules.threshold
        if looked.rules or is_scored:
            score = looked.score if rules.is_classified else None
            rule = ", ".join(looked.rules)
            self.decisions.append(Decision("injection", _ACTIONS[rules.injection], where, rule, score=score))
        elif looked.is_too_large:
            self.decisions.append(
                Decision("injection", "flag", where, "too-large", reason="only a part of it was looked at")
            )

    def _customs_on_input(self, changes: dict[str, str]) -> Program[None]:
        for said in self.asked:
            if said.role in INSTRUCTIONS or said.role in _OWN:
                continue
            text = changes.get(said.text, said.text)
            other = yield from self._by_customs(text, _where(said))
            if other != text:
                changes[said.text] = other

    def _by_customs(self, text: str, where: str, *, is_fixed: bool = False) -> Program[str]:
        """The text after all guards of the project's own; one that is `fixed` is refused where it would be another."""
        for custom in self.customs:
            try:
                said = yield from custom.ask(text, where, seconds=self.rules.seconds)
                decision, other = verdict_of(custom.name, said, text, where)
            except (ConfigError, GuardRefused):
                raise
            except Exception as error:  # noqa: BLE001 - it fails closed
                self._failed(custom.name, where, error)
                continue
            if is_fixed and other != text:
                reason = "another text cannot take its place"
                decision, other = Decision(custom.name, "refuse", where, reason=reason), text
            if decision is not None:
                self.decisions.append(decision)
            text = other
        return text

    # When the answer is there

    def check(self, said: Sequence[Said]) -> Program[Mapping[str, str]]:
        """See `surefoot.models.chain.guarding.CallGuard`."""
        changes: dict[str, str] = {}
        for one in said:
            self._secrets(one.text)
            self._canary(one.text)
            is_fixed = one.kind not in _CHANGEABLE
            # Before names stand in the place of personal data: they look like addresses.
            text = self._egress(one.text, is_fixed=is_fixed) if one.kind in _SHOWN else one.text
            text = self._personal(text, is_fixed=is_fixed)
            if where := _SHOWN.get(one.kind, "arguments" if one.kind == "arguments" else ""):
                text = yield from self._by_customs(text, where, is_fixed=is_fixed)
            if text != one.text:
                changes[one.text] = text
        self._grounded(said)
        self._settle()
        return changes

    def passing(self) -> SecretPassing:
        """See `surefoot.models.chain.guarding.CallGuard`."""

        def look(text: str) -> None:
            self._secrets(text, is_noted=False)
            if self.rules.canary == "block":
                self._canary(text)
            self._settle()

        return SecretPassing(look, self.parts.known)

    def too_large(self) -> GuardRefused:
        """See `surefoot.models.chain.guarding.CallGuard`."""
        told = f"more than {self.rules.max_output_bytes:,} bytes"
        self.decisions.append(Decision("size", "refuse", "output", reason=told))
        return self._refused()

    def _secrets(self, text: str, *, is_noted: bool = True) -> None:
        """Note the secrets of a text; of one that passes by only those that are refused."""
        rule = self.rules.secrets
        if rule == "allow" or self.parts.secrets is None:
            return
        try:
            found = self.parts.secrets.found(text)
        except Exception as error:  # noqa: BLE001 - it fails closed
            self._failed("secrets", "output", error)
            return
        for each in found:
            if each.kind != "secret":
                continue
            # In an answer what the words around it make a secret is mostly an example.
            action: Action = "flag" if each.is_guess else _ACTIONS[rule]
            if is_noted or action == "refuse":
                self.decisions.append(Decision("secrets", action, "output", each.rule))

    def _canary(self, text: str) -> None:
        if not self.canary or self.rules.canary == "allow":
            return
        from surefoot.texts.canaries import found_in

        if how := found_in(text, self.canary):
            self.decisions.append(Decision("canary", _ACTIONS[self.rules.canary], "output", how))

    def _personal(self, text: str, *, is_fixed: bool) -> str:
        """The text without personal data that is not in the request, where that is to be masked."""
        rule = self.rules.pii
        if rule == "allow":
            return text
        try:
            found = self.looking.personal(text)
        except Exception as error:  # noqa: BLE001 - it fails closed
            self._failed("pii", "output", error)
            return text
        own = "\n".join(one.text for one in self.asked).casefold() if found else ""
        found = [each for each in found if text[each.start : each.end].casefold() not in own]
        is_masked = rule == "redact" and not is_fixed and self.parts.replacement is not None
        for each in found:
            action: Action = "redact" if is_masked else "refuse" if rule == "block" else "flag"
            self.decisions.append(Decision("pii", action, "output", each.kind))
        if is_masked and self.parts.replacement is not None:
            for each in reversed(found):
                put = self.parts.replacement(each.kind, text[each.start : each.end])
                text = text[: each.start] + put + text[each.end :]
        return text

    def _egress(self, text: str, *, is_fixed: bool) -> str:
        """The text without links and images that lead to a host that is not allowed, where they are to be taken out.

        What a provider has signed cannot be changed, and is flagged.
        """
        rule = self.rules.egress
        if rule == "off":
            return text
        from surefoot.guards.egress import defanged

        try:
            made = defanged(text, self.rules.hosts)
        except Exception as error:  # noqa: BLE001 - it fails closed
            self._failed("egress", "output", error)
            return text
        if made.count:
            action: Action = "redact" if rule == "defang" else _ACTIONS[rule]
            action = "flag" if is_fixed and action == "redact" else action
            self.decisions.append(Decision("egress", action, "output", count=made.count))
        return made.text if rule == "defang" and not is_fixed else text

    def _grounded(self, said: Sequence[Said]) -> None:
        if not self.rules.grounded:
            return
        answer = " ".join(one.text for one in said if one.kind == "text")
        given = [one.text for one in self.asked if one.role not in _OWN]
        share = grounded_share(answer, given)
        if share is not None and share < self.rules.grounded:
            self.decisions.append(Decision("grounded", "flag", "output", score=round(share, 4)))

    # What is decided

    def _failed(self, guard: str, where: str, error: Exception) -> None:
        """A guard that cannot say anything refuses, unless it is to be passed by."""
        is_closed = self.rules.on_error == "refuse"
        # The text of an exception may hold what was looked at.
        told = f"it failed with {type(error).__name__}"
        logger.warning("the guard %s failed on %s with %s", guard, where, type(error).__name__)
        self.decisions.append(
            Decision(guard, "refuse" if is_closed else "flag", where, "failed", reason=told)
        )

    def _settle(self) -> None:
        """Raise `GuardRefused` where anything was refused."""
        if any(one.action == "refuse" for one in self.decisions):
            raise self._refused()

    def _refused(self) -> GuardRefused:
        return refusal(self.decisions, asked=self.name)


def _where(said: Said) -> str:
    return f"message {said.place + 1}"
