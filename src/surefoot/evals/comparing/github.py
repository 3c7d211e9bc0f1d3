"""A verdict as commands of GitHub Actions, which shows each at its line of the gate's file."""

from __future__ import annotations

from collections.abc import Iterator

from surefoot.evals.comparing.verdict import Verdict


def github_commands(verdict: Verdict, *, file: str | None = None) -> Iterator[str]:
    """An error for each rule that fails, a warning for each that is not judged, a notice where the gate passes.

    file: the gate's, from the root of the repository; by default as it was named.
    """
    file = verdict.gate.file if file is None else file
    for each in verdict.rulings:
        if each.standing != "passed":
            level = "error" if each.standing == "failed" else "warning"
            place = {"file": file, "line": str(each.line) if each.line and file else ""}
            yield command(level, {**place, "title": each.name}, each.reason)
    if verdict.has_passed:
        yield command("notice", {"file": file, "title": f"gate {verdict.gate.name}"}, verdict.headline)


def command(level: str, properties: dict[str, str], message: str) -> str:
    """One annotation: `error`, `warning` or `notice`, its place (`file`, `line`, `title`), and what it says."""
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::{level}{' ' if given else ''}{given}::{_data(message)}"


def _data(text: str) -> str:
    """What stands after `::`: a line end in it would begin a command of somebody else's."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
