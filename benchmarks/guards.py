"""What guards cost per KB: rules, decoding, the classifier and hidden characters, on clean text and on findings."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.harness import ROUNDS_FACTOR, Contender, Ratio, Report, Sample, interleaved
from surefoot.guards.detecting import Detector
from surefoot.guards.detecting.classifier import Classifier
from surefoot.guards.detecting.decoding import readings_of
from surefoot.guards.detecting.rules import RuleSet
from surefoot.guards.detecting.shipped import shipped_rules
from surefoot.texts.characters import skeleton, visible
from surefoot.texts.hidden import hidden_in
from surefoot.texts.text import Text
from training.phrases import own_rows

ROUNDS = 9
US = 1e6
KB = 1024

SEED, MANY = 11, 40
"""Of our own texts: which, and how many of each kind."""


@dataclass(frozen=True, slots=True)
class Part:
    """What is measured, on which texts, and the microseconds of CPU for 1,024 bytes that it may take."""

    name: str
    work: Callable[[str], object]
    texts: list[str]
    budget: float | None = None

    def round(self) -> Sample:
        """The seconds for 1,024 bytes."""
        size = sum(len(text.encode()) for text in self.texts) / KB
        wall, cpu = time.perf_counter(), time.process_time()
        for text in self.texts:
            self.work(text)
        return Sample((time.perf_counter() - wall) / size, (time.process_time() - cpu) / size)


def parts() -> list[Part]:
    """The parts of detection. Other guards add theirs here."""
    rows = list(own_rows(SEED, MANY))
    # Longer texts, as those of users and documents are: the cost of a call is not that of a KB.
    clean = _in_kilobytes([text for text, is_injection, _ in rows if not is_injection])
    found = _in_kilobytes([text for text, is_injection, _ in rows if is_injection])
    foreign = [text for text in clean if not text.isascii()]
    hidden = [text.replace(" ", " \u200b") for text in clean]
    rules, classifier, detector = RuleSet(shipped_rules()), Classifier(), Detector()
    read_clean, read_found = list(map(skeleton, clean)), list(map(skeleton, found))
    return [
        Part("rules, clean", rules.matched, read_clean, 40),
        Part("rules, findings", rules.matched, read_found, 150),
        Part("classifier", classifier.odds, read_clean, 2000),
        Part("decoding, clean", readings_of, clean),
        Part("decoding, findings", readings_of, found),
        Part("hidden characters, ASCII", visible, [text for text in clean if text.isascii()]),
        Part("hidden characters, other scripts", visible, foreign),
        Part("hidden characters, findings", visible, hidden),
        Part("skeleton", skeleton, foreign),
        Part("inputs that hide text, ASCII", hidden_in, [text for text in clean if text.isascii()]),
        Part("inputs that hide text, other scripts", hidden_in, foreign),
        Part("Text with a pattern", Text(max=2 * KB, pattern=r"(?s)[^\x00]*").problem, clean),
        Part("the whole detector, clean", detector.look, clean),
        Part("the whole detector, findings", detector.look, found),
    ]


def _in_kilobytes(texts: list[str]) -> list[str]:
    together = "\n\n".join(texts)
    return [together[begin : begin + KB] for begin in range(0, len(together), KB)]


def run() -> Report:
    """CPU and wall time of each part, in this process."""
    measured = parts()
    medians = interleaved([Contender(part.name, "", part.round) for part in measured], rounds=ROUNDS)
    return Report(
        name="guards",
        title=f"Guards, microseconds for 1,024 bytes of text; median of {ROUNDS * ROUNDS_FACTOR} interleaved rounds.",
        columns=["part", "CPU", "wall"],
        rows=[
            [part.name, f"{medians[part.name].cpu * US:,.1f}", f"{medians[part.name].wall * US:,.1f}"]
            for part in measured
        ],
        notes=[
            "- clean, findings: texts of our own without and with injections, cut to pieces of 1,024 characters.",
            "- the whole detector: all of it, decoding and a skeleton before rules and classifier.",
        ],
        ratios=[
            Ratio(f"budget:{part.name}", medians[part.name].cpu * US / part.budget, 1.0)
            for part in measured
            if part.budget is not None
        ],
    )
