"""One case of a prompt: rendered, answered by a script or a model, and judged."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

from surefoot import flows, scope
from surefoot.errors import InvalidInput, SurefootError, UsageError
from surefoot.evals.datasets import Case
from surefoot.evals.naming import BUILT_IN
from surefoot.evals.plain import is_known, scorer_of
from surefoot.evals.prompting.asking import ask_prompt, asked
from surefoot.evals.prompting.cases import PromptCase, ScorerWish
from surefoot.evals.prompting.expectations import (
    missed_by_answer,
    missed_by_messages,
    missed_by_score,
)
from surefoot.evals.prompting.results import CaseResult, Misses
from surefoot.evals.scores import Score, as_score
from surefoot.evals.scoring.binding import Sample, Scorer, bind
from surefoot.evals.scoring.readings import Reader
from surefoot.evals.scoring.subjects import OnExperiment
from surefoot.flows import AnyFlow, Listener, RunEvent, RunOpened
from surefoot.models import estimated, policy, scripted
from surefoot.prompts import Prompt, Prompty, rendering
from surefoot.values import Message, Money, RunTags, Usage

_OWN = frozenset({"output", "case", "expected", "inputs", "trace", "response", "answer"})
"""Names by which every scorer may ask; an input of such a name is found in `inputs` alone."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who answers. Scripted answers are given where a case has one, unless `is_live` or a `model` is named.

    model: the model that is asked in all cases. `is_live`: the case's own model, else the prompt's.
    """

    model: str = ""
    is_live: bool = False

    @property
    def is_real(self) -> bool:
        """Whether models are asked also where a case has an answer."""
        return self.is_live or bool(self.model)


class Start(Protocol):
    """Runs a flow to its end, as `App.run` does."""

    def __call__(
        self,
        flow: AnyFlow,
        inputs: Mapping[str, object],
        /,
        *,
        tags: RunTags | None = None,
        listener: Listener | None = None,
    ) -> object: ...


@dataclass(frozen=True, slots=True)
class _Answer:
    text: str
    model: str = ""
    usage: Usage = Usage()
    cost: Money | None = Money()
    run_id: str = ""


def run_case(
    prompt: Prompt, case: PromptCase, asking: Asking, *, start: Start, flow_inputs: Mapping[str, object]
) -> CaseResult:
    """Run one case in the current app; a real model is asked in a run with the tag `case`.

    start: runs flows, as `App.run`.
    flow_inputs: how `ask_prompt` is told which prompt is meant.
    """
    began = time.monotonic()
    judged = _Judged(prompt, case, start)
    judged.judge(asking, flow_inputs)
    answer = judged.answer or _Answer("")
    is_failed = bool(judged.misses) or judged.is_broken
    return CaseResult(
        prompt.label,
        prompt.digest,
        case,
        "failed" if is_failed else "skipped" if judged.reason else "passed",
        tuple(judged.misses),
        judged.reason,
        None if judged.answer is None else answer.text,
        answer.model,
        answer.usage,
        answer.cost,
        time.monotonic() - began,
        answer.run_id,
    )


class _Judged:
    """A case as it is judged."""

    def __init__(self, prompt: Prompt, case: PromptCase, start: Start) -> None:
        self.prompt = prompt
        self.case = case
        self.start = start
        self.misses: list[Misses] = []
        self.reason = ""
        self.is_broken = False
        self.answer: _Answer | None = None

    def judge(self, asking: Asking, flow_inputs: Mapping[str, object]) -> None:
        case, expected = self.case, self.case.expected
        try:
            inputs = dict(self.prompt.usable_sample() if case.inputs is None else case.inputs)
            messages = rendering.messages_of(self.prompt, inputs)
        except UsageError as error:
            self._refused(str(error))
            return
        if expected.error is not None:
            said = f"{len(messages)} messages"
            self.misses.append(Misses("the inputs", f"to be refused with {expected.error!r}", said))
            return
        if expected.messages is not None:
            tokens = estimated(messages, self.prompt.model, policy(), model=asking.model or case.model).tokens
            self.misses += missed_by_messages(expected.messages, messages, tokens)
        if not (expected.is_about_answer or case.is_scripted):
            return
        is_asked = expected.is_about_answer and (
            asking.is_real or (bool(case.model) and not case.is_scripted)
        )
        if not is_asked and not case.is_scripted:
            self.reason = (
                "no model is asked: give it an `answer` or a `model`, or run it with --model or --live"
            )
            return
        try:
            if is_asked:
                self.answer = self._real_answer(asking.model or case.model, {**flow_inputs, "inputs": inputs})
            else:
                self.answer = _scripted_answer(self.prompt, case, inputs)
        except Exception as error:  # noqa: BLE001  (whatever ends the call fails this case and no other)
            self._break(error)
            return
        self.misses += missed_by_answer(expected, self.answer.text)
        for wish in expected.scorers:
            self._score(wish, inputs, messages)

    def _refused(self, message: str) -> None:
        wanted = self.case.expected.error
        if wanted is None:
            self.misses.append(Misses("the inputs", "to be rendered", message))
        elif wanted not in message:
            self.misses.append(Misses("the refusal", f"to contain {wanted!r}", message))

    def _break(self, error: Exception) -> None:
        self.is_broken = True
        cause = error.__cause__ if isinstance(error, SurefootError) and error.__cause__ else error
        self.reason = f"{type(cause).__name__}: {cause}"

    def _real_answer(self, model: str, inputs: Mapping[str, object]) -> _Answer:
        """What a model says now, in a run of its own: an answer of the cache would test nothing."""
        seen: list[str] = []

        def note(event: RunEvent) -> None:
            if isinstance(event, RunOpened):
                seen.append(event.run_id)

        with scope.caching("never"):
            output = self.start(
                ask_prompt,
                {**inputs, "model": model},
                tags=RunTags(tags={"case": self.case.name}),
                listener=note,
            )
        said = cast("Mapping[str, str]", output)
        totals = flows.host().ledger.run(seen[0]).totals
        cost = totals.cost if totals.is_cost_complete else None
        return _Answer(said["answer"], said["model"], totals.usage, cost, seen[0])

    def _score(self, wish: ScorerWish, inputs: Mapping[str, object], messages: Sequence[Message]) -> None:
        text = "" if self.answer is None else self.answer.text
        try:
            score = _scored(wish, self.case, text, {**inputs, "messages": messages}, self.start)
        except Exception as error:  # noqa: BLE001  (a scorer that raises fails its case)
            problem = f"{type(error).__name__}: {error}"
            self.misses.append(Misses(f"the scorer {wish.scorer}", "a score", f"an error, {problem}"))
            return
        if (missed := missed_by_score(wish, score)) is not None:
            self.misses.append(missed)


def _scripted_answer(prompt: Prompt, case: PromptCase, inputs: Mapping[str, object]) -> _Answer:
    """What the script says, through all that a real answer passes; outside of runs, and recorded nowhere."""
    reply = asked(Prompty(prompt), inputs, scripted([cast("Any", case.answer)]))
    return _Answer(reply.text, "scripted", reply.usage)


def _scored(
    wish: ScorerWish, case: PromptCase, answer: str, given: Mapping[str, object], start: Start
) -> Score | None:
    """What a scorer says of an answer; it may ask for what is given by name, beside what every scorer may ask for."""
    reads: dict[str, Reader] = {
        name: partial(_constant, value) for name, value in given.items() if name not in _OWN
    }
    [bound] = bind({wish.scorer: _scorer(wish.scorer)}, reads)
    sample = Sample(Case(case.name, given, wish.expected, place=case.place), answer, reads)
    if bound.flow is not None:
        if not bound.is_wanted(sample):
            return None
        return as_score(start(bound.flow, bound.parameters.arguments(sample)))
    if wish.expected is None and bound.parameters.needs_expected:
        raise InvalidInput("it compares with what is expected: add `expected` to the scorer")
    said = bound.ask(sample)
    if inspect.isawaitable(said):
        said = flows.run_in_background(_awaited(cast("Awaitable[object]", said)))
    return as_score(said)


def _constant(value: object, _output: object) -> object:
    return value


async def _awaited(said: Awaitable[object]) -> object:
    return await said


def _scorer(name: str) -> Scorer:
    if is_known(name):
        made = scorer_of(name)
        if isinstance(made, OnExperiment):
            raise InvalidInput(f"the scorer {name} is for all cases together, and a case of a prompt is one")
        return made
    if ":" not in name:
        raise InvalidInput(
            f"no scorer is called {name!r}: there are {', '.join(BUILT_IN)}, and your own as module:function or "
            "FILE.py:function"
        )
    return cast("Callable[..., object]", flows.load_reference(name))
