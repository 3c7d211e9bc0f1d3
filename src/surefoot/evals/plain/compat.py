"""The numbers of ragas 0.4.3 for its metrics without a model, its faults included."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from surefoot.errors import InvalidInput
from surefoot.evals.plain import extras, summarizing

_Fields = Mapping[str, object]

_DISTANCES = {
    "levenshtein": "Levenshtein",
    "hamming": "Hamming",
    "jaro": "Jaro",
    "jaro_winkler": "JaroWinkler",
}
_THRESHOLD = 0.5
_TINY = 1e-10
_MARKS = "\"'`\u00b4\u2018\u2019\u201c\u201d\u201e\u201f"
_QUOTED = re.compile(f"[{_MARKS}](.*?)[{_MARKS}]")
_LEAST_WORDS = 3


def parity(metric: str, api: str, sample: _Fields, params: _Fields) -> float | None:
    """What ragas computes for a sample; None where that is not a number.

    metric: `exact_match`, `string_presence`, `non_llm_string_similarity`, `rouge`, `bleu`, `chrf`,
        `non_llm_context_recall`, `non_llm_context_precision`, `id_context_recall`, `id_context_precision` or
        `quoted_spans`.
    api: `collections` or `legacy`, which do not differ in these metrics.
    sample: the fields of the sample by ragas' names.
    params: what the metric was made with, by ragas' names.

    Raises `InvalidInput` where ragas raises, and for a metric that is not among these.
    """
    if api not in ("collections", "legacy"):
        raise InvalidInput(f"ragas has no api {api!r}: name collections or legacy")
    if metric not in _METRICS:
        raise InvalidInput(
            f"{metric!r} is no metric without a model: there are {', '.join(sorted(_METRICS))}"
        )
    value = _METRICS[metric](sample, params)
    return value if math.isfinite(value) else None


def _exact_match(sample: _Fields, _: _Fields) -> float:
    return float(sample.get("reference") == sample.get("response"))


def _presence(sample: _Fields, _: _Fields) -> float:
    return float(_text(sample, "reference") in _text(sample, "response"))


def _similarity(sample: _Fields, params: _Fields) -> float:
    measure = _measure(params)
    return measure(_text(sample, "reference"), _text(sample, "response"))


def _measure(params: _Fields) -> Callable[[str, str], float]:
    """1 - the normalised distance of a reference and a response, by the name in `distance_measure`."""
    name = str(params.get("distance_measure", "levenshtein")).lower()
    if name not in _DISTANCES:
        raise InvalidInput(f"ragas has no distance {name!r}: there are {', '.join(_DISTANCES)}")
    distance: Any = getattr(extras.rapidfuzz("a string distance"), _DISTANCES[name])
    return lambda reference, response: 1 - float(distance.normalized_distance(reference, response))


def _rouge(sample: _Fields, params: _Fields) -> float:
    kind, mode = params.get("rouge_type", "rougeL"), params.get("mode", "fmeasure")
    if kind not in ("rouge1", "rouge2", "rougeL") or mode not in ("fmeasure", "precision", "recall"):
        raise InvalidInput(f"ROUGE has no {kind!r} with {mode!r}")
    said = summarizing.ascii_tokens(_text(sample, "response"))
    wanted = summarizing.ascii_tokens(_text(sample, "reference"))
    return summarizing.overlap(kind, said, wanted).part(mode)


def _bleu(sample: _Fields, params: _Fields) -> float:
    """Each sentence of the reference becomes a stream of references of its own, so that the first sentence of the
    response alone is compared, with any of them."""
    references = [[sentence] for sentence in _text(sample, "reference").split(". ")]
    responses = _text(sample, "response").split(". ")
    bleu = extras.sacrebleu("BLEU").corpus_bleu
    return float(bleu(responses, references, **_settings(params)).score) / 100


def _chrf(sample: _Fields, params: _Fields) -> float:
    reference, response = sample.get("reference"), sample.get("response")
    if not isinstance(reference, str) or not isinstance(response, str):
        return 0.0
    if not reference.strip() or not response.strip():
        return 0.0
    chrf = extras.sacrebleu("chrF").corpus_chrf
    return float(chrf([response], [[reference]], **_settings(params)).score) / 100


def _context_recall(sample: _Fields, params: _Fields) -> float:
    retrieved, references = _texts(sample, "retrieved_contexts"), _texts(sample, "reference_contexts")
    if not references:
        return math.nan
    best = _best(references, retrieved, _measure(params))
    threshold = _threshold(params)
    return sum(each > threshold for each in best) / len(best)


def _context_precision(sample: _Fields, params: _Fields) -> float:
    retrieved, references = _texts(sample, "retrieved_contexts"), _texts(sample, "reference_contexts")
    threshold = _threshold(params)
    hits = [each >= threshold for each in _best(retrieved, references, _measure(params))]
    precisions = [sum(hits[: at + 1]) / (at + 1) for at, is_hit in enumerate(hits) if is_hit]
    return sum(precisions) / (sum(hits) + _TINY)


def _best(those: Sequence[str], among: Sequence[str], measure: Callable[[str, str], float]) -> list[float]:
    """For each text its greatest similarity among the others."""
    if those and not among:
        raise InvalidInput("there is no context to compare with: ragas fails here")
    return [max(measure(text, other) for other in among) for text in those]


def _id_recall(sample: _Fields, _: _Fields) -> float:
    retrieved, references = _ids(sample, "retrieved_context_ids"), _ids(sample, "reference_context_ids")
    return len(references & retrieved) / len(references) if references else math.nan


def _id_precision(sample: _Fields, _: _Fields) -> float:
    retrieved, references = _ids(sample, "retrieved_context_ids"), _ids(sample, "reference_context_ids")
    return len(references & retrieved) / len(retrieved) if retrieved else math.nan


def _quoted_spans(sample: _Fields, params: _Fields) -> float:
    """Any mark ends a quotation that any other began, an apostrophe too."""
    response, contexts = sample.get("response"), sample.get("retrieved_contexts")
    if not isinstance(response, str) or not isinstance(contexts, list):
        return 0.0
    least = params.get("min_span_words", _LEAST_WORDS)
    folds = bool(params.get("casefold", True))
    spans = [found.strip() for found in cast("list[str]", _QUOTED.findall(response))]
    spans = [span for span in spans if len(span.split()) >= cast("int", least)]
    if not spans:
        return 1.0
    whole = " ".join(_texts(sample, "retrieved_contexts"))
    whole = _folded(whole) if folds else whole
    found = [wanted for span in spans if (wanted := _folded(span) if folds else span) and wanted in whole]
    return len(found) / len(spans)


def _folded(text: str) -> str:
    return " ".join(re.split(r"\s+", text)).strip().lower()


def _text(sample: _Fields, name: str) -> str:
    value = sample.get(name)
    if isinstance(value, str):
        return value
    raise InvalidInput(f"{name} is {type(value).__name__}: ragas takes a text here")


def _texts(sample: _Fields, name: str) -> list[str]:
    several = _list(sample, name)
    if not all(isinstance(each, str) for each in several):
        raise InvalidInput(f"{name} does not hold texts alone: ragas takes a list of texts here")
    return cast("list[str]", several)


def _ids(sample: _Fields, name: str) -> set[str]:
    return {str(each) for each in _list(sample, name)}


def _list(sample: _Fields, name: str) -> list[object]:
    value = sample.get(name)
    if isinstance(value, list):
        return cast("list[object]", value)
    raise InvalidInput(f"{name} is {type(value).__name__}: ragas takes a list here")


def _threshold(params: _Fields) -> float:
    return float(cast("float", params.get("threshold", _THRESHOLD)))


def _settings(params: _Fields) -> dict[str, Any]:
    """What is handed on to sacrebleu."""
    return dict(cast("Mapping[str, Any]", params.get("kwargs") or {}))


_METRICS: Mapping[str, Callable[[_Fields, _Fields], float]] = {
    "exact_match": _exact_match,
    "string_presence": _presence,
    "string_present": _presence,
    "non_llm_string_similarity": _similarity,
    "rouge": _rouge,
    "bleu": _bleu,
    "chrf": _chrf,
    "non_llm_context_recall": _context_recall,
    "non_llm_context_precision": _context_precision,
    "id_context_recall": _id_recall,
    "id_context_precision": _id_precision,
    "quoted_spans": _quoted_spans,
    "quoted_spans_alignment": _quoted_spans,
}
