"""What it costs to look for secrets and personal data, to redact them, and to hold a stream back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from random import Random
from statistics import median

from benchmarks.harness import Ratio, Report
from surefoot.guards.privacy import KINDS, Finder, Holdback, Pseudonyms

ROUNDS = 15
# Microseconds of CPU for each KiB, on text without and with something in it.
CLEAN, FOUND = 40.0, 150.0
_KEYS = ("sk-proj-Zx81kPq7mN4vB2cT9yLw3Rf6HgJ5", "ghp_0123456789abcdefghijABCDEFGHIJ012345")
_PEOPLE = ("ana.koch@post.example", "+49 171 2345678", "4111 1111 1111 1111", "DE89370400440532013000")


def run() -> Report:
    """CPU of one process, on pages of this project's documentation cut into texts of 1 KiB."""
    find = Finder(personal=KINDS, pseudonym=Pseudonyms(lambda: b"k" * 32))
    secrets = Finder()
    texts = _texts()
    clean = [text for text in texts if not find.found(text)]
    planted = _planted(clean)
    rows = {
        "secrets, clean": _cost(secrets, clean),
        "secrets and personal data, clean": _cost(find, clean),
        "secrets and personal data, two of them in each": _cost(find, planted),
        "a stream in pieces of 12 characters": _cost(lambda text: _streamed(find, text), clean[:60]),
    }
    return Report(
        name="privacy",
        title=f"CPU for each KiB of text, median of {ROUNDS} rounds over {len(clean)} texts.",
        columns=["work", "µs per KiB"],
        rows=[[name, f"{cost:.1f}"] for name, cost in rows.items()],
        notes=[
            f"- google-re2 {version('google-re2')}; the budget is {CLEAN:.0f} µs clean, {FOUND:.0f} µs with finds."
        ],
        ratios=[
            Ratio("budget:clean", rows["secrets and personal data, clean"] / CLEAN, 1.0),
            Ratio("budget:found", rows["secrets and personal data, two of them in each"] / FOUND, 1.0),
        ],
    )


def _texts() -> list[str]:
    pages = sorted((Path(__file__).parents[1] / "docs" / "guide").glob("*.md"))
    whole = "".join(page.read_text(encoding="utf-8") for page in pages)
    return [whole[start : start + 1024] for start in range(0, len(whole) - 1024, 1024)]


def _planted(texts: Sequence[str]) -> list[str]:
    """The texts with a key and something personal in each, somewhere between words."""
    chance = Random(7)
    found: list[str] = []
    for text in texts:
        words = text.split(" ")
        for put in (chance.choice(_KEYS), chance.choice(_PEOPLE)):
            words.insert(chance.randrange(len(words)), put)
        found.append(" ".join(words))
    return found


def _streamed(find: Finder, text: str) -> str:
    hold = Holdback(find)
    return "".join(hold.feed(text[start : start + 12]) for start in range(0, len(text), 12)) + hold.end()


def _cost(work: Callable[[str], object], texts: Sequence[str]) -> float:
    """Microseconds of CPU for each KiB."""
    size = sum(len(text.encode()) for text in texts) / 1024
    for text in texts[:20]:
        work(text)
    rounds: list[float] = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        for text in texts:
            work(text)
        rounds.append((time.process_time() - begun) * 1e6 / size)
    return median(rounds)
