"""Results of cases as JUnit's XML, which CI systems read."""

from __future__ import annotations

import re
from itertools import groupby
from xml.etree import ElementTree as ET

from surefoot.evals.prompting.results import CaseResult, Results

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write."""


def junit_xml(results: Results) -> str:
    """A suite for each prompt, a test case for each case."""
    suites = ET.Element("testsuites")
    for prompt, group in groupby(results.cases, key=lambda one: one.prompt):
        cases = list(group)
        suite = ET.SubElement(
            suites,
            "testsuite",
            {
                "name": prompt,
                "tests": str(len(cases)),
                "failures": str(sum(one.standing == "failed" for one in cases)),
                "skipped": str(sum(one.standing == "skipped" for one in cases)),
                "time": f"{sum(one.seconds for one in cases):.3f}",
            },
        )
        for one in cases:
            _add(suite, one)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _add(suite: ET.Element, result: CaseResult) -> None:
    file, _, line = result.case.place.rpartition(":")
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "classname": xml_text(result.prompt),
            "name": xml_text(result.case.name),
            "file": xml_text(file),
            "line": line,
            "time": f"{result.seconds:.3f}",
        },
    )
    if result.standing == "skipped":
        ET.SubElement(case, "skipped", {"message": xml_text(result.reason)})
    elif result.standing == "failed":
        lines = [*map(str, result.misses), *([result.reason] if result.reason else [])]
        failure = ET.SubElement(case, "failure", {"message": xml_text(lines[0])})
        failure.text = xml_text("\n".join(lines))


def xml_text(text: str) -> str:
    """A text as XML can hold it; what it has no way to write is replaced."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
