"""Shadows: now and then the strong model is asked as well, to see whether it would have said the same."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from hashlib import sha256

from surefoot import scope
from surefoot.effects import Program
from surefoot.errors import RunStopped
from surefoot.models.generating.answering import Answered, Ask, Question, within
from surefoot.models.generating.checks import Same, is_same
from surefoot.models.generating.choices import Single, calls_of, with_calls
from surefoot.models.generating.tiers import Tiered
from surefoot.scope import Work
from surefoot.values import Json

NAME = "shadow"
"""The name of the step in which a shadow is recorded."""

logger = scope.logger("surefoot.models")


def shadow(question: Question, tiered: Tiered, answered: Answered, ask: Ask) -> Program[None]:
    """Ask the last tier too, where this answer was drawn."""
    strong = tiered.tiers[-1].using
    yield from compared(question, answered, strong, ask, rate=tiered.shadow_rate, same=tiered.same)


def compared(
    question: Question, answered: Answered, strong: Single, ask: Ask, *, rate: float, same: Same | None
) -> Program[None]:
    """Where this answer was drawn, ask `strong` the same, and record whether it agrees. Fails only with its run."""
    # A route's own ladder may have come to the strong model.
    if not is_drawn(rate) or answered.model == calls_of(strong)[0].model:
        return
    inputs = {"tier": answered.tier, "route": answered.route, "answer": answered.turn.text}
    asked = partial(_asked, question, answered, strong, ask, same or is_same)
    try:
        yield from within(Work("step", NAME, inputs, is_pure=True), asked, is_async=question.is_async)
    except RunStopped:
        raise
    except Exception:
        # The answer is known, and stands.
        logger.warning("a shadow was not recorded", exc_info=True)


def is_drawn(rate: float) -> bool:
    """Whether the answer in whose step this is called is among the share: by the run and the step alone, so that a
    resume draws the same. Never outside of runs."""
    here = scope.current()
    if here is None or rate <= 0:
        return False
    digest = sha256(f"{here.run_id} {here.step_id}".encode()).digest()
    return int.from_bytes(digest[:8]) < rate * 2**64


def _asked(
    question: Question, answered: Answered, strong: Single, ask: Ask, same: Same
) -> Program[dict[str, Json]]:
    record: dict[str, Json] = {
        "shadow": True,
        "tier": answered.tier,
        "route": answered.route,
        "model": answered.model,
        "said": answered.turn.text,
    }
    asking = ask(question, with_calls(strong, lambda call: replace(call, stream=None)))
    try:
        other = yield from asking.program()
        agrees = bool(same(answered.value, other.value))
    except RunStopped:
        raise
    except Exception as error:  # noqa: BLE001  (whatever it is, the answer stands)
        return record | {"agrees": None, "failure": f"{type(error).__name__}: {error}"[:300]}
    return record | {"agrees": agrees, "strong": other.model, "strong_said": other.turn.text}
