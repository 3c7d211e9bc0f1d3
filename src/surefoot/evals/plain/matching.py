"""Scorers that compare texts: exact, normalised, by shared words, by a part.

Normalisation and token F1 are those of SQuAD (Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension
of Text", EMNLP 2016, and version 2.0, ACL 2018), or by `way="unicode"` those of any language. Where several answers are
expected the best one counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast

from surefoot.errors import InvalidInput
from surefoot.evals.plain.normalising import Way, normalised, words
from surefoot.evals.scales import scaled
from surefoot.evals.scores import Score

_SHOWN = 80

Comparison = Callable[[str, str | Sequence[str]], Score]


def exact_match(answer: str, expected: str | Sequence[str]) -> Score:
    """Whether the answer is what is expected, character by character."""
    said = text_of(answer, "the answer")
    return _verdict(any(said == text for text in texts(expected)), said, expected)


def normalised_match(answer: str, expected: str | Sequence[str]) -> Score:
    """Whether the answer is what is expected, after `normalised`: SQuAD's exact match."""
    return _normalised_match(answer, expected, "squad")


def token_f1(answer: str, expected: str | Sequence[str]) -> Score:
    """`f1` of the answer and what is expected, 0 to 1: SQuAD's F1."""
    return _token_f1(answer, expected, "squad")


def contains_expected(response: str, expected: str | Sequence[str]) -> Score:
    """Whether the normalised words of what is expected stand in the response, in this order and side by side."""
    return _contains_expected(response, expected, "squad")


for _comparison in (exact_match, normalised_match, token_f1, contains_expected):
    scaled(_comparison)


def contains(*parts: str, folds_case: bool = False) -> Callable[[str], Score]:
    """A scorer: whether every one of these texts stands in the response. Raises `InvalidInput` without any."""
    wanted = _parts(parts)

    def contains(response: str) -> Score:
        said = _folded(text_of(response, "the response"), folds_case)
        missing = [part for part in wanted if _folded(part, folds_case) not in said]
        if not missing:
            return Score(value=True)
        return Score(value=False, reason=f"{_listed(missing)} does not stand in {shown(response)}")

    return scaled(contains, name=f"contains:{','.join(wanted)}")


def not_contains(*parts: str, folds_case: bool = False) -> Callable[[str], Score]:
    """A scorer: whether none of these texts stands in the response. Raises `InvalidInput` without any."""
    unwanted = _parts(parts)

    def not_contains(response: str) -> Score:
        said = _folded(text_of(response, "the response"), folds_case)
        for part in unwanted:
            at = said.find(_folded(part, folds_case))
            if at >= 0:
                around = said[max(0, at - _SHOWN // 2) : at + _SHOWN // 2]
                return Score(value=False, reason=f"{shown(part)} stands in it, at {shown(around)}")
        return Score(value=True)

    return scaled(not_contains, name=f"not_contains:{','.join(unwanted)}")


def in_any_language(comparison: Comparison) -> Comparison:
    """`normalised_match`, `token_f1` or `contains_expected` by a normalisation for any language, as a scorer: Unicode's
    forms, case and the punctuation of all scripts are folded, articles are not.

    Raises `InvalidInput` for any other scorer.
    """
    name = getattr(comparison, "__name__", "")
    if name == "contains_expected":

        def of_response(response: str, expected: str | Sequence[str]) -> Score:
            return _contains_expected(response, expected, "unicode")

        return scaled(of_response, name=f"{name}:unicode")
    if name not in ("normalised_match", "token_f1"):
        raise InvalidInput(f"{name or comparison!r} does not normalise: name a scorer that compares words")
    compare = _token_f1 if name == "token_f1" else _normalised_match

    def of_answer(answer: str, expected: str | Sequence[str]) -> Score:
        return compare(answer, expected, "unicode")

    return scaled(of_answer, name=f"{name}:unicode")


def f1(answer: str, expected: str, way: Way = "squad") -> float:
    """Token F1, 0 to 1: the harmonic mean of precision and recall of the normalised words, counted as a multiset.

    Where one of the two has no words it is 1 if the other has none either, else 0.
    """
    said, wanted = words(answer, way), words(expected, way)
    if not said or not wanted:
        return float(said == wanted)
    shared = (Counter(said) & Counter(wanted)).total()
    return 2 * shared / (len(said) + len(wanted))


def texts(expected: object) -> list[str]:
    """The expected answers as texts; numbers are written out. Raises `InvalidInput` for what is no answer."""
    is_list = isinstance(expected, list | tuple)
    several = list(cast("Sequence[object]", expected)) if is_list else [expected]
    found = [str(each) for each in several if isinstance(each, str | int | float)]
    if not found or len(found) != len(several):
        raise InvalidInput(
            f"expected is {type(expected).__name__}: this scorer compares with a text or a list of texts: take a "
            "part of it, reads={'expected': '$expected.PATH'}, on the command line --read 'expected=$expected.PATH'"
        )
    return found


def text_of(value: object, what: str) -> str:
    """A text as it is, a number written out. Raises `InvalidInput` for anything else, with what to do.

    what: how the error names it, as in `the answer`.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value)
    name = what.removeprefix("the ")
    raise InvalidInput(
        f"{what} is {type(value).__name__} and no text: say where the text stands, "
        f"reads={{{name!r}: 'path.in.output'}}, on the command line --read {name}=PATH"
    )


def shown(text: object) -> str:
    """A text as reasons quote it, on one line and not too long."""
    whole = str(text)
    return repr(whole) if len(whole) <= _SHOWN else f"{whole[:_SHOWN]!r}..."


def _normalised_match(answer: str, expected: str | Sequence[str], way: Way) -> Score:
    said = normalised(text_of(answer, "the answer"), way)
    return _verdict(any(said == normalised(text, way) for text in texts(expected)), answer, expected)


def _token_f1(answer: str, expected: str | Sequence[str], way: Way) -> Score:
    said = text_of(answer, "the answer")
    value, best = max(((f1(said, text, way), text) for text in texts(expected)), key=lambda each: each[0])
    return Score(value, f"compared with {shown(best)}")


def _contains_expected(response: str, expected: str | Sequence[str], way: Way) -> Score:
    said = f" {' '.join(words(text_of(response, 'the response'), way))} "
    wanted = [" ".join(words(text, way)) for text in texts(expected)]
    if any(f" {text} " in said for text in wanted if text):
        return Score(value=True)
    return Score(value=False, reason=f"{_any_of(expected)} does not stand in {shown(response)}")


def _verdict(is_same: bool, answer: object, expected: object) -> Score:  # noqa: FBT001
    if is_same:
        return Score(value=True)
    return Score(value=False, reason=f"{shown(answer)} is not {_any_of(expected)}")


def _any_of(expected: object) -> str:
    several = texts(expected)
    return shown(several[0]) if len(several) == 1 else f"one of {_listed(several)}"


def _listed(several: Sequence[str], most: int = 3) -> str:
    more = f" and {len(several) - most} more" if len(several) > most else ""
    return ", ".join(shown(text) for text in several[:most]) + more


def _parts(parts: Sequence[str]) -> tuple[str, ...]:
    if not parts or not all(text_of(part, "the part") for part in parts):
        raise InvalidInput("there is no text to look for: contains('one text', 'and another')")
    return tuple(parts)


def _folded(text: str, folds_case: bool) -> str:  # noqa: FBT001
    return text.casefold() if folds_case else text
