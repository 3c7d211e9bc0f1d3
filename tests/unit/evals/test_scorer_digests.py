"""What makes a scorer another one: its text, what it refers to, its settings; and what does not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from surefoot.evals import Judged, OnStep, exact_match
from surefoot.evals.scoring.binding import Scorer, bind
from surefoot.evals.scoring.digests import digest_of

MODULE = """
from surefoot import flow

LIMIT = 5
WORDS = ["one", "two"]
seen = []

def short(text):
    return len(text) < LIMIT

def scorer(response):
    seen.append(response)
    return short(response) and response not in WORDS

def other(response):
    return True

class Least:
    def __init__(self, least):
        self.least = least

    def __call__(self, response):
        return len(response) >= self.least

def at_least(least):
    def check(response):
        return len(response) >= least
    return check

@flow
def judge(response: str, strict: bool = False) -> bool:
    return short(response)
"""

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """The module with this text, as another process would import it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names: list[str] = []

    def loaded(text: str) -> ModuleType:
        names.append(f"scorers_of_test_{len(names)}")
        (tmp_path / f"{names[-1]}.py").write_text(text)
        importlib.invalidate_caches()
        return importlib.import_module(names[-1])

    yield loaded
    for name in names:
        sys.modules.pop(name, None)


def digest(scorer: Scorer, **reads: str) -> str:
    [bound] = bind({"it": scorer}, reads)
    return digest_of(bound)


def test_the_same_text_has_the_same_digest_whatever_has_become_of_its_state(load: Load) -> None:
    first, second = load(MODULE), load(MODULE)
    before = digest(first.scorer)
    first.scorer("three")
    assert digest(first.scorer) == before == digest(second.scorer)
    assert digest(first.judge) == digest(second.judge)
    assert digest(first.Least(3)) == digest(second.Least(3))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("len(text) < LIMIT", "len(text) <= LIMIT"),
        ("LIMIT = 5", "LIMIT = 6"),
        ('WORDS = ["one", "two"]', 'WORDS = ["one"]'),
        ("short(response) and", "short(response) or"),
    ],
)
def test_what_it_refers_to_is_a_part_of_it(old: str, new: str, load: Load) -> None:
    first, second = load(MODULE), load(MODULE.replace(old, new))
    assert digest(first.scorer) != digest(second.scorer)
    # What another function of the file says is none.
    assert digest(first.other) == digest(second.other)


def test_what_it_encloses_and_is_made_with_is_a_part_of_it(load: Load) -> None:
    module = load(MODULE)
    assert digest(module.at_least(3)) == digest(module.at_least(3)) != digest(module.at_least(4))
    assert digest(module.Least(3)) != digest(module.Least(4))


def test_settings_and_readings_are_a_part_of_it(load: Load) -> None:
    module = load(MODULE)
    plain = digest(module.judge)
    assert digest(Judged(module.judge)) == plain
    assert digest(Judged(module.judge, inputs={"strict": True})) != plain
    assert digest(Judged(module.judge, applies=module.other)) != plain
    assert digest(Judged(module.judge, name="another")) == plain
    assert digest(module.scorer, response="a") != digest(module.scorer, response="b")
    assert digest(module.scorer, context="a") == digest(module.scorer, context="b")
    steps = [
        OnStep("a", module.scorer),
        OnStep("b", module.scorer),
        OnStep("a", module.scorer, reads={"response": "x"}),
    ]
    assert len({digest(each) for each in steps}) == 3


def test_built_in_scorers_and_functions_without_a_file_have_digests() -> None:
    names: dict[str, object] = {}
    exec("def made(response):\n    return response == 'a'\n", names)
    exec("def also(response):\n    return response == 'b'\n", names)
    made, also = names["made"], names["also"]
    assert callable(made)
    assert callable(also)
    assert digest(made) != digest(also)
    assert digest(exact_match) == digest(exact_match)
    assert digest(print_nothing) == digest(print_nothing)


def print_nothing(response: str, **rest: object) -> bool:
    print(end="")  # noqa: T201  (a scorer that uses a builtin)
    return True
