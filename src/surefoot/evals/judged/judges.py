"""The judges: prompts of the package by the question that each asks, or those that a user puts in their place."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from surefoot import scope
from surefoot.errors import InvalidInput, PromptMisfit
from surefoot.evals.judged.conversation import Ask
from surefoot.evals.judged.settings import Settings
from surefoot.prompts import Prompty
from surefoot.prompts.loading import load
from surefoot.texts.fences import fences
from surefoot.values import Json

FOLDER = Path(__file__).parent / "prompts"
QUESTIONS = tuple(sorted(path.stem for path in FOLDER.glob("*.prompty")))
"""The questions that metrics ask, each of which has a prompt of its own."""

# What a judge may leave out: it changes how is asked, not about what.
_OPTIONAL = frozenset({"wording", "atomicity", "coverage", "lowest", "highest", "criteria"})
# What a judge is told that is the team's and not the sample's: it may stand in a system message.
_OF_THE_METRIC = frozenset({"mark", "definition", "criteria", "rubrics"})


@cache
def shipped(question: str) -> Prompty:
    """The prompt of the package for a question. In runs it is pinned under `surefoot:QUESTION`."""
    return Prompty(load(FOLDER / f"{question}.prompty"), reference=f"surefoot:{question}")


def judge_of(question: str, settings: Settings) -> Prompty:
    """The prompt that a question is asked by. Raises what finding one of the library raises."""
    reference = settings.prompts.get(question)
    return shipped(question) if reference is None else Prompty.load_template(reference)


def inputs_of(asked: Ask, judge: Prompty, settings: Settings) -> dict[str, object]:
    """What a judge is told: the inputs of the question that it declares, and a `mark` if it declares that.

    Raises `PromptMisfit` where it would not be told what is to be judged.
    """
    declared = judge.inputs
    missing = sorted(name for name in asked.inputs if name not in declared and name not in _OPTIONAL)
    if missing:
        raise PromptMisfit(
            f"{judge.where}: as a judge of {asked.question!r} it has to take {', '.join(missing)}: declare them among "
            f"its inputs ({', '.join(declared) or 'none'} now), and put them into its text"
        )
    told: dict[str, object] = {name: value for name, value in asked.inputs.items() if name in declared}
    if "mark" in declared:
        told["mark"] = mark_of(asked.inputs)
    here = scope.current()
    if here is not None and asked.question in settings.prompts:
        # The judges of the package say so in their files.
        for name in _OF_THE_METRIC & told.keys():
            here.trust(told[name])
    return told


def mark_of(inputs: Mapping[str, Json]) -> str:
    """What the tags around untrusted texts end in: a keyed digest of them all, so that no text can close its own tag.

    16 characters of base64, 96 bits.
    """
    import orjson

    return fences().nonce(orjson.dumps(dict(inputs), option=orjson.OPT_SORT_KEYS).decode())[:16]


def check_prompts(prompts: Mapping[str, str]) -> None:
    """Raise `InvalidInput` for a prompt of a question that nobody asks."""
    unknown = sorted(set(prompts) - set(QUESTIONS))
    if unknown:
        raise InvalidInput(f"no judge is asked {unknown[0]!r}: the questions are {', '.join(QUESTIONS)}")
