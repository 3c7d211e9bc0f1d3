"""Scorers by name, as the command line and files name them: `token_f1`, `recall_at:5`, `regex:^\\d+$`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from surefoot.evals.scoring.written import Entry, Reading, Written, choice, count, nearest, number, some_text

Plain = Callable[..., object] | OnExperiment
"""A scorer as it is named here: a function, or one of the whole experiment."""


def scorer_of(text: str, *, further: Sequence[str] = ()) -> Plain:
    """The scorer that a text names: `NAME`, `NAME:ARGUMENTS`, or `METRIC=NAME:ARGUMENTS` for a metric of that name.

    Arguments stand between commas, `key=value` where they are not the first; those of scorers that look for a text are
    all that follows the colon. The metric is called as the scorer is written.

    further: names that are known elsewhere, for the error.

    Raises `InvalidInput` for a name that is not known, with the nearest one, and for arguments that do not fit.
    """
    written = Written.of(text)
    entry = _ENTRIES.get(written.name)
    if entry is None:
        raise InvalidInput(
            f"no scorer is called {written.name!r}: {nearest(written.name, [*_ENTRIES, *further])}"
        )
    written = entry.tidied(written)
    made: Plain = entry.made(written.name, written.arguments)
    called = written.called
    if isinstance(made, OnExperiment):
        return OnExperiment(made.scorer, called or made.name)
    return _renamed(made, called) if called else made


def is_known(text: str) -> bool:
    """Whether the text begins with the name of a scorer, whatever its arguments."""
    return Written.of(text).name in _ENTRIES


def names() -> list[str]:
    """The names of all scorers, with their arguments as they are written."""
    return [f"{name}{entry.usage}" for name, entry in _ENTRIES.items()]


def unaided() -> dict[str, Plain]:
    """The scorers that need nothing but their name."""
    return {name: scorer_of(name) for name, entry in _ENTRIES.items() if not entry.required}


def _renamed(scorer: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The scorer under another name. What is asked for by the name alone is shared, and keeps its own."""
    if scorer.__name__ == name:
        return scorer

    @wraps(scorer)
    def renamed(*args: object, **kwargs: object) -> object:
        return scorer(*args, **kwargs)

    renamed.__name__ = name
    return renamed


def _mark(text: str) -> str:
    # A comma parts arguments, so that signs are written in words.
    return {"point": ".", "comma": ",", "auto": "auto"}[choice("auto", "point", "comma")(text)]  # type: ignore[index]


_WAY: Mapping[str, Reading] = {"way": choice("squad", "unicode")}
_COMPAT: Mapping[str, Reading] = {"compat": choice("ragas")}
_PLACE: Mapping[str, Reading] = {"place": choice("whole", "within")}
_PART: Mapping[str, Reading] = {"part": choice("fmeasure", "precision", "recall"), **_COMPAT}
_RETRIEVED: Mapping[str, Reading] = {"k": count, "relevant": some_text, "by": choice("id", "text")}
_LIKE: Mapping[str, Reading] = {"threshold": number, "reference": some_text, **_COMPAT}


def _as_it_is(scorer: Callable[..., object]) -> Entry:
    return Entry(lambda: scorer)


def _compared(comparison: matching.Comparison) -> Entry:
    def make(way: Any = "squad") -> Plain:
        return comparison if way == "squad" else matching.in_any_language(comparison)

    return Entry(make, _WAY, usage="[:unicode]")


def _of_labels(make: Callable[..., Plain]) -> Entry:
    return Entry(make, _PLACE, required=2, several=True, usage=":yes,no,maybe")


def _ranked(make: Callable[..., Plain], usage: str, *, required: int = 0, **more: Reading) -> Entry:
    return Entry(make, {**_RETRIEVED, **more}, required=required, usage=usage)


def _without_k(make: Callable[..., Plain]) -> Entry:
    return Entry(
        make, {name: read for name, read in _RETRIEVED.items() if name != "k"}, usage="[:relevant=COLUMN]"
    )


def _limit(end: str, unit: Any) -> Entry:
    def make(limit: Any) -> Plain:
        return lengths.length(
            least=limit if end == "least" else None, most=limit if end == "most" else None, unit=unit
        )

    return Entry(make, rest=count, required=1, usage=":200" if unit == "chars" else ":50")


def _f1(average: Any) -> Entry:
    def make(*names: str) -> Plain:
        return labels.f1_of(f"confusion:{','.join(names)}", average=average)

    return Entry(make, required=2, several=True, usage=":yes,no,maybe")


_ENTRIES: Mapping[str, Entry] = {
    "exact_match": _as_it_is(matching.exact_match),
    "normalised_match": _compared(matching.normalised_match),
    "token_f1": _compared(matching.token_f1),
    "contains_expected": _compared(matching.contains_expected),
    "contains": Entry(matching.contains, rest=some_text, required=1, usage=":TEXT"),
    "not_contains": Entry(matching.not_contains, rest=some_text, required=1, usage=":TEXT"),
    "regex": Entry(patterns.regex, rest=some_text, required=1, usage=":^\\d+$"),
    "not_regex": Entry(patterns.not_regex, rest=some_text, required=1, usage=":(?i)as an ai"),
    "min_chars": _limit("least", "chars"),
    "max_chars": _limit("most", "chars"),
    "min_words": _limit("least", "words"),
    "max_words": _limit("most", "words"),
    "numeric": Entry(
        numerals.numeric,
        {
            "relative": number,
            "absolute": number,
            "which": choice("only", "first", "last", "any"),
            "mark": _mark,
        },
        usage="[:relative=0.01,which=last]",
    ),
    "is_json": _as_it_is(structured.is_json),
    "json_schema": Entry(structured.json_schema, rest=some_text, required=1, usage=":schema.json"),
    "json_equal": Entry(
        structured.json_equal,
        {"ignore": some_text, "lists": choice("ordered", "any"), "tolerance": number},
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
        name: Entry(partial(distances.string_similarity, name))
        for name in ("levenshtein", "osa", "indel", "hamming", "jaro", "jaro_winkler")
    },
    **{
        name: Entry(partial(summarizing.rouge, name), _PART, usage="[:recall]")
        for name in ("rouge1", "rouge2", "rougeL")
    },
    "bleu": Entry(
        translating.bleu,
        {"tokenize": choice("13a", "intl", "char", "zh", "none"), **_COMPAT},
        usage="[:tokenize=char]",
    ),
    "chrf": Entry(translating.chrf, _COMPAT, usage="[:compat=ragas]"),
    "corpus_bleu": Entry(translating.corpus_bleu),
    "corpus_chrf": Entry(translating.corpus_chrf),
    "embedding_similarity": _as_it_is(meaning.embedding_similarity),
    "recall_at": _ranked(retrieving.recall_at, ":5", required=1),
    "precision_at": _ranked(retrieving.precision_at, ":5", required=1),
    "hit_at": _ranked(retrieving.hit_at, ":5", required=1),
    "ndcg_at": _ranked(retrieving.ndcg_at, ":5", required=1, gain=choice("linear", "exponential")),
    "mrr": _ranked(retrieving.mrr, "[:10]"),
    "average_precision": _without_k(retrieving.average_precision),
    "id_recall": _without_k(retrieving.recall_at),
    "id_precision": _without_k(retrieving.precision_at),
    "text_recall": Entry(contexts.text_recall, _LIKE, usage="[:threshold=0.8]"),
    "text_precision": Entry(contexts.text_precision, _LIKE, usage="[:threshold=0.8]"),
    "support": Entry(meaning.support),
    "quoted_spans": Entry(
        grounding.quoted_spans, {"least_words": count, **_COMPAT}, usage="[:least_words=3]"
    ),
    "citation_correctness": Entry(partial(grounding.citation_correctness, refusing.is_refusal)),
    "no_refusal": _as_it_is(refusing.no_refusal),
    "right_refusal": Entry(
        partial(refusing.right_refusal, refusing.is_refusal),
        {"unanswerable": some_text},
        usage="[:unanswerable=COLUMN]",
    ),
    "latency": _as_it_is(figures.latency),
    "cost": _as_it_is(figures.cost),
    "tokens": Entry(
        figures.tokens, {"which": choice("all", "input", "output", "cached", "reasoning")}, usage="[:output]"
    ),
    "calls": _as_it_is(figures.calls),
    "steps": _as_it_is(figures.steps),
}
