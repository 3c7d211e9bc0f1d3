"""Scorers by name, as the command line and files name them: `token_f1`, `recall_at:5`, `regex:^\\d+$`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any

from surefoot.errors import InvalidInput
from surefoot.evals.plain import (
    contexts,
    distances,
    figures,
    grounding,
    labels,
    lengths,
    matching,
    meaning,
    numerals,
    patterns,
    refusing,
    retrieving,
    structured,
    summarizing,
    translating,
)
from surefoot.evals.scoring.subjects import OnExperiment

Plain = Callable[..., object] | OnExperiment
"""A scorer as it is named here: a function, or one of the whole experiment."""

Reading = Callable[[str], object]
"""What a text of an argument stands for. Raises `ValueError` that says what to write."""

_NAMED = re.compile(r"(?P<metric>[^\W\d][\w.-]*)=(?P<rest>[A-Za-z]\w*(?::.*)?)", re.DOTALL)


def scorer_of(text: str, *, further: Sequence[str] = ()) -> Plain:
    """The scorer that a text names: `NAME`, `NAME:ARGUMENTS`, or `METRIC=NAME:ARGUMENTS` for a metric of that name.

    Arguments stand between commas, `key=value` where they are not the first; those of scorers that look for a text are
    all that follows the colon. The metric is called as the scorer is written.

    further: names that are known elsewhere, for the error.

    Raises `InvalidInput` for a name that is not known, with the nearest one, and for arguments that do not fit.
    """
    given = _NAMED.fullmatch(text)
    metric, written = (given["metric"], given["rest"]) if given else ("", text)
    name, colon, arguments = written.partition(":")
    entry = _ENTRIES.get(name)
    if entry is None:
        raise InvalidInput(f"no scorer is called {name!r}: {_nearest(name, further)}")
    if entry.rest is None:
        arguments = ",".join(part.strip() for part in arguments.split(","))
    made = entry.made(name, arguments if colon else None)
    called = metric or (f"{name}:{arguments}" if colon else "")
    if isinstance(made, OnExperiment):
        return OnExperiment(made.scorer, called or made.name)
    return _renamed(made, called) if called else made


def is_known(text: str) -> bool:
    """Whether the text begins with the name of a scorer, whatever its arguments."""
    given = _NAMED.fullmatch(text)
    return (given["rest"] if given else text).partition(":")[0] in _ENTRIES


def names() -> list[str]:
    """The names of all scorers, with their arguments as they are written."""
    return [f"{name}{entry.usage}" for name, entry in _ENTRIES.items()]


def unaided() -> dict[str, Plain]:
    """The scorers that need nothing but their name."""
    return {name: scorer_of(name) for name, entry in _ENTRIES.items() if not entry.required}


@dataclass(frozen=True, slots=True)
class _Entry:
    """How a scorer is made of its arguments.

    takes: the arguments by name, in order, and how each is read. `required`: so many of the first have to be there.
    rest: how all that follows the colon is read, where it is one argument.
    several: the argument whose values are all that stand without a name. lists: those that may be given repeatedly.
    """

    make: Callable[..., Plain]
    takes: Mapping[str, Reading] = field(default_factory=dict[str, Reading])
    required: int = 0
    rest: Reading | None = None
    several: bool = False
    lists: tuple[str, ...] = ()
    usage: str = ""

    def made(self, name: str, arguments: str | None) -> Plain:
        """Raises `InvalidInput` for arguments that do not fit."""
        if arguments is None or arguments == "":
            if self.required or arguments == "":
                raise self._wrong(
                    name, "there is nothing after its name" if self.required else "nothing follows the colon"
                )
            return self.make()
        try:
            if self.rest is not None:
                return self.make(self.rest(arguments))
            positional, named = self._read(arguments)
            return self.make(*positional, **named)
        except ValueError as error:
            raise self._wrong(name, str(error)) from None
        except InvalidInput as error:
            raise InvalidInput(f"scorer {name}:{arguments}: {error}") from None

    def _read(self, arguments: str) -> tuple[list[object], dict[str, object]]:
        positional: list[object] = []
        named: dict[str, Any] = {}
        order = list(self.takes)
        for part in arguments.split(","):
            key, equals, value = part.partition("=")
            if equals and key in self.takes:
                read = self.takes[key](value)
                if key in self.lists:
                    named.setdefault(key, []).append(read)
                elif key in named:
                    raise ValueError(f"{key} stands twice")
                else:
                    named[key] = read
            elif self.several:
                positional.append(part)
            elif equals:
                near = difflib.get_close_matches(key, order, n=1)
                hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(order) or 'nothing'}"
                raise ValueError(f"{key} is no argument of it; {hint}")
            elif named or not order:
                raise ValueError(f"{part!r} is one argument too many")
            else:
                named[order[0]] = self.takes[order[0]](part)
        if self.several and len(positional) < self.required:
            raise ValueError("it takes more")
        missing = [] if self.several else [key for key in order[: self.required] if key not in named]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
        return positional, named

    def _wrong(self, name: str, problem: str) -> InvalidInput:
        return InvalidInput(f"scorer {name}: {problem}; write it as in {name}{self.usage}")


def _renamed(scorer: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The scorer under another name. What is asked for by the name alone is shared, and keeps its own."""
    if scorer.__name__ == name:
        return scorer

    @wraps(scorer)
    def renamed(*args: object, **kwargs: object) -> object:
        return scorer(*args, **kwargs)

    renamed.__name__ = name
    return renamed


def _nearest(name: str, further: Sequence[str]) -> str:
    every = [*_ENTRIES, *further]
    near = difflib.get_close_matches(name.lower(), every, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(every)}"


# How arguments are read


def _text(text: str) -> str:
    if not text:
        raise ValueError("an argument is empty")
    return text


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None


def _choice(*allowed: str) -> Reading:
    def read(text: str) -> str:
        if text in allowed:
            return text
        near = difflib.get_close_matches(text, allowed, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(allowed)}"
        raise ValueError(f"{text!r} is none of its values: {hint}")

    return read


def _mark(text: str) -> str:
    # A comma parts arguments, so that signs are written in words.
    return {"point": ".", "comma": ",", "auto": "auto"}[_choice("auto", "point", "comma")(text)]  # type: ignore[index]


_WAY: Mapping[str, Reading] = {"way": _choice("squad", "unicode")}
_COMPAT: Mapping[str, Reading] = {"compat": _choice("ragas")}
_PLACE: Mapping[str, Reading] = {"place": _choice("whole", "within")}
_PART: Mapping[str, Reading] = {"part": _choice("fmeasure", "precision", "recall"), **_COMPAT}
_RETRIEVED: Mapping[str, Reading] = {"k": _count, "relevant": _text, "by": _choice("id", "text")}
_LIKE: Mapping[str, Reading] = {"threshold": _number, "reference": _text, **_COMPAT}


def _as_it_is(scorer: Callable[..., object]) -> _Entry:
    return _Entry(lambda: scorer)


def _compared(comparison: matching.Comparison) -> _Entry:
    def make(way: Any = "squad") -> Plain:
        return comparison if way == "squad" else matching.in_any_language(comparison)

    return _Entry(make, _WAY, usage="[:unicode]")


def _of_labels(make: Callable[..., Plain]) -> _Entry:
    return _Entry(make, _PLACE, required=2, several=True, usage=":yes,no,maybe")


def _ranked(make: Callable[..., Plain], usage: str, *, required: int = 0, **more: Reading) -> _Entry:
    return _Entry(make, {**_RETRIEVED, **more}, required=required, usage=usage)


def _without_k(make: Callable[..., Plain]) -> _Entry:
    return _Entry(
        make, {name: read for name, read in _RETRIEVED.items() if name != "k"}, usage="[:relevant=COLUMN]"
    )


def _limit(end: str, unit: Any) -> _Entry:
    def make(limit: Any) -> Plain:
        return lengths.length(
            least=limit if end == "least" else None, most=limit if end == "most" else None, unit=unit
        )

    return _Entry(make, rest=_count, required=1, usage=":200" if unit == "chars" else ":50")


def _f1(average: Any) -> _Entry:
    def make(*names: str) -> Plain:
        return labels.f1_of(f"confusion:{','.join(names)}", average=average)

    return _Entry(make, required=2, several=True, usage=":yes,no,maybe")


_ENTRIES: Mapping[str, _Entry] = {
    "exact_match": _as_it_is(matching.exact_match),
    "normalised_match": _compared(matching.normalised_match),
    "token_f1": _compared(matching.token_f1),
    "contains_expected": _compared(matching.contains_expected),
    "contains": _Entry(matching.contains, rest=_text, required=1, usage=":TEXT"),
    "not_contains": _Entry(matching.not_contains, rest=_text, required=1, usage=":TEXT"),
    "regex": _Entry(patterns.regex, rest=_text, required=1, usage=":^\\d+$"),
    "not_regex": _Entry(patterns.not_regex, rest=_text, required=1, usage=":(?i)as an ai"),
    "min_chars": _limit("least", "chars"),
    "max_chars": _limit("most", "chars"),
    "min_words": _limit("least", "words"),
    "max_words": _limit("most", "words"),
    "numeric": _Entry(
        numerals.numeric,
        {
            "relative": _number,
            "absolute": _number,
            "which": _choice("only", "first", "last", "any"),
            "mark": _mark,
        },
        usage="[:relative=0.01,which=last]",
    ),
    "is_json": _as_it_is(structured.is_json),
    "json_schema": _Entry(structured.json_schema, rest=_text, required=1, usage=":schema.json"),
    "json_equal": _Entry(
        structured.json_equal,
        {"ignore": _text, "lists": _choice("ordered", "any"), "tolerance": _number},
        lists=("ignore",),
        usage="[:ignore=$.id,ignore=$.items[*].at,lists=any]",
    ),
    "one_of": _of_labels(labels.one_of),
    "predicted": _of_labels(labels.predicted),
    "label_match": _of_labels(labels.label_match),
    "confusion": _of_labels(labels.confusion),
    "macro_f1": _f1("macro"),
    "weighted_f1": _f1("weighted"),
    **{
        name: _Entry(partial(distances.string_similarity, name))
        for name in ("levenshtein", "osa", "indel", "hamming", "jaro", "jaro_winkler")
    },
    **{
        name: _Entry(partial(summarizing.rouge, name), _PART, usage="[:recall]")
        for name in ("rouge1", "rouge2", "rougeL")
    },
    "bleu": _Entry(
        translating.bleu,
        {"tokenize": _choice("13a", "intl", "char", "zh", "none"), **_COMPAT},
        usage="[:tokenize=char]",
    ),
    "chrf": _Entry(translating.chrf, _COMPAT, usage="[:compat=ragas]"),
    "corpus_bleu": _Entry(translating.corpus_bleu),
    "corpus_chrf": _Entry(translating.corpus_chrf),
    "embedding_similarity": _as_it_is(meaning.embedding_similarity),
    "recall_at": _ranked(retrieving.recall_at, ":5", required=1),
    "precision_at": _ranked(retrieving.precision_at, ":5", required=1),
    "hit_at": _ranked(retrieving.hit_at, ":5", required=1),
    "ndcg_at": _ranked(retrieving.ndcg_at, ":5", required=1, gain=_choice("linear", "exponential")),
    "mrr": _ranked(retrieving.mrr, "[:10]"),
    "average_precision": _without_k(retrieving.average_precision),
    "id_recall": _without_k(retrieving.recall_at),
    "id_precision": _without_k(retrieving.precision_at),
    "text_recall": _Entry(contexts.text_recall, _LIKE, usage="[:threshold=0.8]"),
    "text_precision": _Entry(contexts.text_precision, _LIKE, usage="[:threshold=0.8]"),
    "support": _Entry(meaning.support),
    "quoted_spans": _Entry(
        grounding.quoted_spans, {"least_words": _count, **_COMPAT}, usage="[:least_words=3]"
    ),
    "citation_correctness": _Entry(partial(grounding.citation_correctness, refusing.is_refusal)),
    "no_refusal": _as_it_is(refusing.no_refusal),
    "right_refusal": _Entry(
        partial(refusing.right_refusal, refusing.is_refusal),
        {"unanswerable": _text},
        usage="[:unanswerable=COLUMN]",
    ),
    "latency": _as_it_is(figures.latency),
    "cost": _as_it_is(figures.cost),
    "tokens": _Entry(
        figures.tokens, {"which": _choice("all", "input", "output", "cached", "reasoning")}, usage="[:output]"
    ),
    "calls": _as_it_is(figures.calls),
    "steps": _as_it_is(figures.steps),
}
