"""Where untrusted text can lead in a flow, told from small pieces of code."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from surefoot.flows.checking import Crossing, Report, checked
from surefoot.prompts.fitting.project import Project

HEAD = """\
import asyncio
import dataclasses
import enum
import functools
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, Optional
from pydantic import BaseModel
from surefoot import Call, Fallback, Reply, Text, Tiered, Workflow, endorse, flow, generate, prompt, step
from surefoot import trusted, wait_for

Severity = Literal["low", "high"]

class Colour(enum.Enum):
    RED = "red"

class Inner(BaseModel):
    level: Severity
    note: str

class Ticket(BaseModel):
    kind: Literal["bug", "question"]
    urgent: bool
    due: date | None
    order: Annotated[str, Text(pattern="[0-9]+")]
    colour: Colour
    summary: str
    inner: Inner
    many: list[Inner]

class Checked(BaseModel):
    kind: Severity
    count: int

@step(reads="untrusted")
def search(query: str) -> list[str]: return []

@step(reads="private")
def load(user: int) -> dict: return {"mail": "", "balance": ""}

@step(sends="mail")
def mail(to: str, body: str) -> None: ...

@step(sends="mail", untrusted="approve")
def mail_approved(to: str, body: str) -> None: ...

@step(sends="mail", untrusted="allow")
def mail_allowed(to: str, body: str) -> None: ...

@step(sends="mail")
def mail_checked(to: Annotated[str, Text(allow=["a@x.com"])], body: Annotated[str, Text(untrusted=True)]) -> None: ...

@step(sends="mail")
def mail_numbers(count: int, kind: Severity, day: Optional[date] = None) -> None: ...

@step(effect=True)
def charge(amount: str) -> None: ...

@step
def plain_step(text: str) -> str: return text.upper()

@step
def count_words(text: str) -> int: return len(text.split())

"""


def report(folder: Path, text: str, *, name: str = "f", **others: str) -> Report:
    """Go through the flow `f` of a module that begins with `HEAD`."""
    for other, code in others.items():
        (folder / f"{other}.py").write_text(HEAD + dedent(code), encoding="utf-8")
    (folder / "flows.py").write_text(HEAD + dedent(text), encoding="utf-8")
    return next(one for one in checked(Project.of(folder)) if one.name == name)


def weights(found: Report) -> list[str]:
    return [weight for weight, _ in found.findings]


def crossing(found: Report) -> Crossing:
    ((_, one),) = found.findings
    return one


def body(text: str, *, inputs: str = "q: str, user: int", flow: str = "@flow") -> str:
    return f"{flow}\ndef f({inputs}):\n" + "".join(
        f"    {line}\n" for line in dedent(text).strip().splitlines()
    )


LEADS = {
    "what was found": 'mail("a@x.com", f"{load(user)} {search(q)}")',
    "an input": "mail(q, str(load(user)))",
    "through an answer": 'a = generate("p", docs=search(q), account=load(user))\nmail("a@x.com", a)',
    "through a free field": 't = generate("p", Ticket, q=q)\nmail(load(user)["mail"], t.summary)',
    "through a whole object": 't = generate("p", Ticket, q=q)\nmail(load(user)["mail"], str(t))',
    "through a field of a field": 't = generate("p", Ticket, q=q)\nmail(load(user)["mail"], t.inner.note)',
    "through an element": 't = generate("p", Ticket, q=q)\nfor x in t.many:\n    mail(load(user)["mail"], x.note)',
    "through a step": 'mail(load(user)["mail"], plain_step(q))',
    "through a list": 'found = []\nfound.append(search(q))\nfound.append(load(user))\nmail("a@x.com", str(found))',
    "through a dict": 'd = {"to": q, "body": load(user)}\nmail(d["to"], d["body"])',
    "through a branch": 'x = "a"\nif user:\n    x = q\nmail(x, str(load(user)))',
    "through a loop": 'x = y = ""\nfor _ in range(3):\n    mail("a", x)\n    x = y\n    y = q + str(load(user))',
    "through a comprehension": 'mail("a", " ".join([d + str(load(user)) for d in search(q)]))',
    "through try": 'x = "a"\ntry:\n    x = search(q)\nexcept ValueError:\n    pass\nmail("a", f"{x}{load(user)}")',
    "through match": 'match search(q):\n    case [one, *_]:\n        mail("a", f"{one}{load(user)}")',
    "through with": 'with open(q) as file:\n    mail("a", file.read() + str(load(user)))',
    "through gather": 'd, a = asyncio.run(asyncio.gather(search(q), load(user)))\nmail("a", f"{d}{a}")',
    "in a thread": 'asyncio.run(asyncio.to_thread(mail, "a", f"{q}{load(user)}"))',
    "by partial": 'functools.partial(mail, "a")(f"{q}{load(user)}")',
    "by a lambda": 'send = lambda text: mail("a", text)\nsend(f"{q}{load(user)}")',
    "a prompt of its own": 'a = prompt("p").generate(q=q, account=load(user))\nmail("a", a)',
    "rendered": 'm = prompt("p").render(q=q, account=load(user))\nmail("a", m)',
    "a client of a provider": 'a = client.chat(messages=[{"content": q + str(load(user))}])\nmail("a", a.text)',
    "a message that was sent": 'm = wait_for("note").result()\nmail(m, str(load(user)))',
    "said to be allowed": 'mail_allowed("a", f"{q}{load(user)}")',
    "a check that leaves text": 't = endorse(q, Ticket)\nmail(load(user)["mail"], t.summary)',
    "only max": 't = endorse(q, Annotated[str, Text(max=10)])\nmail(load(user)["mail"], t)',
    "more than the inputs": 'mail(**{"to": q, "body": load(user)})',
    "in order": "a = (q, load(user))\nmail(*a)",
    "a tool": 'generate("p", q=q, account=load(user), using=Call(tools=[mail]))',
    "a tool of a model that searches": 'generate("p", account=load(user), using=Call(tools=[search, mail]))',
    "a tool of a model that looks up": 'generate("p", q=q, using=Call(tools=[load, mail]))',
    "a tool in a fallback": 'generate("p", q=q, a=load(user), using=Fallback([Call("m", tools=[mail])]))',
    "a tool in tiers": 'generate("p", q=q, a=load(user), using=Tiered(["m"], defaults=Call(tools=[mail])))',
    "a tool with typed answer": 't = generate("p", Ticket, q=q, a=load(user), using=Call(tools=[mail]))',
    "a tool and another": 'common = [search]\ngenerate("p", q=q, a=load(user), using=Call(tools=[*common, mail]))',
    "a tool that is put in": 't = [search]\nt.append(mail)\ngenerate("p", q=q, a=load(user), using=Call(tools=t))',
    "tools by a function": 'def make():\n    return Call(tools=[mail])\ngenerate("p", q=q, a=load(user), using=make())',
    "tools of a table": 'table = {"x": Call(tools=[mail])}\ngenerate("p", q=q, a=load(user), using=table["x"])',
    "other tools": 'generate("p", q=q, a=load(user), using=dataclasses.replace(Call(), tools=[mail]))',
    "a list of messages": 'm = [{"content": "x"}]\nm += [{"content": f"{q}{load(user)}"}]\nmail("a", generate(m))',
    "a function inside": 'docs = search(q)\ndef inner(b):\n    mail("a", f"{docs}{b}")\ninner(load(user))',
    "a function for each": 'xs = list(map(lambda d: d + str(load(user)), search(q)))\nmail("a", str(xs))',
    "what is left": 'a, *b = search(q)\nmail("a", f"{b}{load(user)}")',
    "a tool by part": 'generate("p", q=q, a=load(user), using=Call(tools=[functools.partial(mail, to="a")]))',
}


@pytest.mark.parametrize("text", LEADS.values(), ids=LEADS)
def test_a_way_out_is_found(text: str, tmp_path: Path) -> None:
    assert "error" in weights(report(tmp_path, body(text)))


STOPS = {
    "nothing is sent": 'generate("p", q=q, account=load(user))',
    "a checked choice": 't = generate("p", Ticket, q=q)\nmail(load(user)["mail"], t.kind)',
    "a checked choice below": 't = generate("p", Ticket, q=q)\nmail(load(user)["mail"], t.inner.level)',
    "choices of several": 't = generate("p", Ticket, q=q)\nfor x in t.many:\n    mail(load(user)["mail"], x.level)',
    "a pattern": 't = generate("p", Ticket, q=q)\nmail(load(user)["mail"], t.order)',
    "a colour": 't = generate("p", Ticket, q=q)\nmail(load(user)["mail"], t.colour.value)',
    "a date": 't = generate("p", Ticket, q=q)\nmail(load(user)["mail"], f"until {t.due}")',
    "a whole checked object": 't = generate("p", Checked, q=q)\nmail(load(user)["mail"], str(t))',
    "a reply": 't = generate("p", Reply[Checked], q=q)\nmail(load(user)["mail"], t.value.kind)',
    "a truth": 'yes = generate("p", bool, q=q)\nif yes:\n    mail(load(user)["mail"], "yes")',
    "a truth that is computed": 'mail(load(user)["mail"], "long" if len(q) > 3 else "short")',
    "a number of a step": 'mail(load(user)["mail"], f"{count_words(q)} words")',
    "endorsed": 't = endorse(q, Severity)\nmail(load(user)["mail"], t)',
    "endorsed by pattern": 't = endorse(q, Annotated[str, Text(pattern="[a-z]+")])\nmail(load(user)["mail"], t)',
    "said to be trusted": 'mail(load(user)["mail"], trusted(q))',
    "approved": 'mail_approved("a", f"{q}{load(user)}")',
    "parameters that check": 'mail_checked("a@x.com", f"{q}{load(user)}")',
    "numbers": 'n = generate("p", Checked, q=q)\nmail_numbers(n.count, n.kind)\nload(user)',
    "a truth that was sent": 'go = wait_for("go", bool).result()\nmail(load(user)["mail"], str(go))',
    "no untrusted text": 'mail(load(user)["mail"], "hello")',
    "apart": 'docs = search(q)\ngenerate("p", docs=docs)\nmail(load(user)["mail"], "hello")',
    "overwritten": 'x = q\nx = "fixed"\nmail(load(user)["mail"], x)',
    "the other part": 'd = {"q": q, "to": "a"}\nmail(d["to"], str(load(user)))',
    "the other item": 'a, b = (q, "to")\nmail(b, str(load(user)))',
    "a table of texts": 't = generate("p", Ticket, q=q)\nmail({"bug": "a@x"}[t.kind], str(load(user)))',
    "a model with harmless tools": 'generate("p", q=q, account=load(user), using=Call(tools=[search, load]))',
    "a tool that is approved": 'generate("p", q=q, account=load(user), using=Call(tools=[mail_approved]))',
    "a tool that checks": 'generate("p", q=q, account=load(user), using=Call(tools=[mail_checked]))',
    "a tool of a model that sees nothing untrusted": 'generate("p", a=load(user), using=Call(tools=[mail]))',
}


@pytest.mark.parametrize("text", STOPS.values(), ids=STOPS)
def test_what_stands_between_is_seen(text: str, tmp_path: Path) -> None:
    assert weights(report(tmp_path, body(text))) == []


def test_inputs_that_the_team_gives_are_trusted(tmp_path: Path) -> None:
    text = "mail(q, str(load(user)))"
    for flow in ('@flow(trusted=("q",))', "@flow(trusted=True)", '@flow(trusted=["q"])'):
        assert weights(report(tmp_path, body(text, flow=flow))) == []
    assert weights(report(tmp_path, body(text, flow='@flow(trusted=("user",))'))) == ["error"]


def test_inputs_of_a_checked_type_are_trusted(tmp_path: Path) -> None:
    for kind in (
        "int",
        "Severity",
        "date",
        'Annotated[str, Text(allow=["a"])]',
        "Colour | None",
        "list[int]",
    ):
        text = body("mail(str(q), str(load(user)))", inputs=f"q: {kind}, user: int")
        assert weights(report(tmp_path, text)) == [], kind
    for kind in ("str", "Annotated[str, Text(max=9)]", "list[str]", "dict", "Ticket", "object"):
        text = body("mail(str(q), str(load(user)))", inputs=f"q: {kind}, user: int")
        assert weights(report(tmp_path, text)) == ["error"], kind


def test_without_private_data_a_run_refuses_what_is_untrusted_and_that_is_a_warning(tmp_path: Path) -> None:
    found = report(tmp_path, body('mail("a", q)'))
    assert weights(found) == ["warning"]
    assert "reaches `body` of mail, which the run refuses" in crossing(found).problem
    assert weights(report(tmp_path, body('mail_allowed("a", q)'))) == []


def test_an_effect_is_a_sink_where_a_model_calls_it(tmp_path: Path) -> None:
    assert weights(report(tmp_path, body("charge(q)\nload(user)"))) == []
    text = 'generate("p", q=q, account=load(user), using=Call(tools=[charge]))'
    assert weights(report(tmp_path, body(text))) == ["warning"]


def test_a_question_to_somebody_is_no_approval_of_what_is_sent(tmp_path: Path) -> None:
    asked = 'a = f"{q}{load(user)}"\nif not wait_for("ok", bool).result():\n    return\nmail("a", a)'
    found = report(tmp_path, body(asked))
    assert weights(found) == ["warning"]
    assert "not bound to what is sent" in crossing(found).why
    before = 'a = f"{q}{load(user)}"\nmail("a", a)\nif wait_for("ok", bool).result():\n    pass'
    assert weights(report(tmp_path, body(before))) == ["error"]


def test_a_step_that_does_all_three_is_told_to_be_split(tmp_path: Path) -> None:
    text = '@step(reads=("untrusted", "private"), sends="mail", untrusted="approve")\ndef all_of_it(): ...\n'
    found = report(tmp_path, text + body("all_of_it()", inputs=""))
    assert weights(found) == ["error"]
    assert crossing(found).ways_out == ("split it: one step that reads, one that sends",)


def test_a_path_names_each_place(tmp_path: Path) -> None:
    text = body(
        'docs = search("news")\na = generate("p", docs=docs, a=load(user))\nmail("a", a)', inputs="user: int"
    )
    line = HEAD.count("\n") + 3
    assert [(leg, hop.what, hop.line) for leg, hop in crossing(report(tmp_path, text)).path] == [
        ("untrusted", "step search reads untrusted text", line),
        ("", "a model is asked 'p'", line + 1),
        ("private", "step load reads private data", line + 1),
        ("sends", "step mail sends mail", line + 2),
    ]


def test_functions_and_other_modules_are_gone_into(tmp_path: Path) -> None:
    other = "TOOLS = [mail]\nUSING = Call(tools=TOOLS)\ndef tell(to, account):\n    mail(to, str(account))\n"
    text = "import other\nfrom other import USING, tell\n"
    for call in (
        "tell(q, load(user))",
        "other.tell(q, load(user))",
        'generate("p", q=q, a=load(user), using=USING)',
    ):
        assert weights(report(tmp_path, text + body(call), other=other)) == ["error"], call


def test_a_function_that_calls_itself_comes_to_an_end(tmp_path: Path) -> None:
    text = "def down(n, x):\n    return down(n - 1, x + x) if n else x\n"
    assert weights(report(tmp_path, text + body("mail(down(3, q), str(load(user)))"))) == ["error"]
    text = "def one(x):\n    return two(x)\ndef two(x):\n    return one(x)\n"
    assert weights(report(tmp_path, text + body("mail(one(q), str(load(user)))"))) in (["error"], [])


def test_workflows_are_flows(tmp_path: Path) -> None:
    text = """
    class F(Workflow, name="f"):
        def __init__(self, client, sender=None):
            super().__init__()
            self.client = client
            self.send = mail
            self.found = ""

        @step(reads="untrusted")
        def fetch(self, query: str) -> str: ...

        def run(self, user: int):
            self.keep(self.fetch("news"))
            self.send("a", f"{self.found}{load(user)}")

        def keep(self, text):
            self.found = text
    """
    found = report(tmp_path, text)
    assert weights(found) == ["error"]
    assert found.function == "F"
    assert crossing(found).source.source.what == "step fetch reads untrusted text"


def test_methods_and_attributes_of_a_workflow_are_tools(tmp_path: Path) -> None:
    text = """
    class Base(Workflow):
        @step(sends="chat")
        def post(self, text: str): ...

    class F(Base, name="f"):
        shared = Call(tools=[mail])

        def __init__(self):
            super().__init__()
            self.own = Call(tools=[self.post])

        def run(self, q: str, user: int):
            return generate("p", q=q, a=load(user), using=USING)
    """
    for using in ("self.own", "self.shared", "Call(tools=[self.post])"):
        assert weights(report(tmp_path, dedent(text).replace("USING", using))) == ["error"], using


def test_tasks_are_waited_for(tmp_path: Path) -> None:
    text = """
    @flow
    async def f(q: str, user: int):
        async with asyncio.TaskGroup() as group:
            found = group.create_task(search(q))
            account = group.create_task(load(user))
        await mail("a", f"{found.result()}{account.result()}")
    """
    assert weights(report(tmp_path, text)) == ["error"]


def test_a_step_that_is_made_by_a_call_is_one(tmp_path: Path) -> None:
    text = 'def post(to, body): ...\npost_step = step(sends="chat")(post)\n'
    assert weights(report(tmp_path, text + body("post_step(q, str(load(user)))"))) == ["error"]


def test_a_flow_inside_is_given_what_the_one_around_knows(tmp_path: Path) -> None:
    text = "@flow\ndef inner(to: str, account: dict):\n    mail(to, str(account))\n"
    assert weights(report(tmp_path, text + body('inner("a@x.com", load(user))'))) == []
    assert weights(report(tmp_path, text + body("inner(q, load(user))"))) == ["error"]


def test_what_uses_does_not_name_is_an_error(tmp_path: Path) -> None:
    found = report(tmp_path, body('mail("a", "b")', flow='@flow(uses=("crm",))'))
    assert list(found.beyond.values()) == ["mail"]
    assert not report(tmp_path, body('mail("a", "b")', flow='@flow(uses=("mail",))')).beyond
    assert not report(tmp_path, body('mail("a", "b")')).beyond


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("import requests\n@step\ndef s():\n    return requests.get('https://x')\n", 'reads="untrusted"'),
        ("import smtplib\n@step\ndef s():\n    smtplib.SMTP('x').sendmail('a', 'b', 'c')\n", 'sends="mail"'),
        ("import sqlite3\n@step\ndef s():\n    return sqlite3.connect('x')\n", 'reads="private"'),
        ("import subprocess\ndef h():\n    subprocess.run(['x'])\n@step\ndef s():\n    h()\n", "or both"),
        ("@step\ndef s():\n    import httpx\n    return httpx.Client().get('https://x')\n", "or both"),
    ],
)
def test_a_step_that_visibly_goes_outside_is_asked_to_say_so(code: str, advice: str, tmp_path: Path) -> None:
    (outside,) = report(tmp_path, code + body("s()", inputs="")).undeclared.values()
    assert outside.text.startswith("step s calls ")
    assert advice in outside.text
    for said in ('reads="untrusted"', "sends=True", "reads=()"):
        declared = code.replace("@step\n", f"@step({said})\n")
        assert not report(tmp_path, declared + body("s()", inputs="")).undeclared


def test_tools_that_are_not_known_are_told(tmp_path: Path) -> None:
    found = report(tmp_path, body('generate("p", q=q, using=Call(tools=load_tools()))'))
    assert [hop.what for hop in found.left] == ["which tools these are the code does not tell"]
    assert not report(tmp_path, body('generate("p", q=q, using=Call(tools=[]))')).left


def test_a_line_that_says_so_is_passed_by(tmp_path: Path) -> None:
    assert weights(report(tmp_path, body("mail(q, str(load(user)))  # surefoot: ignore"))) == []


@pytest.mark.parametrize("folder", ["examples", "src/surefoot/ingest"])
def test_no_flow_that_is_shipped_has_a_finding(folder: str) -> None:
    reports = checked(Project.of(Path(__file__).parents[3] / folder))
    assert reports
    assert [(one.name, one.findings) for one in reports if one.findings] == []
