"""`surefoot prompt test`: the cases that lie beside prompts."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from surefoot.cli.options import documented, json_errors, json_option

if TYPE_CHECKING:
    from rich.console import Console

    from surefoot.app import App
    from surefoot.evals.prompting import Asking, CaseResult, CasesFile, Results
    from surefoot.prompts import Prompt

_MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("-", "yellow")}


@documented(
    example="surefoot prompt test\n"
    "surefoot prompt test summary@2 prompts/triage.prompty\n"
    "surefoot prompt test --model local:smollm2 --junit results.xml"
)
@click.argument("targets", nargs=-1)
@click.option(
    "--case", "name", default="", metavar="TEXT", help="The cases whose name holds this text alone."
)
@click.option(
    "--live", "is_live", is_flag=True, help="Ask the model of the case or of the prompt in all cases."
)
@click.option("--model", default="", metavar="NAME:MODEL", help="Ask this model in all cases.")
@click.option("--junit", metavar="FILE", help="Write the results as JUnit's XML, too.")
@json_option
@json_errors
def command(  # noqa: PLR0917
    targets: tuple[str, ...],
    name: str,
    is_live: bool,  # noqa: FBT001
    model: str,
    junit: str | None,
    as_json: bool,  # noqa: FBT001
) -> int:
    """Run the cases beside the prompts of TARGETS, or of all prompts, and exit with 1 where one fails.

    The cases of summary.prompty are in summary.cases.yaml. A target is the path of a prompt file or of a file of
    cases, or a reference into the library. What is expected of messages needs no model; of an answer, the case has the
    answer of a script, or names a model. Without --live and --model nothing is asked that costs, unless a case names
    its model.
    """
    from surefoot.app import App
    from surefoot.cli import screen
    from surefoot.errors import InvalidInput
    from surefoot.evals.prompting import Asking, Results, junit_xml

    screen.show_warnings()
    with closing(App.current()) as app, app.entered():
        suites, untested = chosen(app, targets)
        asking = Asking(model, is_live)
        pages = screen.err() if as_json else screen.out()
        results: list[CaseResult] = []
        for result in _results(app, suites, name, asking):
            if not as_json:
                print_result(pages, result, is_first=not results or results[-1].prompt != result.prompt)
            results.append(result)
        if not results:
            names = ", ".join(repr(case.name) for suite in suites for case in suite.cases.cases)
            raise InvalidInput(f"no case has {name!r} in its name; there are: {names}")
        found = Results(results, untested)
    if junit is not None:
        write(Path(junit).expanduser(), junit_xml(found))
    if as_json:
        screen.print_json(found.to_json())
    else:
        print_sum(pages, found)
    sys.stdout.flush()
    return 0 if found.is_passed else 1


@dataclass(frozen=True, slots=True)
class Suite:
    """A prompt and its cases; `target` is how it was named."""

    target: str
    prompt: Prompt
    cases: CasesFile


def _results(app: App, suites: Sequence[Suite], name: str, asking: Asking) -> Iterator[CaseResult]:
    from surefoot.cli.prompt import targets
    from surefoot.evals.prompting import run_case

    for suite in suites:
        inputs = targets.flow_inputs(suite.target, suite.prompt)
        for case in suite.cases.cases:
            if name.lower() in case.name.lower():
                yield run_case(suite.prompt, case, asking, start=app.run, flow_inputs=inputs)


def chosen(app: App, targets: Sequence[str]) -> tuple[list[Suite], list[str]]:
    """The prompts with their cases, and the labels of those that have none.

    Raises `InvalidInput` where a target has no cases, or nothing has, and for files with mistakes, all in one.
    """
    from surefoot.errors import InvalidInput, UsageError

    if targets:
        return [_suite(app, target) for target in targets], []
    folder = app.prompts.folder
    if not folder.is_dir():
        raise InvalidInput(f"the folder {folder} does not exist: make it, set prompts.path, or name a file")
    suites: list[Suite] = []
    problems: list[str] = []
    for path in sorted(folder.rglob("*.cases.yaml")):
        try:
            suites.append(_of_cases(app, path))
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise InvalidInput("\n".join(problems))
    if not suites:
        raise InvalidInput(
            f"{folder} holds no cases: write NAME.cases.yaml beside a prompt, with `cases` and what is expected"
        )
    tested = {suite.prompt.name for suite in suites}
    return suites, sorted({prompt.label for prompt in app.prompts.prompts() if prompt.name not in tested})


def _suite(app: App, target: str) -> Suite:
    from surefoot.cli.prompt import targets as named
    from surefoot.errors import InvalidInput, UsageError
    from surefoot.evals.prompting import SUFFIX, cases_beside, read_cases

    path = Path(target).expanduser()
    if target.endswith(SUFFIX):
        if not path.is_file():
            raise InvalidInput(f"there is no file {target}")
        return _of_cases(app, path)
    prompt = named.found(app, target)
    places = [cases_beside(source) for source in _sources(app, prompt)]
    for place in places:
        if place.is_file():
            return Suite(target, prompt, read_cases(place))
    # A file of cases may lie elsewhere and name its prompt.
    for place in sorted(app.prompts.folder.rglob(f"*{SUFFIX}")):
        try:
            cases = read_cases(place)
        except UsageError:
            # It is no matter of this prompt, unless nothing else is.
            continue
        if cases.prompt.partition("@")[0] == prompt.name:
            return Suite(target, prompt, cases)
    where = places[0] if places else f"{prompt.name}{SUFFIX}"
    raise InvalidInput(f"{prompt.label} has no cases: write {where}, with `cases` and what is expected")


def _sources(app: App, prompt: Prompt) -> Iterator[Path]:
    """Where the file of a prompt is, or where those of its other versions are."""
    if prompt.source is not None:
        yield prompt.source
    for other in app.prompts.prompts():
        if other.name == prompt.name and other.source not in (None, prompt.source):
            yield other.source


def _of_cases(app: App, path: Path) -> Suite:
    """The prompt of a file of cases: the one that it names, else the one whose file lies beside it."""
    from surefoot.cli.prompt import targets as named
    from surefoot.errors import InvalidInput
    from surefoot.evals.prompting import SUFFIX, read_cases
    from surefoot.prompts.loading import ENDINGS

    cases = read_cases(path)
    if cases.prompt:
        return Suite(cases.prompt, named.found(app, cases.prompt), cases)
    stem = path.name.removesuffix(SUFFIX)
    beside = [other for other in (path.with_name(f"{stem}{ending}") for ending in ENDINGS) if other.is_file()]
    if len(beside) != 1:
        there = " and ".join(other.name for other in beside)
        what = f"{there} are both beside it" if beside else f"there is no {stem}.prompty beside it"
        raise InvalidInput(f"{path}: {what}: say whose cases these are, `prompt: NAME`")
    return Suite(str(beside[0]), named.found(app, str(beside[0])), cases)


def print_result(console: Console, result: CaseResult, *, is_first: bool) -> None:
    """One case on one line, and below it what was not as expected."""
    from surefoot.cli import screen, words
    from surefoot.cli.prompt.page import say

    if is_first:
        console.print(screen.styled((result.prompt, "bold"), (f"  {result.digest[:8]}", "dim")))
    mark, colour = _MARKS[result.standing]
    figures = [f"{result.model}"] if result.model not in ("", "scripted") else []
    if result.run_id:
        figures += [words.tokens(result.usage), "cost unknown" if result.cost is None else str(result.cost)]
        figures += [f"run {result.run_id[:13]}"]
    beside = f"  {' · '.join(figures)}" if figures else ""
    console.print(
        screen.styled("  ", (mark, colour), f" {result.case.name}", (beside, "dim")), soft_wrap=True
    )
    if result.standing == "failed":
        say(console, screen.styled((result.case.place, "dim")), indent=6)
    if result.reason:
        say(console, screen.styled((screen.harmless(result.reason), colour)), indent=6)
    for one in result.misses:
        say(console, screen.styled((one.what, "red")), indent=6)
        say(console, screen.styled("expected ", (screen.harmless(one.expected), "green")), indent=8)
        say(console, screen.styled("got      ", (screen.harmless(one.got), "red")), indent=8)


def print_sum(console: Console, results: Results) -> None:
    """How many cases there were, and which prompts have none."""
    from surefoot.cli import screen, words

    said = [f"{results.count('passed')} passed", f"{results.count('failed')} failed"]
    if results.count("skipped"):
        said.append(f"{results.count('skipped')} skipped")
    console.print(
        screen.styled((", ".join(said), "bold green" if results.is_passed else "bold red")), soft_wrap=True
    )
    if results.untested:
        noun = words.counted(len(results.untested), "prompt")
        console.print(
            screen.styled((f"without cases: {noun}: {', '.join(results.untested)}", "dim")), soft_wrap=True
        )


def write(path: Path, text: str) -> None:
    """Write a file of results. Raises `InvalidInput` where that cannot be done."""
    from surefoot.errors import InvalidInput

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(
            f"--junit {path} cannot be written ({error.strerror}): name another file"
        ) from None
