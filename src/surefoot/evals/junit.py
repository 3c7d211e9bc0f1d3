"""JUnit's XML, which CI systems read: suites of test cases that passed, failed or were skipped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

Standing = Literal["passed", "failed", "skipped"]

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write."""


@dataclass(frozen=True, slots=True)
class Tested:
    """One test case. `message` says in a line why it failed, was skipped or passed; `text` says all of a failure.

    `file` and `line` are where it is declared, `seconds` how long it took; what is None or empty is not written.
    """

    name: str
    standing: Standing
    message: str = ""
    text: str = ""
    file: str = ""
    line: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Suite:
    """Test cases under a name, which is the class of each as well."""

    name: str
    cases: Sequence[Tested]


def document(suites: Iterable[Suite]) -> str:
    """The whole file. What XML has no way to write is replaced."""
    root = ET.Element("testsuites")
    for suite in suites:
        standings = [case.standing for case in suite.cases]
        seconds = [case.seconds for case in suite.cases if case.seconds is not None]
        counts = {
            "name": _text(suite.name),
            "tests": str(len(standings)),
            "failures": str(standings.count("failed")),
            "skipped": str(standings.count("skipped")),
            **({"time": f"{sum(seconds):.3f}"} if seconds else {}),
        }
        element = ET.SubElement(root, "testsuite", counts)
        for case in suite.cases:
            _add(element, suite.name, case)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add(suite: ET.Element, class_name: str, case: Tested) -> None:
    place = {"file": _text(case.file)} if case.file else {}
    if place and case.line is not None:
        place["line"] = str(case.line)
    time = {} if case.seconds is None else {"time": f"{case.seconds:.3f}"}
    named = {"classname": _text(class_name), "name": _text(case.name)}
    element = ET.SubElement(suite, "testcase", {**named, **place, **time})
    if case.standing == "skipped":
        ET.SubElement(element, "skipped", {"message": _text(case.message)})
    elif case.standing == "failed":
        ET.SubElement(element, "failure", {"message": _text(case.message)}).text = _text(case.text)
    elif case.message:
        ET.SubElement(element, "system-out").text = _text(case.message)


def _text(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
