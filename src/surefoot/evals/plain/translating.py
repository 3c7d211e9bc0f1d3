"""BLEU and chrF: shared n-grams of words and of characters, of one case and of a whole experiment.

BLEU is Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", ACL 2002, counted as
sacrebleu does (Post, "A Call for Clarity in Reporting BLEU Scores", WMT 2018; extra `eval`). chrF is Popovic, "chrF:
character n-gram F-score for automatic MT evaluation", WMT 2015: n-grams of 1 to 6 characters without spaces, beta 2.
Both are 0 to 1 here, where sacrebleu says 0 to 100.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from surefoot.errors import InvalidInput
from surefoot.evals.experiments.results import Row
from surefoot.evals.plain import extras
from surefoot.evals.plain.compat import parity
from surefoot.evals.plain.matching import text_of, texts
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score
from surefoot.evals.scoring.subjects import OnExperiment

Tokenize = Literal["13a", "intl", "char", "zh", "none"]
Compat = Literal["ragas"] | None

_ORDER = 4
_CHARACTERS = 6
_BETA_SQUARED = 4
_COUNTS = re.compile(r"(\d+)/(\d+)(?:/(\d+))?")
_WORDS_OF = re.compile(r"(\d+) words, (\d+) expected")


def bleu(*, tokenize: Tokenize = "13a", compat: Compat = None) -> Callable[[str, str | Sequence[str]], Score]:
    """A scorer: BLEU of one response against what is expected, all of it as one segment, 0 to 1.

    Orders that a short text cannot have are left out (`effective_order`), zero counts are smoothed exponentially.
    Several expected answers are several references. The reason holds the counts, of which `corpus_bleu` is made.

    tokenize: as sacrebleu names it: `13a` for most languages, `zh` for Chinese, `char` for characters, `intl`.
    compat: `ragas` gives that library's number, which compares the first sentence alone.

    Raises `InvalidInput` for a tokenizer that there is not. The scorer raises `MissingExtra` without sacrebleu.
    """
    if tokenize not in ("13a", "intl", "char", "zh", "none"):
        raise InvalidInput(f"BLEU has no tokenizer {tokenize!r}: name 13a, intl, char, zh or none")

    def bleu(response: str, expected: str | Sequence[str]) -> Score:
        said, wanted = text_of(response, "the response"), texts(expected)
        if compat is not None:
            return _of_ragas("bleu", said, wanted)
        score = extras.sacrebleu("the scorer bleu").BLEU(effective_order=True, tokenize=tokenize)
        found = score.sentence_score(said, wanted)
        counts = " ".join(f"{hits}/{total}" for hits, total in zip(found.counts, found.totals, strict=True))
        reason = f"n-grams {counts}; {found.sys_len} words, {found.ref_len} expected"
        return Score(min(found.score / 100, 1.0), reason)

    return scaled(bleu, name="bleu")


def chrf(*, compat: Compat = None) -> Callable[[str, str | Sequence[str]], Score]:
    """A scorer: chrF of one response against what is expected, 0 to 1. The nearest of several expected ones counts.

    The reason holds the counts, of which `corpus_chrf` is made. `compat="ragas"` gives the same numbers.
    """

    def chrf(response: str, expected: str | Sequence[str]) -> Score:
        said, wanted = text_of(response, "the response"), texts(expected)
        if compat is not None:
            return _of_ragas("chrf", said, wanted)
        grams = _grams(said)
        best = max((_shared(grams, _grams(text)) for text in wanted), key=chrf_of)
        counts = " ".join(f"{each.shared}/{each.said}/{each.expected}" for each in best)
        return Score(chrf_of(best), f"n-grams of characters, shared/said/expected: {counts}")

    return scaled(chrf, name="chrf")


def corpus_bleu(metric: str = "bleu", *, skips_failed: bool = False) -> OnExperiment:
    """A scorer of the experiment: BLEU over all cases, 0 to 1, from the rows of a `bleu` of this name.

    It is no mean of the cases' scores: counts are summed first, and there is no smoothing in what is not zero.
    skips_failed: whether cases without a score are left out; by default they are an error.
    """

    def corpus_bleu(rows: Sequence[Row]) -> Score | None:
        reasons = _reasons(rows, metric, skips_failed=skips_failed)
        if not reasons:
            return None
        hits, totals = [0] * _ORDER, [0] * _ORDER
        said = expected = 0
        for reason in reasons:
            lengths, counts = _WORDS_OF.search(reason), _COUNTS.findall(reason)
            if lengths is None or len(counts) != _ORDER:
                raise _unread(metric, reason)
            said, expected = said + int(lengths[1]), expected + int(lengths[2])
            for order, (shared, total, _) in enumerate(counts):
                hits[order] += int(shared)
                totals[order] += int(total)
        compute = extras.sacrebleu("the scorer corpus_bleu").BLEU.compute_bleu
        found = compute(hits, totals, said, expected, smooth_method="exp")
        return Score(
            min(found.score / 100, 1.0), f"over {len(reasons)} cases; brevity penalty {found.bp:.3f}"
        )

    return OnExperiment(
        scaled(corpus_bleu), name=f"corpus_bleu:{metric}" if metric != "bleu" else "corpus_bleu"
    )


def corpus_chrf(metric: str = "chrf", *, skips_failed: bool = False) -> OnExperiment:
    """A scorer of the experiment: chrF over all cases, 0 to 1, from the rows of a `chrf` of this name.

    skips_failed: whether cases without a score are left out; by default they are an error.
    """

    def corpus_chrf(rows: Sequence[Row]) -> Score | None:
        reasons = _reasons(rows, metric, skips_failed=skips_failed)
        if not reasons:
            return None
        total = [Shared(0, 0, 0)] * _CHARACTERS
        for reason in reasons:
            counts = [Shared(*map(int, each)) for each in _COUNTS.findall(reason) if each[2]]
            if len(counts) != _CHARACTERS:
                raise _unread(metric, reason)
            total = [one + other for one, other in zip(total, counts, strict=True)]
        return Score(chrf_of(total), f"over {len(reasons)} cases")

    return OnExperiment(
        scaled(corpus_chrf), name=f"corpus_chrf:{metric}" if metric != "chrf" else "corpus_chrf"
    )


@dataclass(frozen=True, slots=True)
class Shared:
    """How many n-grams of one length two texts share, and how many each has."""

    shared: int
    said: int
    expected: int

    def __add__(self, other: Shared) -> Shared:
        return Shared(self.shared + other.shared, self.said + other.said, self.expected + other.expected)


def chrf_of(counts: Sequence[Shared]) -> float:
    """F of the mean precision and the mean recall over the lengths that both texts have; 0 where there is none."""
    both = [each for each in counts if each.said and each.expected]
    if not both:
        return 0.0
    precision = sum(each.shared / each.said for each in both) / len(both)
    recall = sum(each.shared / each.expected for each in both) / len(both)
    if not precision + recall:
        return 0.0
    return (1 + _BETA_SQUARED) * precision * recall / (_BETA_SQUARED * precision + recall)


def _grams(text: str) -> list[Counter[str]]:
    plain = "".join(text.split())
    return [
        Counter(plain[at : at + size] for at in range(len(plain) - size + 1))
        for size in range(1, _CHARACTERS + 1)
    ]


def _shared(said: Sequence[Counter[str]], wanted: Sequence[Counter[str]]) -> list[Shared]:
    return [
        # What has nothing to be compared with is not counted, as nothing could have been right in it.
        Shared(
            sum(min(count, other[gram]) for gram, count in one.items()),
            one.total() if other else 0,
            other.total(),
        )
        for one, other in zip(said, wanted, strict=True)
    ]


def _reasons(rows: Sequence[Row], metric: str, *, skips_failed: bool) -> list[str]:
    """The counts of all rows, as they stand in the reasons. Raises `InvalidInput` where some are not there."""
    failed = sum(metric in row.failures for row in rows)
    reasons = [row.scores[metric].reason for row in rows if metric in row.scores]
    if not reasons and not failed:
        raise InvalidInput(f"no case has the metric {metric!r}: add that scorer, --scorer {metric}")
    if failed and not skips_failed:
        raise InvalidInput(
            f"{failed} of {failed + len(reasons)} cases have no score in {metric!r}: go on with them "
            "(--experiment last --retry-failed), or leave them out by skips_failed=True"
        )
    return reasons


def _unread(metric: str, reason: str) -> InvalidInput:
    return InvalidInput(
        f"the metric {metric!r} has no counts in {reason[:80]!r}: name one that bleu or chrf made"
    )


def _of_ragas(metric: str, said: str, wanted: Sequence[str]) -> Score:
    if len(wanted) > 1:
        raise InvalidInput(f"expected are {len(wanted)} texts: ragas compares with one")
    return Score(parity(metric, "collections", {"reference": wanted[0], "response": said}, {}) or 0.0)
