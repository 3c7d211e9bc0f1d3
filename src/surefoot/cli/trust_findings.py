"""What `surefoot check` tells of the trust of flows: each crossing with its path drawn, and what is not said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from surefoot.cli.findings import Finding

if TYPE_CHECKING:
    from surefoot.flows.checking import Crossing, Hop, Report
    from surefoot.values import Json

_WIDTH = 44


def findings(reports: Iterable[Report]) -> Iterator[Finding]:
    """What is to be told of flows; what several have in common once."""
    flows: dict[tuple[str, int], list[str]] = {}
    undeclared: dict[tuple[str, int], str] = {}
    for report in reports:
        for weight, crossing in report.findings:
            yield Finding(
                *("trust", weight, crossing.sink.file, crossing.sink.line),
                f"flow {report.name}: {crossing.problem}",
                flows=(report.name,),
                more=(*drawn(crossing), *_explained(crossing)),
                data=_data(report, crossing),
            )
        for hop, to in report.beyond.items():
            text = f"flow {report.name} does not say that it uses {to}: {hop.what}; the run refuses it: add it to uses="
            yield Finding("trust", "error", hop.file, hop.line, text, flows=(report.name,))
        for place, outside in report.undeclared.items():
            flows.setdefault(place, []).append(report.name)
            undeclared[place] = outside.text
        for hop in report.left:
            text = f"flow {report.name} is not known in full: {hop.what}"
            yield Finding("trust", "note", hop.file, hop.line, text, flows=(report.name,))
    for place, text in undeclared.items():
        yield Finding("trust", "warning", *place, text, flows=tuple(flows[place]))


def drawn(crossing: Crossing) -> list[str]:
    """The path as it is drawn: what is read, what it passes, where it is sent."""
    lines: list[str] = []
    for leg, hop in crossing.path:
        if leg == "sends":
            lines.append("      v")
        lines.append(f"  {leg or '    |':<10} {hop.what:<{_WIDTH}} {_place(hop)}")
    return lines


def _explained(crossing: Crossing) -> list[str]:
    lines = [f"  why        {crossing.why}"]
    ways = enumerate(crossing.ways_out)
    return [*lines, *(f"  {'ways out' if at == 0 else '':<10} - {way}" for at, way in ways)]


def _place(hop: Hop) -> str:
    return f"{hop.file}:{hop.line}"


def _hop(hop: Hop) -> dict[str, Json]:
    return {"what": hop.what, "file": hop.file, "line": hop.line}


def _data(report: Report, crossing: Crossing) -> dict[str, Json]:
    return {
        "flow": report.name,
        "step": crossing.step,
        "arguments": list(crossing.arguments),
        "path": [{"kind": leg or "passes", **_hop(hop)} for leg, hop in crossing.path],
        "why": crossing.why,
        "ways_out": list(crossing.ways_out),
    }


def described(report: Report) -> dict[str, Json]:
    """A flow for programs: what it reads and sends, and what stands between."""
    return {
        "flow": report.name,
        "function": report.function,
        "file": report.file,
        "line": report.line,
        "reads_untrusted": [_hop(hop) for hop in report.legs.get("untrusted", ())],
        "reads_private": [_hop(hop) for hop in report.legs.get("private", ())],
        "sends": [_hop(hop) for hop in report.sinks],
        "cleared_by": [_hop(hop) for hop in report.between],
        "approved_by": [_hop(crossing.sink) for crossing in report.approved],
    }


def sentence(report: Report) -> str:
    """A flow in a line, for people."""
    untrusted, private = (len(report.legs.get(leg, ())) for leg in ("untrusted", "private"))
    sends = len(report.sinks)
    stands = [f"{hop.what} ({_place(hop)})" for hop in report.between]
    stands += [f"approval of {one.step} ({_place(one.sink)})" for one in report.approved]
    between = f"; between: {', '.join(stands)}" if stands and sends else ""
    return (
        f"flow {report.name} ({report.file}:{report.line}) reads untrusted text in {untrusted} "
        f"and private data in {private} places, sends in {sends}{between}"
    )
