"""Makes the weights of the injection classifier: `make guard-weights DATA=labelled.jsonl`.

Rows are `{"text", "label": "injection|benign", "source"}`; a second file gives ordinary documents, `{"text"}`. Texts of
our own (`training/phrases.py`) are added. Logistic regression with an L2 penalty, sources weighed against each other,
fitted by L-BFGS; equal data and seed give the same file, byte for byte.

How good it is on sources that it has not seen is told by leaving each source out once; cross-validation over rows
flatters. From these scores come the slope of the odds and the threshold: the score `THRESHOLD` is what few
benign texts of sources that were left out reach.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, diags

from surefoot.guards.detecting import THRESHOLD, Weights
from surefoot.guards.detecting.classifier import windows
from surefoot.guards.detecting.features import features_of
from surefoot.guards.detecting.rules import RuleSet
from surefoot.guards.detecting.shipped import shipped_rules
from surefoot.texts.characters import skeleton
from training.guard_report import auc, reached, threshold
from training.phrases import own_rows

WEIGHTS = Path(__file__).parents[1] / "src" / "surefoot" / "guards" / "detecting" / "injection.weights"
SEED, OWN = 7, 350
"""Of our own texts so many of each kind."""

RAREST = 4
"""A feature that fewer texts have is left out."""

STRENGTH, STEPS = 10.0, 60
"""The weight of the data against the penalty; the most steps of the fit."""

MOST = 60_000
"""Features that are kept."""

FALSE_POSITIVES = 0.005
"""The part of benign texts of left out sources that reach `THRESHOLD`: half of the 1 % that is promised, as texts that
are yet to come are stranger."""

# Names of sources that are one: parts of a set, what is made of it, and the contexts that its attacks were put into.
FAMILIES = (
    "bipia",
    "fastchat",
    "nemo",
    "s-labs",
    "cpython",
    "deepset",
    "neuralchemy",
    "garak",
    "faker",
    "prompts.chat",
    "self-instruct",
)
DERIVED = "encoded:"
"""Sources of rows that are others in another spelling: they would give away what is left out."""


@dataclass(frozen=True, slots=True)
class Row:
    """A text as it reads, whether it is an injection, and the family of its source."""

    reading: str
    is_injection: bool
    family: str


def family_of(source: str) -> str:
    """What is left out together."""
    lowered = source.lower()
    return next((family for family in FAMILIES if family in lowered), lowered)


def rows_of(data: Path, documents: Path | None) -> Iterator[Row]:
    for row in _lines(data):
        if not row["source"].startswith(DERIVED):
            yield Row(skeleton(row["text"]), row["label"] == "injection", family_of(row["source"]))
    if documents is not None:
        for row in _lines(documents):
            yield Row(skeleton(row["text"]), False, "own:paragraph")
    for text, is_injection, kind in own_rows(SEED, OWN):
        yield Row(skeleton(text), is_injection, f"own:{kind}")


def _lines(path: Path) -> Iterator[dict[str, str]]:
    # Not `splitlines`: texts hold other signs that end a line.
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


class Table:
    """Windows of rows by features, one line for each window."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.row_of: list[int] = []
        columns: dict[str, int] = {}
        places: list[int] = []
        ends = [0]
        for number, row in enumerate(rows):
            for window in windows(row.reading):
                places += sorted(columns.setdefault(one, len(columns)) for one in sorted(features_of(window)))
                ends.append(len(places))
                self.row_of.append(number)
        shape = (len(self.row_of), len(columns))
        full = csr_matrix((np.ones(len(places)), places, ends), shape=shape)
        kept = np.flatnonzero(np.asarray(full.sum(axis=0)).ravel() >= RAREST)
        names = list(columns)
        self.features = [names[column] for column in kept]
        self.cells: Any = full[:, kept]
        self.rows = np.asarray(self.row_of)

    def normed(self, columns: Any) -> Any:
        """Lines whose sum of squares is 1, as the classifier divides by the root of their number."""
        cells = self.cells[:, columns]
        counts = np.maximum(np.asarray(cells.sum(axis=1)).ravel(), 1)
        return (diags(1 / np.sqrt(counts)) @ cells).tocsr()


def fitted(cells: Any, labels: Any, weights: Any) -> Any:
    """Weights of the features and, last, the bias."""
    signs, turned, size = 2.0 * labels - 1, cells.T.tocsr(), cells.shape[1]
    weights = weights / weights.mean()

    def loss(at: Any) -> tuple[float, Any]:
        margins = (cells @ at[:size] + at[size]) * signs
        slopes = -weights * signs / (1 + np.exp(np.clip(margins, -50, 50)))
        value = STRENGTH * (weights @ np.logaddexp(0, -margins)) + at[:size] @ at[:size] / 2
        return value, np.append(STRENGTH * (turned @ slopes) + at[:size], STRENGTH * slopes.sum())

    return minimize(loss, np.zeros(size + 1), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}).x


def balanced(rows: Sequence[Row]) -> Any:
    """A weight for each row: families count by the root of their size, both labels alike."""
    many = Counter((row.family, row.is_injection) for row in rows)
    weights = np.array([1 / math.sqrt(many[row.family, row.is_injection]) for row in rows])
    labels = np.array([row.is_injection for row in rows])
    for label in (False, True):
        weights[labels == label] /= weights[labels == label].sum()
    return weights


def worst(table: Table, odds: Any, many: int) -> Any:
    """The odds of each row: those of its worst window."""
    found = np.full(many, -np.inf)
    np.maximum.at(found, table.rows, odds)
    return found


def left_out(rows: Sequence[Row], table: Table) -> Any:
    """The odds of each row by a model that has not seen its family; of our own rows none."""
    weights, labels = balanced(rows), np.array([float(row.is_injection) for row in rows])
    families = np.array([row.family for row in rows])
    odds = np.full(len(rows), np.nan)
    for family in sorted(set(families)):
        if family.startswith("own:"):
            continue
        lines = np.flatnonzero(families[table.rows] != family)
        columns = np.flatnonzero(np.asarray(table.cells[lines].sum(axis=0)).ravel() >= RAREST)
        cells = table.normed(columns)
        at = fitted(cells[lines], labels[table.rows[lines]], weights[table.rows[lines]])
        found = worst(table, cells @ at[:-1] + at[-1], len(rows))
        odds[families == family] = found[families == family]
        print(f"left out {family}", file=sys.stderr, flush=True)
    return odds


def slope_of(odds: Any, labels: Any) -> float:
    """By how much odds of the fit are too sure on unseen sources: the slope of a regression on them."""
    weights = np.where(labels == 1, 1 / max(labels.sum(), 1), 1 / max((1 - labels).sum(), 1))
    signs = 2 * labels - 1

    def loss(at: Any) -> float:
        return float(weights @ np.logaddexp(0, -(at[0] * odds + at[1]) * signs))

    return float(max(minimize(loss, np.array([1.0, 0.0]), method="L-BFGS-B").x[0], 0.05))


def told(name: str, rows: Sequence[Row], odds: Sequence[float]) -> str:
    injections = [one for row, one in zip(rows, odds, strict=True) if row.is_injection]
    benign = [one for row, one in zip(rows, odds, strict=True) if not row.is_injection]
    recalls = [reached(injections, threshold(benign, rate)) or 0 for rate in (0.01, 0.05)]
    return f"{name}: AUC {auc(injections, benign) or 0:.3f}, recall {recalls[0]:.3f} at 1 %, {recalls[1]:.3f} at 5 %"


def by_family(rows: Sequence[Row], odds: Sequence[float]) -> Iterator[str]:
    """How much of each family is above the threshold that 1 % of all benign texts reach."""
    bound = threshold([one for row, one in zip(rows, odds, strict=True) if not row.is_injection], 0.01)
    for family in sorted({row.family for row in rows}):
        for is_injection, word in ((True, "recall"), (False, "false positives")):
            chosen = [
                one
                for row, one in zip(rows, odds, strict=True)
                if row.family == family and row.is_injection == is_injection
            ]
            if chosen:
                yield f"  {family}: {word} {reached(chosen, bound):.3f} of {len(chosen)}"


def main(arguments: Sequence[str], weights_path: Path = WEIGHTS) -> int:
    paths = [Path(argument) for argument in arguments if not argument.startswith("--")]
    if not 1 <= len(paths) <= 2:
        raise SystemExit("make guard-weights DATA=labelled.jsonl [DOCUMENTS=texts.jsonl]")
    rows = list(rows_of(paths[0], paths[1] if len(paths) == 2 else None))
    table = Table(rows)
    labels = np.array([float(row.is_injection) for row in rows])

    odds = left_out(rows, table)
    seen = [number for number, row in enumerate(rows) if not row.family.startswith("own:")]
    foreign = [rows[number] for number in seen]
    print(told("left out, classifier", foreign, odds[seen].tolist()))
    rules = RuleSet(shipped_rules())
    with_rules = [
        one + 100 * bool(rules.matched(row.reading)) for row, one in zip(foreign, odds[seen], strict=True)
    ]
    print(told("left out, with rules", foreign, with_rules))
    print("\n".join(by_family(foreign, with_rules)))

    slope = slope_of(odds[seen], labels[seen])
    bound = threshold([odds[number] for number in seen if not rows[number].is_injection], FALSE_POSITIVES)
    at = fitted(table.normed(np.arange(len(table.features))), labels[table.rows], balanced(rows)[table.rows])
    # The features that move scores most: rare ones with a large weight, common ones with a small one.
    moved = np.abs(at[:-1]) * np.sqrt(np.asarray(table.cells.sum(axis=0)).ravel())
    kept = np.sort(np.argsort(-moved, kind="stable")[:MOST])
    read = hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
    found = Weights(
        {table.features[column]: round(float(at[column]) * slope, 6) for column in kept},
        round((float(at[-1]) - bound) * slope + math.log(THRESHOLD / (1 - THRESHOLD)), 6),
        f"data sha256:{read[:16]}, own texts {OWN}, seed {SEED}, L2 logistic regression",
    )
    weights_path.write_bytes(found.packed())
    size = weights_path.stat().st_size
    print(
        f"{weights_path.name}: {size:,} bytes, {len(kept):,} features, slope {slope:.3f}, bound {bound:.3f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
