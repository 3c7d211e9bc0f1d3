"""What the detector is worth on labelled texts: recall at 1 % and 5 % false positives, AUC, time; by source and kind.

`make guard-report DATA=file.jsonl` reads rows `{"text", "label": "injection|benign", "source", "kind"}`. The thresholds
of 1 % and 5 % are those that so many benign texts of the whole file reach; a row of a source or kind is held against
all benign texts. ARGS=--json prints the same as JSON.
"""

from __future__ import annotations

import json
import math
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from surefoot.guards.detecting import THRESHOLD, Detector

LABELS = ("injection", "benign")


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text, whether it is an injection, and where it is from."""

    text: str
    is_injection: bool
    source: str
    kind: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the report: None where there is nothing to count.

    recall_1, recall_5: part of the injections above the thresholds that 1 % and 5 % of all benign texts reach.
    recall, false_positives: parts above the default threshold. us_per_kb: CPU time for 1,024 bytes.
    """

    by: str
    name: str
    injections: int
    benign: int
    recall_1: float | None
    recall_5: float | None
    auc: float | None
    recall: float | None
    false_positives: float | None
    us_per_kb: float


def read(path: Path) -> list[Labelled]:
    """The rows of a file. Exits with the line that is none."""
    rows: list[Labelled] = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                text, label = row["text"], row["label"]
            except (ValueError, KeyError, TypeError) as error:
                raise SystemExit(f"{path}:{number}: no row with text and label ({error!r})") from error
            if not isinstance(text, str) or label not in LABELS:
                raise SystemExit(
                    f"{path}:{number}: label is one of {', '.join(LABELS)}, and text is a string"
                )
            rows.append(
                Labelled(text, label == "injection", str(row.get("source", "")), str(row.get("kind", "")))
            )
    if not rows:
        raise SystemExit(f"{path} has no rows")
    return rows


def auc(injections: Sequence[float], benign: Sequence[float]) -> float | None:
    """The chance that an injection scores above a benign text; equal scores count half."""
    if not injections or not benign:
        return None
    ordered = sorted(benign)
    above = sum(bisect_left(ordered, score) + bisect_right(ordered, score) for score in injections)
    return above / (2 * len(injections) * len(benign))


def threshold(benign: Sequence[float], rate: float) -> float:
    """The lowest score at which at most that part of benign texts is flagged."""
    ordered = sorted(benign, reverse=True)
    allowed = int(rate * len(ordered))
    # What ties with the first one that may not be flagged, may not be either.
    return math.nextafter(ordered[allowed], 2.0) if allowed < len(ordered) else 0.0


def reached(scores: Sequence[float], at: float) -> float | None:
    """The part of the scores that reach it."""
    return sum(score >= at for score in scores) / len(scores) if scores else None


def report(rows: Sequence[Labelled], detector: Detector) -> list[Line]:
    """A line for each source, for each kind, and for all together, the last."""
    scores: list[float] = []
    spent: list[float] = []
    detector.look("Load what is loaded at the first use.")
    for row in rows:
        begin = time.process_time()
        scores.append(detector.look(row.text).score)
        spent.append(time.process_time() - begin)
    benign = [score for row, score in zip(rows, scores, strict=True) if not row.is_injection]
    bounds = [threshold(benign, rate) for rate in (0.01, 0.05)]
    lines: list[Line] = []
    groups = [("source", name) for name in sorted({row.source for row in rows})]
    groups += [("kind", name) for name in sorted({row.kind for row in rows})]
    for by, name in [*groups, ("total", "")]:
        chosen = [number for number, row in enumerate(rows) if by == "total" or getattr(row, by) == name]
        positive = [scores[number] for number in chosen if rows[number].is_injection]
        negative = [scores[number] for number in chosen if not rows[number].is_injection]
        size = sum(len(rows[number].text.encode("utf-8", "replace")) for number in chosen) / 1024
        lines.append(
            Line(
                by=by,
                name=name,
                injections=len(positive),
                benign=len(negative),
                recall_1=reached(positive, bounds[0]),
                recall_5=reached(positive, bounds[1]),
                auc=auc(positive, benign),
                recall=reached(positive, THRESHOLD),
                false_positives=reached(negative, THRESHOLD),
                us_per_kb=sum(spent[number] for number in chosen) * 1e6 / max(size, 1 / 1024),
            )
        )
    return lines


def shown(lines: Sequence[Line]) -> str:
    """The report as a table."""
    heads = [
        "",
        "name",
        "inj.",
        "benign",
        "recall@1%",
        "recall@5%",
        "AUC",
        f"recall@{THRESHOLD}",
        f"FPR@{THRESHOLD}",
        "us/KB",
    ]
    table = [heads]
    for line in lines:
        parts = (line.recall_1, line.recall_5, line.auc, line.recall, line.false_positives)
        figures = ["-" if part is None else f"{part:.3f}" for part in parts]
        table.append(
            [
                line.by,
                line.name[:40],
                str(line.injections),
                str(line.benign),
                *figures,
                f"{line.us_per_kb:,.0f}",
            ]
        )
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )


def main(arguments: Sequence[str]) -> int:
    paths = [argument for argument in arguments if not argument.startswith("--")]
    if len(paths) != 1:
        raise SystemExit(
            "make guard-report DATA=file.jsonl: rows of text, label (injection|benign), source, kind"
        )
    path = Path(paths[0])
    if not path.is_file():
        raise SystemExit(f"{path} is no file: DATA=file.jsonl names one")
    lines = report(read(path), Detector())
    print(json.dumps([asdict(line) for line in lines], indent=2) if "--json" in arguments else shown(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
