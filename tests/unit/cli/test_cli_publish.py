"""`surefoot access publish` and `approve` as they are typed, and what `surefoot check` says of what flows use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from surefoot import App
from surefoot.cli.root import invoked

Said = tuple[int, str, str]
Surefoot = Callable[..., Said]

FLOWS = """\
from surefoot import Call, Fallback, embed, flow, generate, step

SMALL = Call("main:gpt-4o-mini")


@step(transaction="orders")
def order(connection, what: str) -> None: ...


@step(sends="mail")
def mail(to: str) -> None: ...


@step
def look_up(what: str) -> str: ...


@flow(uses=USES)
def triage(text: str) -> str:
    order("it")
    mail("a@x.com")
    inner("now")
    embed.sync([text], using="main:text-embedding-3-small")
    generate.sync("classify", using=Fallback([SMALL, "gpt-4o"]))
    return generate.sync("classify", using=Call("main:gpt-4o", tools=[look_up]))


@flow
def inner(text: str) -> str:
    return generate.sync("classify")
"""
ALL = (
    "connection:orders",
    "flow:inner",
    "model:main:gpt-4o",
    "model:main:gpt-4o-mini",
    "model:main:text-embedding-3-small",
    "model:openai:gpt-4o",
    "tool:look_up",
    "tool:mail",
)
PROMPT = "---\nname: classify\nmodel:\n  id: main:gpt-4o\n---\nuser:\nHello {{ text }}\n"


@pytest.fixture
def surefoot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Surefoot:
    (tmp_path / "surefoot.toml").write_text("", encoding="utf-8")
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "classify.prompty").write_text(PROMPT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    def said(*arguments: str) -> Said:
        # Each command is a process of its own, and closes the app that it has opened.
        monkeypatch.setattr("surefoot.app._apps", {})
        code = invoked([*arguments])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return said


def written(folder: Path, uses: object) -> str:
    """The flows with these `uses=`, in a file of their own."""
    name = f"flows_{abs(hash(str(uses)))}"
    (folder / f"{name}.py").write_text(FLOWS.replace("USES", repr(uses)), encoding="utf-8")
    return f"{name}.py:triage"


def as_json(said: Said, code: int = 0) -> Any:
    assert said[0] == code, said
    return json.loads(said[1])


def test_a_flow_that_says_nothing_of_what_it_uses_is_not_published(
    surefoot: Surefoot, tmp_path: Path
) -> None:
    code, _, error = surefoot("access", "publish", written(tmp_path, None))
    assert code != 0
    flat = " ".join(error.split())
    assert "does not say what it uses" in flat
    assert "'tool:mail'" in flat
    assert "--allow-undeclared" in flat


def test_a_flow_that_does_not_say_all_is_published_once_it_does(surefoot: Surefoot, tmp_path: Path) -> None:
    code, _, error = surefoot("access", "publish", written(tmp_path, ALL[:-1]))
    assert code != 0
    assert "tool:mail" in error
    assert "tool:look_up" not in error
    assert surefoot("access", "publish", written(tmp_path, ALL[:-1]), "--allow-undeclared")[0] == 0
    [one] = as_json(surefoot("access", "publish", written(tmp_path, ALL), "--json"))
    assert one["uses"] == sorted(ALL)
    assert len(one["digest"]) == 64


def test_a_comment_hides_nothing_from_whoever_approves(surefoot: Surefoot, tmp_path: Path) -> None:
    target = written(tmp_path, ALL[:-1])
    file = tmp_path / target.partition(":")[0]
    file.write_text(file.read_text().replace('mail("a@x.com")', 'mail("a@x.com")  # surefoot: ignore'))
    code, _, error = surefoot("access", "publish", target)
    assert code != 0
    assert "tool:mail" in error


def test_whoever_approves_sees_what_a_version_may_more(
    surefoot: Surefoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [first] = as_json(surefoot("access", "publish", written(tmp_path, ALL), "--json"))
    said = as_json(surefoot("access", "approve", "triage", first["digest"][:8], "--json"))
    assert (said["compared_with"], said["more"], said["less"]) == (None, sorted(ALL), [])
    wider = (*ALL[1:], "connection:billing", "host:*.example")
    # That there are two is the same text otherwise.
    [second] = as_json(
        surefoot("access", "publish", written(tmp_path, wider), "--allow-undeclared", "--json")
    )
    code, shown, _ = surefoot("access", "approve", "triage", second["digest"][:8], "--dry-run")
    assert code == 0
    assert f"against {first['digest'][:8]}" in shown
    lines = [line.strip() for line in shown.splitlines()]
    assert [line for line in lines if line[:1] in "+-"] == [
        "+ connection:billing",
        "+ host:*.example",
        "- connection:orders",
    ]
    monkeypatch.setattr("surefoot.app._apps", {})
    app = App.current()
    assert app.access.published.find("triage", second["digest"]).approved_ns is None
    app.close()
    said = as_json(surefoot("access", "approve", "triage", second["digest"], "--json"))
    assert said["compared_with"] == first["digest"]
    assert said["approved_ns"]


def test_check_tells_what_a_flow_uses_and_does_not_name(surefoot: Surefoot, tmp_path: Path) -> None:
    target = written(tmp_path, ("connection:orders", "mail", "flow:*"))
    _, shown, _ = surefoot("check", target)
    flat = " ".join(shown.split())
    for text in ALL:
        assert text in flat
    assert "does not say that it uses model:openai:gpt-4o" in flat
    [flow] = [
        one
        for one in as_json(surefoot("check", target, "--json"), code=0)["flows"]
        if one["flow"] == "triage"
    ]
    assert flow["uses"] == ["connection:orders", "flow:*", "mail"]
    assert [one["name"] for one in flow["used"]] == list(ALL)
    assert {one["name"] for one in flow["undeclared"]} == {
        text for text in ALL if text.startswith("model:")
    } | {"tool:look_up"}


def test_check_asks_flows_that_name_their_sinks_alone_for_no_more(surefoot: Surefoot, tmp_path: Path) -> None:
    _, shown, _ = surefoot("check", written(tmp_path, ("mail",)).partition(":")[0])
    assert "does not say that it uses" not in " ".join(shown.split())
