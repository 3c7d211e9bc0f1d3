"""Whether a version of a prompt fits its uses, and which recorded uses still count."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from surefoot.prompts import Prompt, Property, rendering
from surefoot.prompts.definition import Names
from surefoot.prompts.fitting import (
    Given,
    Scanned,
    Use,
    concerned,
    misfits,
    scan,
    standing,
)
from surefoot.prompts.loading import parse
from surefoot.values import PromptUse

DAY_NS = 86_400 * 10**9
NOW_NS = 1_800_000_000 * 10**9


def prompt(front: str, template: str = "user:\nhello\n", *, name: str = "p.prompty") -> Prompt:
    return parse(f"---\nname: summary\nversion: '3'\n{dedent(front).strip()}\n---\n{template}", Path(name))


def told(version: Prompt, use: Use, before: Prompt | None = None) -> list[str]:
    names = rendering.names_of(version)
    return [misfit.problem for misfit in misfits(version, [use], names=names, before=before)]


def use(**inputs: object) -> Use:
    """A use that gives these: a type by its name, or a literal in a tuple."""
    given = {name: Given(str(one)) if not isinstance(one, Given) else one for name, one in inputs.items()}
    return Use("generate", "flows.py", 7, reference="summary", inputs=given)


ONE = prompt("inputs:\n  text: {type: string}\n  tone: {type: string, default: warm}\n")


def test_a_use_that_fits() -> None:
    assert told(ONE, use(text="string")) == []
    assert told(ONE, use(text="string", tone="string")) == []
    assert told(ONE, use(text="")) == []


def test_what_is_required_and_not_given() -> None:
    assert told(ONE, use()) == ["requires `text`, which is not given here"]
    two = prompt("inputs:\n  a: {type: string}\n  b: {type: string}\n  c: {type: string}\n")
    assert told(two, use()) == ["requires `a`, `b` and `c`, which are not given here"]


def test_of_an_open_use_only_what_is_there_counts() -> None:
    opened = Use(
        "generate", "flows.py", 7, reference="summary", is_open=True, inputs={"tone": Given("integer")}
    )
    assert told(ONE, opened) == ["declares `tone` as string, and integer is given here"]


@pytest.mark.parametrize(
    "unknown", [Use("load", "flows.py", 7, reference="summary"), Use("generate", "f", 1, unknown="x")]
)
def test_of_what_is_not_known_nothing_is_told(unknown: Use) -> None:
    assert told(ONE, unknown) == []


def test_what_the_prompt_does_not_take() -> None:
    (misfit,) = misfits(ONE, [use(text="string", tonne="string")], names=Names())
    assert str(misfit) == (
        "flows.py:7: summary@3 does not take `tonne`, which is given here (it takes `text` and `tone`); "
        "did it mean `tone`? take it out there, or let the prompt take it"
    )
    assert told(prompt("model: {api: chat}"), use(x="string")) == [
        "does not take `x`, which is given here (it takes nothing)"
    ]


def test_names_of_the_template_are_inputs_too() -> None:
    short = parse("prompt_id: summary\nversion: '3'\ntemplate: |\n  {text} {tone}\n", Path("p.yaml"))
    assert told(short, use(text="string")) == ["requires `tone`, which is not given here"]
    assert told(short, use(text="string", tone="string")) == []


def test_in_a_prompty_file_nobody_has_to_give_what_is_not_declared() -> None:
    for front in ("displayName: x", "model: {api: chat}"):
        assert told(prompt(front, "user:\n{{ text }}\n"), use()) == []


def test_of_an_older_dialect_the_sample_is_meant_where_nothing_is_given() -> None:
    sampled = prompt("inputs:\n  a: {type: string}\n  b: {type: string}\nsample: {a: x, b: y}\n")
    assert told(sampled, use()) == []
    assert told(sampled, use(a="string")) == ["requires `b`, which is not given here"]


FITS = {
    "string": {"string"},
    "integer": {"integer"},
    "number": {"integer", "number"},
    "boolean": {"boolean"},
    "array": {"array"},
    "object": {"object"},
}


@pytest.mark.parametrize("declared", FITS)
@pytest.mark.parametrize("given", ["string", "integer", "number", "boolean", "array", "object", ""])
def test_types(declared: str, given: str) -> None:
    version = prompt(f"inputs:\n  x: {{type: {declared}}}\n")
    fits = not given or given in FITS[declared]
    assert told(version, use(x=given)) == (
        [] if fits else [f"declares `x` as {declared}, and {given} is given here"]
    )


def test_a_literal_is_shown() -> None:
    given = Given("integer", is_literal=True, value=12)
    assert told(ONE, use(text=given)) == ["declares `text` as string, and 12 is given here"]


def test_nothing_fits_what_need_not_be_given() -> None:
    optional = prompt("inputs:\n  x: {type: string, required: false}\n")
    assert told(optional, use(x="null")) == []
    assert told(ONE, use(text="null")) == ["declares `text` as string, and null is given here"]


def test_one_of_the_values_that_are_listed() -> None:
    version = Prompt(
        *("summary", "3", "0" * 64, "prompty-v2", "", ""),
        inputs={"tone": Property("tone", "string", enum=("warm", "cold"))},
    )
    for value, count in (("warm", 0), ("hot", 1)):
        given = use(tone=Given("string", is_literal=True, value=value))
        assert len(misfits(version, [given], names=Names())) == count
    assert misfits(version, [use(tone="string")], names=Names()) == []


def outputs(**types: str) -> Prompt:
    """A version whose outputs have these types; with a `?` they may be missing."""
    declared = {
        name: Property(name, one.rstrip("?"), is_required=not one.endswith("?"))  # type: ignore[arg-type]
        for name, one in types.items()
    }
    return Prompt("summary", "3", "0" * 64, "prompty-v2", "", "", outputs=declared)


def reading(kind: str = "Summary", /, **fields: Given) -> Use:
    return Use("generate", "flows.py", 7, reference="summary", output=fields, kind=kind)


def problems(version: Prompt, one: Use, before: Prompt | None = None) -> list[str]:
    return [misfit.problem for misfit in misfits(version, [one], names=Names(), before=before)]


def test_outputs_that_fit() -> None:
    version = outputs(text="string", score="number", more="any")
    fields = {
        "text": Given("string"),
        "score": Given("number"),
        "more": Given("array"),
        "extra": Given(is_needed=False),
    }
    assert problems(version, reading(**fields)) == []
    assert problems(outputs(score="integer"), reading(score=Given("number"))) == []


def test_an_output_that_is_not_declared() -> None:
    assert problems(outputs(text="string"), reading(score=Given("number"))) == [
        "does not declare the output `score`, which Summary reads (its outputs are `text`)"
    ]
    assert problems(outputs(), reading(score=Given("number"))) == []


def test_an_output_that_is_declared_no_longer() -> None:
    before = outputs(text="string", score="number")
    assert problems(outputs(), reading("", score=Given()), before) == [
        "no longer declares the output `score`, which the code reads (it has no outputs)"
    ]
    assert problems(outputs(), reading("", score=Given(is_needed=False)), before) == []


def test_an_output_of_another_type() -> None:
    assert problems(outputs(score="string"), reading(score=Given("number"))) == [
        "declares the output `score` as string, and Summary reads a number"
    ]
    assert problems(outputs(score="number"), reading(score=Given("integer"))) == [
        "declares the output `score` as number, and Summary reads an integer"
    ]


def test_an_output_that_may_be_missing_now() -> None:
    before, after = outputs(score="number"), outputs(score="number?")
    assert problems(after, reading(score=Given("number")), before) == [
        "no longer requires the output `score`, which Summary cannot do without"
    ]
    assert problems(after, reading(score=Given("number", is_needed=False)), before) == []
    assert problems(after, reading(score=Given("number")), after) == []


def test_which_uses_a_label_concerns() -> None:
    references = ["summary", "summary@production", "summary@staging", "summary@3", "summary_v2", "other"]
    uses = [Use("render", "flows.py", at, reference=one) for at, one in enumerate(references)]

    def found(label: str) -> list[str]:
        return [one.reference for one in concerned(uses, "summary", label, default="production")]

    assert found("production") == ["summary", "summary@production"]
    assert found("staging") == ["summary@staging"]
    assert found("canary") == []


# Recorded uses

CODE = """\
from surefoot import generate, prompt

def static(q):
    return generate.sync("summary", text=q)

def dynamic(ref, q):
    return generate.sync(ref, text=q)

def opened(**rest):
    return generate.sync("other", **rest)

def hidden(holder, q):
    return holder.template.render(text=q)

def nothing():
    return 1
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    folder = tmp_path_factory.mktemp("code")
    (folder / "flows.py").write_text(CODE, encoding="utf-8")
    (folder / "broken.py").write_text("import surefoot\ndef f(:\n", encoding="utf-8")
    (folder / "plain.py").write_text("import surefoot\n", encoding="utf-8")
    return scan(folder)


def recorded(
    line: int, *, file: str = "flows.py", reference: str = "summary", days: float = 1.0
) -> PromptUse:
    used = NOW_NS - round(days * DAY_NS)
    return PromptUse(
        "summary",
        reference,
        "d" * 64,
        "answer",
        {"x": "string", "y": "Customer"},
        None,
        file,
        line,
        "R",
        used,
    )


def kept(code: Scanned, one: PromptUse, *, days: float = 30) -> bool:
    return bool(standing(code, [one], now_ns=NOW_NS, days=days))


@pytest.mark.parametrize(
    ("one", "counts"),
    [
        (recorded(4), False),
        (recorded(7), True),
        (recorded(10, reference="other"), True),
        (recorded(13), True),
        (recorded(16), False),
        (recorded(16, reference="elsewhere"), True),
        (recorded(2, file="plain.py"), False),
        (recorded(2, file="broken.py"), True),
        (recorded(4, file="/other/flows.py"), True),
        (recorded(0, file=""), True),
        (recorded(7, days=31), False),
        (recorded(4, file="/other/flows.py", days=31), False),
    ],
    ids=[
        "the code names it there",
        "put together at run time",
        "names not written down",
        "a call of something",
        "gone, and named elsewhere in the file",
        "gone, but something in the file may be it",
        "gone from a file without any",
        "a file that cannot be parsed",
        "code of others",
        "no place",
        "long ago",
        "code of others, long ago",
    ],
)
def test_which_recorded_uses_count(code: Scanned, one: PromptUse, counts: bool) -> None:
    assert kept(code, one) == counts


def test_a_recorded_use_as_a_use(code: Scanned) -> None:
    (one,) = standing(code, [recorded(7)], now_ns=NOW_NS, days=30)
    assert (one.origin, one.flows, one.place, one.run_id) == ("run", ("answer",), "flows.py:7", "R")
    assert one.inputs == {"x": Given("string"), "y": Given("")}


def test_a_file_that_a_run_has_loaded_by_its_path_is_no_reference(code: Scanned) -> None:
    (one,) = standing(code, [recorded(7, reference="file:x.prompty")], now_ns=NOW_NS, days=30)
    assert (one.reference, one.path) == ("", "x.prompty")
