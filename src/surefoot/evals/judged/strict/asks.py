"""The questions that metrics share, with their checks and votes."""

from __future__ import annotations

from collections.abc import Sequence

from surefoot.errors import InvalidInput
from surefoot.evals.judged.conversation import Ask, Talk, ask, ask_all
from surefoot.evals.judged.strict import arithmetic, checks


def need(**texts: str | Sequence[str] | None) -> None:
    """Raise `InvalidInput` for what is missing or blank: there is nothing to judge then."""
    for name, value in texts.items():
        parts = [value] if isinstance(value, str) else value or ()
        if not any(part.strip() for part in parts):
            raise InvalidInput(
                f"{name} is {'missing' if value is None else 'blank'}: there is nothing to judge; leave such cases out "
                "by Judged(applies=...), or see why it is so"
            )


def statements(question: str, answer: str) -> Ask:
    """What an answer states."""
    return Ask("statements", {"question": question, "answer": answer}, checks.stated)


def verdicts(context: str, about: Sequence[str]) -> Ask:
    """Whether a text supports each statement."""
    return Ask("verdicts", {"context": context, "statements": list(about)}, checks.each_once(about))


def voted(wish: Ask, votes: int) -> Talk[list[bool]]:
    """The verdicts on a list of things by the majority of so many answers, an odd number."""
    if votes == 1:
        return list((yield from ask(wish)))
    return arithmetic.majority((yield from ask_all([wish] * votes)))


def all_voted(wishes: Sequence[Ask], votes: int) -> Talk[list[list[bool]]]:
    """The same for several questions that do not depend on one another."""
    said = yield from ask_all([wish for wish in wishes for _ in range(votes)])
    return [arithmetic.majority(said[start : start + votes]) for start in range(0, len(said), votes)]


def joined(context: Sequence[str]) -> str:
    """Contexts as one text."""
    return "\n\n".join(context)


def listing(what: str, texts: Sequence[str]) -> str:
    """A reason that shows texts; empty where there are none."""
    return f"{what}: {'; '.join(text[:80] for text in texts)}" if texts else ""
