"""Ways of writing that lead private data out, one for each: found as an error, or said to be unknown, never fine."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot.flows.checking import Report, checked
from surefoot.prompts.fitting.project import Project

HEAD = """
import contextlib, dataclasses, functools, heapq, io, json, sys, threading
from dataclasses import dataclass, field
from typing import Any, Callable, Literal, Protocol
from surefoot import Call, Workflow, flow, generate, step

@step(reads="untrusted")
def read_mail(n: int) -> str: ...
@step(reads="private")
def load(n: int) -> dict: ...
@step(sends="mail")
def send(to: str, body: str) -> None: ...
"""


def report(folder: Path, code: str, **more: str) -> Report:
    """The report of the one flow of a file."""
    (folder / "a.py").write_text(HEAD + code, encoding="utf-8")
    for name, text in more.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    (found,) = checked(Project.of(folder))
    return found


LEAKS = {
    "closure factory captures": """
def make(body):
    def sender(to):
        send(to, body)
    return sender
@flow
def f(n: int):
    s = make(read_mail(n) + str(load(n)))
    s("x")
""",
    "closure factory captures direct": """
def make(body):
    def sender(to):
        send(to, body)
    return sender
@flow
def f(n: int):
    make(read_mail(n) + str(load(n)))("x")
""",
    "dataclass holds step": """
@dataclass
class Notifier:
    how: Callable
    def notify(self, body): self.how("a", body)
@flow
def f(n: int):
    Notifier(send).notify(read_mail(n) + str(load(n)))
""",
    "dataclass field attr": """
@dataclass
class Deps:
    how: Any
@flow
def f(n: int):
    d = Deps(send)
    d.how("a", read_mail(n) + str(load(n)))
""",
    "dataclass state": """
@dataclass
class State:
    mail: str = ""
    data: dict = field(default_factory=dict)
def fill(s, n):
    s.mail = read_mail(n)
    s.data = load(n)
@flow
def f(n: int):
    s = State()
    fill(s, n)
    send("a", s.mail + str(s.data))
""",
    "dict filled in helper": """
def fill(s, n):
    s["mail"] = read_mail(n)
    s["data"] = load(n)
@flow
def f(n: int):
    s = {}
    fill(s, n)
    send("a", json.dumps(s))
""",
    "list filled in helper": """
def fill(s, n):
    s.append(read_mail(n))
    s.append(str(load(n)))
@flow
def f(n: int):
    s = []
    fill(s, n)
    send("a", "".join(s))
""",
    "nonlocal": """
@flow
def f(n: int):
    body = ""
    def add():
        nonlocal body
        body = body + read_mail(n) + str(load(n))
    add()
    send("a", body)
""",
    "global": """
BODY = ""
def add(n):
    global BODY
    BODY = read_mail(n) + str(load(n))
@flow
def f(n: int):
    add(n)
    send("a", BODY)
""",
    "decorator adds send": """
def mailed(fn):
    def inner(*a, **k):
        out = fn(*a, **k)
        send("a", out)
        return out
    return inner
@mailed
def compute(n): return read_mail(n) + str(load(n))
@flow
def f(n: int):
    compute(n)
""",
    "flow called form": """
def g(n: int):
    send("a", read_mail(n) + str(load(n)))
f = flow(g)
""",
    "flow called form config": """
def g(n: int):
    send("a", read_mail(n) + str(load(n)))
f = flow(name="f")(g)
""",
    "step partial deco": """
sending = functools.partial(step, sends="mail")
@sending()
def send2(to, body): ...
@flow
def f(n: int):
    send2("a", read_mail(n) + str(load(n)))
""",
    "step deco var": """
sending = step(sends="mail")
@sending
def send2(to, body): ...
@flow
def f(n: int):
    send2("a", read_mail(n) + str(load(n)))
""",
    "step kwargs": """
KW = dict(sends="mail")
@step(**KW)
def send2(to, body): ...
@flow
def f(n: int):
    send2("a", read_mail(n) + str(load(n)))
""",
    "sends var true": """
YES = True
@step(sends=YES)
def send2(to, body): ...
@flow
def f(n: int):
    send2("a", read_mail(n) + str(load(n)))
""",
    "Thread lambda": """
@flow
def f(n: int):
    body = read_mail(n) + str(load(n))
    threading.Thread(target=lambda: send("a", body)).start()
""",
    "except message": """
@flow
def f(n: int):
    data = load(n)
    mail = read_mail(n)
    try:
        raise ValueError(mail + str(data))
    except ValueError as e:
        send("a", str(e))
""",
    "except message helper": """
def parse(x):
    raise ValueError(x)
@flow
def f(n: int):
    data = load(n)
    try:
        parse(read_mail(n) + str(data))
    except ValueError as e:
        send("a", str(e))
""",
    "call kwargs dict": """
SETTINGS = {"tools": [load, send]}
@flow
def f(n: int):
    generate.sync([{"role": "user", "content": read_mail(n)}], using=Call(**SETTINGS))
""",
    "generate kwargs using": """
@flow
def f(n: int):
    opts = {"using": Call(tools=[load, send])}
    generate.sync([{"role": "user", "content": read_mail(n)}], **opts)
""",
    "generate kwargs dict()": """
@flow
def f(n: int):
    opts = dict(using=Call(tools=[load, send]))
    generate.sync([{"role": "user", "content": read_mail(n)}], **opts)
""",
    "method on param unannotated": """
class S:
    @step(sends="mail")
    def send(self, body): ...
def go(s, n):
    s.send(read_mail(n) + str(load(n)))
@flow
def f(n: int):
    go(S(), n)
""",
    "method on dict item": """
class S:
    @step(sends="mail")
    def send(self, body): ...
SS = {"a": S()}
@flow
def f(n: int, k: Literal["a"]):
    SS[k].send(read_mail(n) + str(load(n)))
""",
    "method on loop item": """
class S:
    @step(sends="mail")
    def send(self, body): ...
@flow
def f(n: int):
    for s in [S(), S()]:
        s.send(read_mail(n) + str(load(n)))
""",
    "protocol param": """
class Sender(Protocol):
    def send(self, body): ...
class S:
    @step(sends="mail")
    def send(self, body): ...
def go(s: Sender, n):
    s.send(read_mail(n) + str(load(n)))
@flow
def f(n: int):
    go(S(), n)
""",
    "abstract base": """
class Base:
    def send(self, body): raise NotImplementedError
class S(Base):
    @step(sends="mail")
    def send(self, body): ...
def go(s: Base, n):
    s.send(read_mail(n) + str(load(n)))
@flow
def f(n: int):
    go(S(), n)
""",
    "template method": """
class Base:
    def go(self, n):
        self.send(read_mail(n) + str(load(n)))
    def send(self, body): raise NotImplementedError
class S(Base):
    @step(sends="mail")
    def send(self, body): ...
@flow
def f(n: int):
    S().go(n)
""",
    "property": """
class S:
    def __init__(self, n): self.n = n
    @property
    def mail(self): return read_mail(self.n)
    @property
    def data(self): return load(self.n)
@flow
def f(n: int):
    s = S(n)
    send("a", s.mail + str(s.data))
""",
    "__call__": """
class Send:
    def __call__(self, body): send("a", body)
@flow
def f(n: int):
    s = Send()
    s(read_mail(n) + str(load(n)))
""",
    "loop if break": """
@flow
def f(n: int):
    body = ""
    for i in range(9):
        if i:
            body = read_mail(n) + str(load(n))
            break
    send("a", body)
""",
    "loop if continue": """
@flow
def f(n: int):
    body = ""
    for i in range(9):
        if i:
            body = read_mail(n) + str(load(n))
            continue
        send("a", body)
""",
    "default arg": """
@flow
def f(n: int):
    body = read_mail(n) + str(load(n))
    def go(b=body): send("a", b)
    go()
""",
    "dict part overwritten alias": """
@flow
def f(q: str):
    d = {"q": "a", "p": ""}
    e = d
    e["q"] = q
    e["p"] = load(1)
    send("a", d["q"] + str(d["p"]))
""",
    "dataclass overwritten via method": """
@dataclass
class D:
    q: str = ""
    p: str = ""
    def fill(self, q):
        self.q = q
        self.p = str(load(1))
@flow
def f(q: str):
    d = D("a", "b")
    d.fill(q)
    send("a", d.q + d.p)
""",
    "setattr": """
@dataclass
class D:
    q: str = ""
    p: str = ""
@flow
def f(q: str):
    d = D("a", "b")
    setattr(d, "q", q)
    d.p = str(load(1))
    send("a", d.q + d.p)
""",
    "stringio": """
import io
@flow
def f(q: str):
    b = io.StringIO()
    print(q, file=b)
    print(load(1), file=b)
    send("a", b.getvalue())
""",
    "heapq push": """
import heapq
@flow
def f(q: str):
    h = []
    heapq.heappush(h, q)
    heapq.heappush(h, str(load(1)))
    send("a", str(h))
""",
    "inherit method super": """
class Base:
    def notify(self, body): send("a", body)
class S(Base):
    def notify(self, body): super().notify(body)
@flow
def f(n: int):
    S().notify(read_mail(n) + str(load(n)))
""",
}


@pytest.mark.parametrize("code", LEAKS.values(), ids=LEAKS)
def test_private_data_that_untrusted_text_can_send_out_is_an_error(code: str, tmp_path: Path) -> None:
    found = report(tmp_path, code)
    assert "error" in [weight for weight, _ in found.findings], found.left


UNKNOWN = {
    "generate partial": """
ask = functools.partial(generate.sync, using=Call(tools=[load, send]))
@flow
def f(n: int):
    ask([{"role": "user", "content": read_mail(n)}])
""",
    "getattr": """
import sys
@flow
def f(n: int):
    getattr(sys.modules[__name__], "send")("a", read_mail(n) + str(load(n)))
""",
    "globals()": """
@flow
def f(n: int):
    globals()["send"]("a", read_mail(n) + str(load(n)))
""",
}


@pytest.mark.parametrize("code", UNKNOWN.values(), ids=UNKNOWN)
def test_a_step_that_is_called_in_a_way_that_nobody_can_follow_is_told_of(code: str, tmp_path: Path) -> None:
    found = report(tmp_path, code)
    assert [one.what for one in found.left] == [
        "step send sends, and how it is called here the code does not tell"
    ]


def test_modules_that_import_a_name_from_each_other_come_to_an_end(tmp_path: Path) -> None:
    code = "from b import go\n@flow\ndef f(n: int):\n    go(read_mail(n), load(n))\n"
    found = report(tmp_path, code, b="from a import go, step\nmade = go\n@made\ndef x(): ...\n")
    assert not found.sinks


FINE = {
    "fixed text": """A={"x":"hi"}
@flow
def f(n: int):
    t=generate.sync([{"role":"user","content":read_mail(n)}], Literal["x"])
    send(load(n)["mail"], A[t])
""",
    "two objects of a class": """
class Box:
    def __init__(self, x): self.x = x
@flow
def f(n: int):
    a = Box(load(n)); b = "hello"
    m = read_mail(n)
    send("a", b)
""",
    "logged": """
def logged(fn):
    @functools.wraps(fn)
    def inner(*a, **k): return fn(*a, **k)
    return inner
@logged
def clean(n): return "ok"
@flow
def f(n: int):
    read_mail(n); load(n)
    send("a", clean(n))
""",
    "error fixed": """
@flow
def f(n: int):
    data = load(n); mail = read_mail(n)
    try:
        json.loads(mail)
    except ValueError as e:
        send("a", "broken: %s" % type(e).__name__)
""",
    "rebound loop": """
@flow
def f(n: int):
    for i in range(3):
        body = "fixed"
        send("a", body)
        x = read_mail(n) + str(load(n))
""",
    "separate dicts": """
@flow
def f(n: int):
    a = {}; b = {}
    a["m"] = read_mail(n); b["d"] = load(n)
    send("a", "fixed")
""",
    "deps private only": """
@dataclass
class Deps:
    user: dict
    def mail(self): return self.user["mail"]
@flow
def f(n: int):
    d = Deps(load(n))
    m = read_mail(n)
    send(d.mail(), "We got your mail")
""",
    "helper fill one": """
def fill(s, n): s["d"] = load(n)
@flow
def f(n: int):
    s = {}; m = read_mail(n)
    fill(s, n)
    send("a", str(s))
""",
    "closure private": """
@flow
def f(n: int):
    data = load(n); mail = read_mail(n)
    def out(): send("a", str(data))
    out()
""",
    "alias rebinding": """
@flow
def f(n: int):
    a = []; b = a
    b = []
    b.append(read_mail(n)); b.append(load(n))
    send("a", str(a))
""",
    "break path": """
@flow
def f(n: int):
    body = "x"
    for i in range(3):
        if i:
            m = read_mail(n); d = load(n)
            break
    send("a", body)
""",
    "global const": """
SEEN = set()
@flow
def f(n: int):
    m = read_mail(n); d = load(n)
    SEEN.add(n)
    send("a", "x")
""",
}


@pytest.mark.parametrize("code", FINE.values(), ids=FINE)
def test_a_flow_that_keeps_them_apart_has_no_finding_and_nothing_unknown(code: str, tmp_path: Path) -> None:
    found = report(tmp_path, code)
    assert found.sinks
    assert not found.findings
    assert not found.left
