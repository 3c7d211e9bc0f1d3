"""A verdict as JUnit's XML, which CI systems read: a test case for each rule."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from surefoot.evals.comparing.verdict import Ruling, Verdict
from surefoot.evals.prompting.junit import xml_text


def junit_xml(verdict: Verdict) -> str:
    """One suite, the gate; a rule that is not judged is one that is skipped."""
    suites = ET.Element("testsuites")
    standings = [each.standing for each in verdict.rulings]
    suite = ET.SubElement(
        suites,
        "testsuite",
        {
            "name": xml_text(f"gate {verdict.gate.name}"),
            "tests": str(len(standings)),
            "failures": str(standings.count("failed")),
            "skipped": str(standings.count("not judged")),
        },
    )
    for each in verdict.rulings:
        _add(suite, each, verdict)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _add(suite: ET.Element, ruling: Ruling, verdict: Verdict) -> None:
    place = {"file": xml_text(verdict.gate.file)} if verdict.gate.file else {}
    if place and ruling.line:
        place["line"] = str(ruling.line)
    named = {"classname": xml_text(f"gate {verdict.gate.name}"), "name": xml_text(ruling.name)}
    case = ET.SubElement(suite, "testcase", {**named, **place})
    reason = xml_text(ruling.reason)
    if ruling.standing == "failed":
        ET.SubElement(case, "failure", {"message": reason}).text = reason
    elif ruling.standing == "not judged":
        ET.SubElement(case, "skipped", {"message": reason})
    elif reason:
        ET.SubElement(case, "system-out").text = reason
