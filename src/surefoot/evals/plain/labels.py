"""Scorers of labels: which of some words an answer names, and how a classification went over all cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from surefoot.errors import InvalidInput
from surefoot.evals.experiments.results import Row
from surefoot.evals.plain.matching import shown, text_of
from surefoot.evals.plain.normalising import normalised, words
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score
from surefoot.evals.scoring.subjects import OnExperiment

Place = Literal["whole", "within"]
Average = Literal["macro", "weighted", "micro"]

_ARROW = " -> "
_OTHER = "(none)"


def one_of(*labels: str, place: Place = "whole") -> Callable[[str], Score]:
    """A scorer: whether the answer is one of these labels, whatever is expected. See `predicted` for `place`."""
    known = _Labels.of(labels, place)

    def one_of(answer: str) -> Score:
        said = text_of(answer, "the answer")
        found = known.named(said)
        return Score(value=True, reason=found) if found else Score(value=False, reason=known.why_not(said))

    return scaled(one_of, name=f"one_of:{','.join(known.labels)}")


def predicted(*labels: str, place: Place = "whole") -> Callable[[str], Score]:
    """A scorer: which label the answer names, counted over the cases; `(none)` where it names none.

    place: whether the answer has to be the label and nothing else (`whole`), or names it `within` other words, and no
        other label. Case, punctuation and spaces do not count.
    """
    known = _Labels.of(labels, place)

    def predicted(answer: str) -> Score:
        said = text_of(answer, "the answer")
        found = known.named(said)
        return Score(found) if found else Score(_OTHER, known.why_not(said))

    return scaled(predicted, name=f"predicted:{','.join(known.labels)}", within=None)


def label_match(*labels: str, place: Place = "whole") -> Callable[[str, object], Score]:
    """A scorer: whether the answer names the expected label; its mean is the accuracy. See `predicted` for `place`.

    The scorer raises `InvalidInput` where what is expected is none of the labels.
    """
    known = _Labels.of(labels, place)

    def label_match(answer: str, expected: object) -> Score:
        said, wanted = text_of(answer, "the answer"), known.expected(expected)
        found = known.named(said)
        if found == wanted:
            return Score(value=True)
        return Score(value=False, reason=f"{wanted!r} is expected: {found or known.why_not(said)}")

    return scaled(label_match, name=f"label_match:{','.join(known.labels)}")


def confusion(*labels: str, place: Place = "whole") -> Callable[[str, object], Score]:
    """A scorer: the expected label and the one that the answer names, as one label `spam -> ham`.

    Counted over the cases that is the confusion matrix. `f1_of` makes macro F1 of it. See `predicted` for `place`.
    """
    known = _Labels.of(labels, place)

    def confusion(answer: str, expected: object) -> Score:
        said, wanted = text_of(answer, "the answer"), known.expected(expected)
        found = known.named(said)
        return Score(f"{wanted}{_ARROW}{found or _OTHER}", "" if found else known.why_not(said))

    return scaled(confusion, name=f"confusion:{','.join(known.labels)}", within=None)


def f1_of(metric: str, *, average: Average = "macro", skips_failed: bool = False) -> OnExperiment:
    """A scorer of the experiment: F1 of a classification, 0 to 1, from the rows of a `confusion` of this name.

    average: `macro` is the mean over the labels, each counted alike (Sokolova and Lapalme, "A systematic analysis of
        performance measures for classification tasks", Information Processing & Management 45, 2009), over those that
        are expected of a case or named by an answer. `weighted` counts them by their cases; `micro` is the accuracy.
    skips_failed: whether cases without a score are left out. By default they are an error: it is not known which
        label they would have had.

    Raises `InvalidInput` for an average that there is not. The scorer does where the metric is not in the rows.
    """
    if average not in ("macro", "weighted", "micro"):
        raise InvalidInput(f"F1 is averaged macro, weighted or micro, and not {average!r}")

    def f1(rows: Sequence[Row]) -> Score | None:
        failed = sum(metric in row.failures for row in rows)
        values = [row.scores[metric].value for row in rows if metric in row.scores]
        if not values and not failed:
            raise InvalidInput(f"no case has the metric {metric!r}: add that scorer, --scorer {metric!r}")
        if failed and not skips_failed:
            raise InvalidInput(
                f"{failed} of {failed + len(values)} cases have no score in {metric!r}: go on with them "
                "(--experiment last --retry-failed), or leave them out by skips_failed=True"
            )
        if not values:
            return None
        counts = Counter(_pair(value, metric) for value in values)
        return _averaged(counts, average)

    return OnExperiment(scaled(f1, name=f"{average}_f1:{metric}"), name=f"{average}_f1:{metric}")


def f1_by_label(counts: Mapping[tuple[str, str], int]) -> dict[str, float]:
    """F1 of each label, from counts of (expected, said): 2 TP / (2 TP + FP + FN)."""
    expected, said = Counter[str](), Counter[str]()
    for (wanted, found), count in counts.items():
        expected[wanted] += count
        said[found] += count
    labels = sorted((expected.keys() | said.keys()) - {_OTHER})
    return {
        label: 2 * counts.get((label, label), 0) / total
        for label in labels
        if (total := expected[label] + said[label])
    }


def _averaged(counts: Mapping[tuple[str, str], int], average: Average) -> Score:
    by_label = f1_by_label(counts)
    worst = sorted(by_label.items(), key=lambda each: each[1])[:3]
    reason = "lowest: " + ", ".join(f"{label} {value:.3f}" for label, value in worst)
    n = sum(counts.values())
    if average == "micro":
        return Score(sum(count for (wanted, found), count in counts.items() if wanted == found) / n, reason)
    if average == "macro":
        return Score(sum(by_label.values()) / len(by_label), reason)
    cases = Counter[str]()
    for (wanted, _), count in counts.items():
        cases[wanted] += count
    return Score(sum(by_label[label] * count for label, count in cases.items()) / n, reason)


def _pair(value: object, metric: str) -> tuple[str, str]:
    wanted, arrow, found = str(value).partition(_ARROW)
    if not arrow:
        raise InvalidInput(f"the metric {metric!r} holds {shown(value)}: name one that `confusion` made")
    return wanted, found


@dataclass(frozen=True, slots=True)
class _Labels:
    """The labels, and the normalised words by which they are known."""

    labels: tuple[str, ...]
    by_words: Mapping[str, str]
    place: Place

    @classmethod
    def of(cls, labels: Sequence[str], place: Place) -> _Labels:
        if place not in ("whole", "within"):
            raise InvalidInput(f"a label is the whole answer or stands within it, and not {place!r}")
        by_words: dict[str, str] = {}
        for label in labels:
            key = _key(text_of(label, "the label"))
            if not key or _ARROW in label or label == _OTHER:
                raise InvalidInput(f"{label!r} cannot be a label: write a word or some")
            if key in by_words:
                raise InvalidInput(f"the labels {by_words[key]!r} and {label!r} do not differ in what counts")
            by_words[key] = label
        if len(by_words) < 2:
            raise InvalidInput("name two labels or more, as in one_of('spam', 'ham')")
        return cls(tuple(labels), by_words, place)

    def named(self, answer: str) -> str:
        """The label that the answer names; empty where it is none or more than one."""
        said = _key(answer)
        if said in self.by_words or self.place == "whole":
            return self.by_words.get(said, "")
        found = self._within(said)
        return found[0] if len(found) == 1 else ""

    def expected(self, expected: object) -> str:
        wanted = self.by_words.get(_key(text_of(expected, "what is expected")), "")
        if not wanted:
            raise InvalidInput(f"expected is {shown(expected)}, which is none of {', '.join(self.labels)}")
        return wanted

    def why_not(self, answer: str) -> str:
        several = self._within(_key(answer))
        if self.place == "within" and len(several) > 1:
            return f"{shown(answer)} names {' and '.join(several)}"
        return f"{shown(answer)} is none of {', '.join(self.labels)}"

    def _within(self, said: str) -> list[str]:
        """The labels that stand in it, but for those that stand only within a longer label ("not spam")."""
        rest, found = f" {said} ", list[str]()
        for key in sorted(self.by_words, key=len, reverse=True):
            if f" {key} " in rest:
                found.append(self.by_words[key])
                rest = rest.replace(f" {key} ", " \x00 ")
        return found


def _key(text: str) -> str:
    # A label with nothing but symbols is known by them.
    return " ".join(words(text, "unicode")) or normalised(text, "squad") or text.strip()
