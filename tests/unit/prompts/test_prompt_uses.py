"""What the code of a project tells of its prompts, from small pieces of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from textwrap import dedent

import pytest

from surefoot.prompts.fitting import Given, Scanned, Use, scan, users

HEAD = "from surefoot import Prompty, Reply, Router, Workflow, flow, generate, prompt, step\n"


def scanned(folder: Path, **files: str) -> Scanned:
    """Scan modules with these texts; `__` in a name is a folder."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    return scan(folder)


def only(folder: Path, text: str) -> Use:
    """The one use of a module, beside the places where its prompts are fetched."""
    uses = [use for use in scanned(folder, flows=HEAD + dedent(text)).uses if use.way != "load"]
    assert len(uses) == 1, uses
    return uses[0]


def types_of(use: Use) -> dict[str, str]:
    return {name: given.type for name, given in use.inputs.items()}


# How a reference is found

REFERENCES = {
    "as it stands": 'generate("summary@2", q=1)',
    "sync": 'generate.sync("summary@2", q=1)',
    "awaited": 'async def f():\n    return await generate("summary@2", q=1)',
    "a constant": 'REF = "summary@2"\ngenerate(REF, q=1)',
    "a constant of parts": 'V = "2"\ngenerate("summary" + "@" + V, q=1)',
    "an f-string of constants": 'V = "2"\ngenerate(f"summary@{V}", q=1)',
    "a table of constants": 'REFS = {"short": "summary@2", "long": "x"}\ngenerate(REFS["short"], q=1)',
    "an attribute of a class": 'class Refs:\n    SHORT = "summary@2"\ngenerate(Refs.SHORT, q=1)',
    "a prompt": 'generate(prompt("summary@2"), q=1)',
    "rendered at once": 'Prompty.load_template("summary@2").render(q=1)',
    "messages": 'prompt("summary@2").messages(q=1)',
    "asked by itself": 'prompt("summary@2").generate(q=1)',
    "asked by itself later": 'async def f():\n    await prompt("summary@2").generate_async(str, using="m", q=1)',
    "a local name": 'def f():\n    p = prompt("summary@2")\n    return p.render(q=1)',
    "a constant of the module": 'P = Prompty.load_template("summary@2")\ndef f():\n    return P.render(q=1)',
    "an attribute": (
        'class A:\n    def __init__(self):\n        self.p = prompt("summary@2")\n'
        "    def f(self):\n        return self.p.render(q=1)"
    ),
    "an attribute with None before": (
        "class A:\n    p = None\n    def __init__(self):\n        self.p = None\n"
        '        self.p = prompt("summary@2")\n    def f(self):\n        return self.p.render(q=1)'
    ),
    "an attribute of the class": 'class A:\n    p = prompt("summary@2")\n    def f(self):\n        self.p.render(q=1)',
    "an inherited attribute": (
        'class A:\n    def __init__(self):\n        self.p = prompt("summary@2")\n'
        "class B(A):\n    def f(self):\n        return self.p.render(q=1)"
    ),
    "an attribute of an object": (
        'class A:\n    p = prompt("summary@2")\ndef f():\n    a = A()\n    return a.p.render(q=1)'
    ),
    "a cached property": (
        "from functools import cached_property\nclass A:\n    @cached_property\n"
        '    def p(self):\n        return prompt("summary@2")\n    def f(self):\n        self.p.render(q=1)'
    ),
    "what a function gives": 'def make():\n    return prompt("summary@2")\ndef f():\n    make().render(q=1)',
    "given or else": 'def f(p=None):\n    p = p or prompt("summary@2")\n    return p.render(q=1)',
    "by the walrus": 'if (p := prompt("summary@2")):\n    p.render(q=1)',
    "the module by another name": 'import surefoot as sf\nsf.generate("summary@2", q=1)',
    "the function by another name": 'from surefoot import generate as g\ng("summary@2", q=1)',
    "a name for the function": 'ask = generate.sync\nask("summary@2", q=1)',
    "an attribute for the function": (
        "class A:\n    def __init__(self):\n        self.ask = generate\n"
        '    def f(self):\n        self.ask("summary@2", q=1)'
    ),
    "imported in the function": 'def f():\n    from surefoot import generate as g\n    g("summary@2", q=1)',
    "from the room": 'from surefoot.prompts import Prompty as P\nP.load_template("summary@2").render(q=1)',
    "import that may fail": (
        'try:\n    from surefoot import generate as g\nexcept ImportError:\n    g = None\ng("summary@2", q=1)'
    ),
    "in a comprehension": '[generate.sync("summary@2", q=x) for x in (1, 2)]',
    "in a lambda": 'f = lambda x: generate.sync("summary@2", q=x)',
    "in a default": 'def f(x=generate.sync("summary@2", q=1)): ...',
    "in a decorator": '@generate.sync("summary@2", q=1)\ndef f(): ...',
    "in a match": 'match 1:\n    case 1:\n        generate.sync("summary@2", q=1)',
    "by partial": 'from functools import partial\nask = partial(generate, "summary@2", q=1)',
    "overwritten before": 'p = prompt("other")\np = prompt("summary@2")\np.render(q=1)',
    "overwritten after": 'def f():\n    p = prompt("summary@2")\n    p.render(q=1)\n    p = prompt("other")',
    "a method over several lines": 'x = (\n    Prompty\n    .load_template("summary@2")\n    .render(q=1)\n)',
}


@pytest.mark.parametrize("text", REFERENCES.values(), ids=REFERENCES)
def test_a_reference_is_found(text: str, tmp_path: Path) -> None:
    use = only(tmp_path, text)
    assert (use.reference, use.unknown, list(use.inputs)) == ("summary@2", "", ["q"])


@pytest.mark.parametrize(
    "text",
    [
        'def f(p=None):\n    for name in ("a", "b"):\n        generate.sync(name, q=1)',
        "def f(ref):\n    generate.sync(ref, q=1)",
        'def f(kind):\n    generate.sync(f"summary@{kind}", q=1)',
        'REFS = {"a": "x"}\ndef f(kind):\n    generate.sync(REFS[kind], q=1)',
        "def f(p: Prompty):\n    p.render(q=1)",
        "def f(p: 'Prompty | None'):\n    p.render(q=1)",
        "import os\ngenerate.sync(os.environ['REF'], q=1)",
        "a = b\nb = a\ngenerate.sync(a, q=1)",
        "generate.sync(*args)",
    ],
)
def test_what_is_put_together_at_run_time_is_never_guessed(text: str, tmp_path: Path) -> None:
    use = only(tmp_path, text)
    assert use.reference == ""
    assert use.unknown


@pytest.mark.parametrize(
    "text",
    [
        "def generate(ref, **inputs): ...\ngenerate('summary', q=1)",
        "class generate: ...\ngenerate('summary', q=1)",
        "def f(generate):\n    generate('summary', q=1)",
        "from mine import generate\ngenerate('summary', q=1)",
        "from jinja2 import Template\nTemplate('x').render(q=1)",
        "def f(template):\n    template.render(q=1)",
        "class A:\n    def render(self, **k): ...\n    def f(self):\n        self.render(q=1)",
        "# generate('summary', q=1)",
        "'''generate('summary', q=1)'''\nTEXT = \"prompt('summary')\"",
        "generate([{'role': 'user', 'content': 'hi'}])",
        "asked = [{'role': 'user', 'content': 'hi'}]\ngenerate(asked + asked)",
        "for generate in []:\n    generate('summary')",
    ],
)
def test_what_only_looks_like_a_use_is_none(text: str, tmp_path: Path) -> None:
    assert scanned(tmp_path, flows=HEAD + text).uses == ()


def test_of_branches_each_is_a_use(tmp_path: Path) -> None:
    text = """
    def f(short, long):
        if short:
            ref = "a"
        elif long:
            ref = "b"
        else:
            ref = "c"
        generate.sync(ref, q=1)
        generate.sync("d" if short else "e", q=1)
    """
    uses = scanned(tmp_path, flows=HEAD + dedent(text)).uses
    assert [use.reference for use in uses] == ["a", "b", "c", "d", "e"]


def test_a_loop_may_come_round_to_what_it_binds_later(tmp_path: Path) -> None:
    text = """
    def f(xs):
        ref = "a"
        for x in xs:
            generate.sync(ref, q=x)
            ref = "b"
    """
    uses = scanned(tmp_path, flows=HEAD + dedent(text)).uses
    assert [use.reference for use in uses] == ["a", "b"]


def test_a_global_may_be_overwritten_by_any_function(tmp_path: Path) -> None:
    text = """
    REF = "a"
    def switch():
        global REF
        REF = "b"
    def f():
        generate.sync(REF, q=1)
    """
    uses = scanned(tmp_path, flows=HEAD + dedent(text)).uses
    assert [use.reference for use in uses] == ["a", "b"]


@pytest.mark.parametrize("is_package", [True, False])
def test_other_modules_are_followed_by_every_kind_of_import(is_package: bool, tmp_path: Path) -> None:
    (tmp_path / "app" / "deep").mkdir(parents=True)
    for folder in ("app", "app/deep") if is_package else ():
        (tmp_path / folder / "__init__.py").touch()
    found = scanned(
        tmp_path,
        app__refs='SHORT = "short"\n',
        app__llm="from surefoot import generate, prompt\nTRIAGE = prompt('triage')\n",
        app__deep__near="from ..llm import generate as ask, TRIAGE as t\nask('near', q=1)\nt.render(q=1)\n",
        app__one="from app.llm import generate\nfrom app import refs\ngenerate(refs.SHORT, q=1)\n",
        two="import app.llm as llm\nimport app.refs\nllm.generate(app.refs.SHORT, q=1)\n",
        three="from app.llm import *\ngenerate('star', q=1)\n",
    )
    used = {(use.file, use.reference) for use in found.uses if use.way != "load"}
    assert used == {
        ("app/deep/near.py", "near"),
        ("app/deep/near.py", "triage"),
        ("app/one.py", "short"),
        ("two.py", "short"),
        ("three.py", "star"),
    }


def test_modules_that_import_each_other(tmp_path: Path) -> None:
    found = scanned(
        tmp_path,
        a="from b import REF, AGAIN\nfrom surefoot import generate\nHERE = AGAIN\n"
        "generate(REF, q=1)\ngenerate(HERE, q=1)\n",
        b="from a import HERE\nREF = 'summary'\nAGAIN = HERE\n",
    )
    assert [(use.reference, bool(use.unknown)) for use in found.uses] == [("summary", False), ("", True)]


def test_a_module_of_the_same_name_as_the_library_is_not_asked(tmp_path: Path) -> None:
    found = scanned(
        tmp_path, surefoot="def generate(x): ...\n", flows="from surefoot import generate\ngenerate('a')\n"
    )
    assert [use.reference for use in found.uses] == ["a"]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ('"prompts/x.prompty"', "prompts/x.prompty"),
        ('Path("prompts") / "x.prompty"', "prompts/x.prompty"),
        ('Path(__file__).parent / "x.prompty"', "{folder}/x.prompty"),
        ('Path(__file__).resolve().parent / "x.prompty"', "{folder}/x.prompty"),
    ],
)
def test_a_file_that_is_loaded_by_its_path(path: str, shown: str, tmp_path: Path) -> None:
    use = only(tmp_path, f"from pathlib import Path\nPrompty.load({path}).render(q=1)")
    assert (use.reference, use.path) == ("", shown.format(folder=tmp_path))


# What is given

TYPES = {
    '"x"': "string",
    'f"{y}"': "string",
    '"a" + "b"': "string",
    '", ".join(y)': "string",
    "str(y)": "string",
    "1": "integer",
    "-1": "integer",
    "len(y)": "integer",
    "1.5": "number",
    "True": "boolean",
    "not y": "boolean",
    "1 < 2": "boolean",
    "None": "null",
    "[y]": "array",
    "(1, 2)": "array",
    "[a for a in y]": "array",
    "{'a': 1}": "object",
    "dict(a=1)": "object",
    "[] if y else [1]": "array",
    "[] if y else 1": "",
    "y": "",
    "y.z": "",
    "given_text": "string",
    "given_list": "array",
    "given_maybe": "",
    "counted()": "integer",
    "prompt('a').render": "",
}


@pytest.mark.parametrize(("value", "type_"), TYPES.items())
def test_the_type_of_what_is_given(value: str, type_: str, tmp_path: Path) -> None:
    text = f"""
    def counted() -> int: ...
    def f(y, given_text: str, given_list: list[str], given_maybe: str | int):
        generate.sync("a", x={value})
    """
    assert types_of(only(tmp_path, text)) == {"x": type_}


def test_a_builtin_of_ones_own_says_nothing(tmp_path: Path) -> None:
    assert types_of(only(tmp_path, "def len(x): ...\ngenerate.sync('a', x=len('y'))")) == {"x": ""}


def test_a_literal_is_known_with_its_value(tmp_path: Path) -> None:
    use = only(tmp_path, "TONE = 'warm'\ngenerate.sync('a', tone=TONE)")
    assert use.inputs == {"tone": Given("string", is_literal=True, value="warm")}


@pytest.mark.parametrize(
    ("call", "names", "is_open"),
    [
        ("generate.sync('a', using='m', b=1, c=2)", ["b", "c"], False),
        ("generate.sync('a', **{'b': 1})", ["b"], False),
        ("generate.sync('a', b=1, **rest)", ["b"], True),
        ("generate.sync('a', str, b=1)", ["b"], False),
        ("prompt('a').render(using=1)", ["using"], False),
    ],
)
def test_the_names_that_are_given(call: str, names: list[str], is_open: bool, tmp_path: Path) -> None:
    use = only(tmp_path, f"rest = read()\n{call}")
    assert (list(use.inputs), use.is_open) == (names, is_open)


def test_a_name_that_a_module_does_not_bind_is_not_known(tmp_path: Path) -> None:
    texts = {
        "mod": "def __getattr__(name):\n    return 'summary'\n",
        "pkg__inner": "REF = 'summary@2'\n",
        "flows": HEAD + "import mod\nimport pkg\ngenerate(mod.REF, q=1)\ngenerate(pkg.gone, q=1)\n"
        "generate(pkg.inner.REF, q=1)\n",
    }
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").touch()
    found = scanned(tmp_path, **texts)
    assert [(use.reference, use.unknown) for use in found.uses] == [
        ("", "mod has no `REF`"),
        ("", "pkg has no `gone`"),
        ("summary@2", ""),
    ]


def test_a_router_gives_the_inputs_to_the_prompt_that_sorts(tmp_path: Path) -> None:
    text = "generate.sync('a', using=Router(classify=prompt('triage'), routes={'x': 'm'}), q=1)"
    uses = [use for use in scanned(tmp_path, flows=HEAD + text).uses if use.way == "generate"]
    assert [(use.reference, list(use.inputs)) for use in uses] == [("a", ["q"]), ("triage", ["q"])]


# What is read

CLASSES = {
    "a dataclass": "from dataclasses import dataclass, field\n@dataclass\nclass A:\n    text: str\n"
    "    score: float = 0\n    more: list[str] = field(default_factory=list)\n",
    "a model": "from pydantic import BaseModel, Field\nclass A(BaseModel):\n    text: str\n"
    "    score: float = Field(0, ge=0)\n    more: list[str] = Field(default_factory=list)\n",
    "a model with aliases": "import pydantic\nclass A(pydantic.BaseModel):\n"
    "    t: str = pydantic.Field(alias='text')\n    score: float = 0\n    more: list[str] = []\n",
    "a TypedDict": "from typing import TypedDict, NotRequired\nclass A(TypedDict):\n    text: str\n"
    "    score: NotRequired[float]\n    more: NotRequired[list[str]]\n",
    "an inherited one": "from pydantic import BaseModel\nclass B(BaseModel):\n    text: str\n"
    "class A(B):\n    score: float = 0\n    more: list[str] = []\n",
    "a schema": "A = {'type': 'object', 'required': ['text'], 'properties': {'text': {'type': 'string'}, "
    "'score': {'type': 'number'}, 'more': {'type': 'array'}}}\n",
}


@pytest.mark.parametrize("kind", ["A", "Reply[A]"])
@pytest.mark.parametrize("text", CLASSES.values(), ids=CLASSES)
def test_the_fields_of_the_type_that_is_asked_for(text: str, kind: str, tmp_path: Path) -> None:
    use = only(tmp_path, f"{text}generate.sync('a', {kind}, q=1)")
    assert use.output == {
        "text": Given("string"),
        "score": Given("number", is_needed=False),
        "more": Given("array", is_needed=False),
    }
    assert use.kind == kind


def test_a_type_of_another_module(tmp_path: Path) -> None:
    found = scanned(
        tmp_path,
        shapes="from pydantic import BaseModel\nclass Summary(BaseModel):\n    text: str\n",
        flows=HEAD + "import shapes\ngenerate.sync('a', shapes.Summary)\n",
    )
    assert found.uses[0].output == {"text": Given("string")}


@pytest.mark.parametrize("kind", ["str", "list[int]", "Elsewhere", "make()", "Plain"])
def test_a_type_without_known_fields(kind: str, tmp_path: Path) -> None:
    text = f"from other import Elsewhere\nclass Plain:\n    text: str\ngenerate.sync('a', {kind})"
    assert only(tmp_path, text).output is None


@pytest.mark.parametrize(
    "text",
    [
        "async def f():\n    r = await generate('a')\n    return r['x'], r.get('y')",
        "r = generate.sync('a')\nprint(r['x'])\nr.get('y', 1)",
        "def f():\n    return generate.sync('a')\nf()['x']\nf().get('y')",
    ],
)
def test_the_keys_that_are_read_from_an_answer(text: str, tmp_path: Path) -> None:
    assert only(tmp_path, text).output == {"x": Given(), "y": Given(is_needed=False)}


def test_keys_of_what_may_be_another_value_say_nothing(tmp_path: Path) -> None:
    use = only(tmp_path, "def f(c):\n    r = generate.sync('a') if c else {}\n    return r['x']")
    assert use.output is None


# Who uses it

FLOWS = """
@flow
def plain(q: str): return helper(q)
@flow(name="named")
async def other(q: str): return await step_of(q)
class Answer(Workflow, name="answer"):
    def __init__(self):
        super().__init__()
        self.prompt = prompt("c")
    def run(self, q): return self.ask(q)
    def ask(self, q): return self.prompt.render(q=q)
@step
async def step_of(q):
    def inner(): return generate.sync("b", q=q)
    return inner()
def helper(q): return [deeper(x) for x in q]
def deeper(q): return generate.sync("a", q=q)
def nobody(q): return generate.sync("d", q=q)
generate.sync("e")
def first(n): return second(n)
def second(n):
    generate.sync("f")
    return first(n)
"""


def test_the_flows_that_come_by(tmp_path: Path) -> None:
    uses = {use.reference: use for use in scanned(tmp_path, flows=HEAD + FLOWS).uses if use.way != "load"}
    assert {name: (use.flows, use.function) for name, use in uses.items()} == {
        "a": (("plain",), "deeper"),
        "b": (("named",), "step_of.inner"),
        "c": (("answer",), "Answer.ask"),
        "d": ((), "nobody"),
        "e": ((), ""),
        "f": ((), "second"),
    }


def test_flows_of_other_modules(tmp_path: Path) -> None:
    found = scanned(
        tmp_path,
        asking="from surefoot import generate\ndef ask(q): return generate.sync('a', q=q)\n",
        flows=HEAD + "from asking import ask as put\n@flow\ndef answer(q): return put(q)\n",
    )
    assert found.uses[0].flows == ("answer",)


def test_users_of_a_prompt(tmp_path: Path) -> None:
    text = (
        HEAD
        + "@flow\ndef one(q):\n    generate.sync('a@2', q=q)\n    generate.sync('ab', q=q)\ndef two(): prompt('a')\n"
    )
    found = users("a", scanned(tmp_path, flows=text).uses)
    assert [(user.flow, user.function, user.line, user.reference) for user in found] == [
        ("one", "one", 4, "a@2"),
        ("", "two", 6, "a"),
    ]


# Bad input


def test_a_file_with_a_mistake_is_left_out_and_the_rest_goes_on(tmp_path: Path) -> None:
    found = scanned(tmp_path, bad="import surefoot\n\ndef f(:\n", good=HEAD + "generate.sync('a')\n")
    assert [use.file for use in found.uses] == ["good.py"]
    (left,) = found.left
    assert (left.file, left.line) == ("bad.py", 3)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"import surefoot\nx = '\xff\xfe'\n", ""),
        (b"# -*- coding: no-such -*-\nimport surefoot\n", "encoding"),
        (b"import surefoot\0\n", "null bytes"),
        (b"import surefoot\nx = " + b"(" * 2000 + b")" * 2000, "parentheses"),
        (b"import surefoot\nx = " + b"-" * 100_000 + b"1\n", ""),
        (b"import surefoot\nx = 1" + b" + 1" * 50_000 + b"\n", ""),
        (b"import surefoot\n" + b"#" * 1_100_000, "bytes"),
    ],
    ids=["utf-8", "cookie", "null", "parentheses", "deep", "long", "large"],
)
def test_a_file_that_cannot_be_read(content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_bytes(content)
    (tmp_path / "good.py").write_text(HEAD + "generate.sync('a')\n", encoding="utf-8")
    found = scan(tmp_path)
    assert [use.reference for use in found.uses] == ["a"]
    assert [left.file for left in found.left] == ["bad.py"]
    assert why in found.left[0].why


def test_another_encoding_that_is_declared(tmp_path: Path) -> None:
    text = "# -*- coding: latin-1 -*-\nfrom surefoot import generate\ngenerate('a', name='\xe9')\n"
    (tmp_path / "flows.py").write_bytes(text.encode("latin-1"))
    assert scan(tmp_path).uses[0].inputs["name"].value == "\xe9"


def test_what_is_installed_built_or_hidden_is_not_looked_at(tmp_path: Path) -> None:
    use = "from surefoot import generate\ngenerate('{}')\n"
    for folder in (
        ".venv",
        "node_modules",
        "own/lib",
        "build",
        "dist",
        ".git",
        "x.egg-info",
        "__pycache__",
        "pkg/build",
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "flows.py").write_text(use.format(folder), encoding="utf-8")
    (tmp_path / "own" / "pyvenv.cfg").touch()
    (tmp_path / "pkg" / "build" / "__init__.py").touch()
    assert [one.reference for one in scan(tmp_path).uses] == ["pkg/build"]


def test_links_in_a_circle_and_to_nowhere(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "flows.py").write_text(
        "from surefoot import generate\ngenerate('a')\n", encoding="utf-8"
    )
    os.symlink(tmp_path, tmp_path / "pkg" / "round")
    os.symlink(tmp_path / "pkg" / "flows.py", tmp_path / "twin.py")
    os.symlink(tmp_path / "nowhere.py", tmp_path / "gone.py")
    assert len(scan(tmp_path).uses) == 1


def test_a_project_that_is_too_large_says_what_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("surefoot.prompts.fitting.project.MAX_FILES", 3)
    found = scanned(
        tmp_path, **{f"m{at}": "from surefoot import generate\ngenerate('a')\n" for at in range(9)}
    )
    assert len(found.uses) == 3
    assert [(left.file, "more than 3" in left.why) for left in found.left] == [("m3.py", True)]


@pytest.mark.parametrize("last", ["'a'", "x11"])
def test_names_of_names_are_looked_up_once(last: str, tmp_path: Path) -> None:
    lines = "".join(f"x{at} = (x{at - 1} if c else x{at - 1}) or x{at - 1}\n" for at in range(1, 12))
    found = scanned(tmp_path, flows=f"{HEAD}x0 = {last}\n{lines}generate(x11)\nprompt(x5).render(q=x11)\n")
    assert {use.reference for use in found.uses} == ({"a"} if last == "'a'" else {""})


def test_what_returns_itself(tmp_path: Path) -> None:
    text = "def a(): return b()\ndef b(): return a() or b()\na().render(q=1)\ngenerate(b(), q=a())\n"
    assert [bool(use.unknown) for use in scanned(tmp_path, flows=HEAD + text).uses] == [True]


def notebook(*cells: object) -> str:
    return json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]})


def test_the_cells_of_a_notebook_are_one_module(tmp_path: Path) -> None:
    cells = (
        ["%pip install x\n", "from surefoot import generate\n"],
        "%%bash\ngenerate('no')",
        "def f(:",
        "!ls\nawait generate('a', q=1)",
    )
    (tmp_path / "play.ipynb").write_text(notebook(*cells), encoding="utf-8")
    found = scan(tmp_path)
    assert [(use.file, use.line, use.reference) for use in found.uses] == [("play.ipynb:cell 4", 2, "a")]
    assert [(left.file, left.line) for left in found.left] == [("play.ipynb:cell 3", 1)]


@pytest.mark.parametrize(
    "text", ["surefoot", "[1]", '{"surefoot": 1}', '{"cells": [1, {"source": 2}], "a": "surefoot"}']
)
def test_what_is_no_notebook(text: str, tmp_path: Path) -> None:
    (tmp_path / "play.ipynb").write_text(text, encoding="utf-8")
    assert scan(tmp_path).uses == ()
