"""What flows use and do not declare, for `surefoot check` and `surefoot access publish`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from surefoot.cli.findings import Finding
from surefoot.errors import LedgerError, UsageError

if TYPE_CHECKING:
    from surefoot.app import App
    from surefoot.flows import FlowSpec
    from surefoot.flows.checking import Hop, Report
    from surefoot.prompts import Library
    from surefoot.values import Json


def used(report: Report, library: Library) -> dict[str, Hop]:
    """What a flow uses, as `uses=` would name it: by its code, and by the files of the prompts that it names there."""
    from surefoot.flows.checking import named

    found = dict(report.used)
    for reference, hop in report.prompts.items():
        try:
            model = _model_in(library.find(reference).model)
        except (UsageError, LedgerError):
            # `surefoot check` tells of it elsewhere.
            continue
        if model:
            found.setdefault(f"model:{named(model)}", hop)
    return found


def undeclared(report: Report, library: Library) -> dict[str, Hop]:
    """What of it `uses=` does not name."""
    from surefoot.flows.checking import undeclared

    return undeclared(report, used(report, library))


def findings(reports: Iterable[Report], library: Library) -> Iterator[Finding]:
    """What flows use beyond their `uses=`, for those that name more there than what they send to."""
    for report in reports:
        if report.uses is None or not any(":" in text for text in report.uses):
            continue
        for text, hop in undeclared(report, library).items():
            if hop in report.beyond:
                # It is refused in any run, which is told already.
                continue
            said = (
                f"flow {report.name} does not say that it uses {text}: {hop.what}; a confined run refuses it"
            )
            yield Finding(
                "trust", "warning", hop.file, hop.line, f"{said}: add it to uses=", flows=(report.name,)
            )


def said(report: Report, library: Library) -> str:
    """In a line, what a flow uses and what of it is not declared."""
    found, missing = used(report, library), undeclared(report, library)
    text = f"flow {report.name} uses {', '.join(sorted(found)) or 'nothing that it would have to name'}"
    return f"{text}; uses= does not name {', '.join(sorted(missing))}" if missing else text


def in_json(report: Report, library: Library) -> dict[str, Json]:
    """The same for programs."""
    missing = undeclared(report, library)
    return {
        "uses": None if report.uses is None else [*sorted(report.uses)],
        "used": [_described(text, hop) for text, hop in sorted(used(report, library).items())],
        "undeclared": [_described(text, hop) for text, hop in sorted(missing.items())],
    }


def refuse_undeclared(app: App, spec: FlowSpec) -> None:
    """Raise `UsageError` for a flow that does not say what it uses, or not all that its code shows."""
    from surefoot.cli.gathering import alone, gone_through, scanned

    root = app.settings.root
    reports = gone_through(scanned(root))
    report = next((one for one in reports if _is_of(one, spec, root)), None)
    how = "or give --allow-undeclared: what is not named is refused when it runs"
    if report is None:
        raise UsageError(
            f"flow {spec.name} is not among the code of {root}, so that nobody sees what it uses: publish it from its "
            f"own project, {how}"
        )
    library = alone(app)
    found = used(report, library)
    if spec.uses is None:
        named = "".join(f"{text!r}, " for text in sorted(found))
        raise UsageError(f"flow {spec.name} does not say what it uses: declare it, as uses=({named}), {how}")
    if missing := undeclared(report, library):
        places = "; ".join(f"{text} ({hop.file}:{hop.line})" for text, hop in sorted(missing.items()))
        raise UsageError(f"flow {spec.name} uses what its uses= does not name: {places}. Add it there, {how}")


def difference(before: Iterable[str], after: Iterable[str]) -> tuple[list[str], list[str]]:
    """What a version may use that the one before may not, and the other way round."""
    old, new = set(before), set(after)
    return sorted(new - old), sorted(old - new)


def _is_of(report: Report, spec: FlowSpec, root: Path) -> bool:
    file = spec.entry.file
    is_there = file is not None and (root / report.file).resolve() == Path(file)
    return is_there and spec.name == report.name


def _model_in(given: Mapping[str, Json]) -> str:
    """The model that a prompt's file names, in either dialect."""
    inner = given.get("configuration")
    for fields in (given, inner if isinstance(inner, dict) else {}):
        for name in ("id", "model", "name"):
            if isinstance(model := fields.get(name), str) and model and "$" not in model:
                return model
    return ""


def _described(text: str, hop: Hop) -> dict[str, Json]:
    return {"name": text, "what": hop.what, "file": hop.file, "line": hop.line}
