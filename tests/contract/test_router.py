"""`Router`: who chooses the route, what is recorded of it, and that a resume takes the same one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from durable import cut, history, names, opened_app
from surefoot import App, Call, Fallback, Prompty, Reply, Router, Tier, Tiered, flow, generate, scripted
from surefoot.errors import CredentialRefused, UsageError
from surefoot.ledger import decode
from surefoot.models import ModelRequest
from surefoot.values import Message, Usage

ASKED = [{"role": "user", "content": "What are the risks?"}]
CHEAP, STRONG = "openai:gpt-4o-mini", "openai:gpt-4o"
ROUTES = {"simple": CHEAP, "complex": STRONG}


@pytest.fixture(autouse=True)
def own_policy() -> None:
    """The policy is that of the app."""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "surefoot.toml").write_text("[models]\nretries = 0\n")
    with opened_app(folder) as app:
        yield app


@pytest.fixture(params=["async", "sync"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`generate` in both forms."""
    if request.param == "sync":
        return generate.sync
    return lambda *args, **kwargs: asyncio.run(generate(*args, **kwargs))


def named(asked: ModelRequest) -> object:
    return f"{asked.model} here"


def sorting(said: object) -> Any:
    """A script in which the model that sorts says this, and the others their name."""
    return scripted(lambda asked: said if asked.model == "gpt-4.1-nano" else f"{asked.model} here")


def choice(app: App) -> Any:
    (found,) = [link.outcome for link in history(app) if link.outcome.name == "route"]
    return decode(app.ledger.exact(found.run_id, found.output))


# A function chooses


@pytest.mark.parametrize(("text", "route"), [("What?", "simple"), ("What are the risks?", "complex")])
def test_a_function_of_the_messages(app: App, ask: Callable[..., Any], text: str, route: str) -> None:
    def by_length(messages: list[Message]) -> str:
        return "simple" if len(messages[-1].text) < 10 else "complex"

    with scripted(named):
        reply = ask([{"role": "user", "content": text}], Reply, using=Router(by_length, ROUTES))
    assert (reply.route, reply.model) == (route, ROUTES[route].partition(":")[2])
    assert reply.calls == 1
    assert app.ledger.runs() == []


def test_a_function_of_inputs_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "risks.prompty").write_text(
        "---\nname: risks\ninputs:\n  what:\n    type: string\n  depth:\n    type: integer\n---\n"
        "user:\nRisks of {{what}}?\n"
    )
    seen: list[object] = []

    def by_depth(depth: int, text: str, inputs: dict[str, object], style: str = "plain") -> str:
        seen.append((depth, text, inputs, style))
        return "complex" if depth > 1 else "simple"

    def all_of_them(**inputs: object) -> str:
        seen.append(inputs)
        return "simple"

    def of_others(audience: str) -> str:
        return audience

    given = {"what": "tea", "depth": 2}
    with opened_app(tmp_path), scripted(named):
        assert generate.sync("risks", using=Router(by_depth, ROUTES), **given) == "gpt-4o here"
        assert generate.sync("risks", using=Router(all_of_them, ROUTES), **given) == "gpt-4o-mini here"
        with pytest.raises(UsageError, match="takes 'audience', which nothing fills"):
            generate.sync("risks", using=Router(of_others, ROUTES), **given)
    assert seen == [(2, "Risks of tea?", given, "plain"), given]


def test_an_async_function_in_async_code(app: App) -> None:
    async def slow(text: str) -> str:
        await asyncio.sleep(0)
        return "simple" if text else "complex"

    with scripted(named):
        assert asyncio.run(generate(ASKED, using=Router(slow, ROUTES))) == "gpt-4o-mini here"
        with pytest.raises(UsageError, match="async function"):
            generate.sync(ASKED, using=Router(slow, ROUTES))
    assert app.ledger.runs() == []


@pytest.mark.parametrize(("default", "model"), [("", "gpt-4o"), ("simple", "gpt-4o-mini")])
def test_what_is_no_route_is_the_default(app: App, default: str, model: str) -> None:
    @flow
    def lost() -> str:
        return generate.sync(ASKED, using=Router(lambda text: "elsewhere", ROUTES, default=default))

    with scripted(named):
        assert app.run(lost) == f"{model} here"
    assert choice(app) == {"route": default or "complex", "reason": "'elsewhere' is no route"}


def test_a_function_that_returns_no_text_is_an_error(app: App) -> None:
    with scripted(named), pytest.raises(UsageError, match=r"returned a NoneType: .* simple, complex"):
        generate.sync(ASKED, using=Router(lambda text: None, ROUTES))
    assert app.ledger.runs() == []


# A model chooses


def test_a_model_is_asked_of_which_kind_a_request_is(app: App, ask: Callable[..., Any]) -> None:
    router = Router(
        Call("openai:gpt-4.1-nano", temperature=0), ROUTES, about={"simple": "one sentence is enough"}
    )
    usage = Usage(input=40, output=4)
    with sorting(scripted.says('{"route": "simple"}', usage=usage)) as script:
        reply = ask(ASKED, Reply, using=router)
    assert (reply.route, reply.text, reply.calls) == ("simple", "gpt-4o-mini here", 2)
    # What the choice has cost is part of the answer's cost.
    assert reply.usage.input > 40
    first = script.requests[0]
    assert first.body["temperature"] == 0
    assert first.schema is not None
    assert "- simple: one sentence is enough\n- complex" in first.messages[0].text
    assert "What are the risks?" in first.messages[1].text
    assert app.ledger.runs() == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"route": "elsewhere"}, "MalformedResponse"),
        ("no JSON", "MalformedResponse"),
        (scripted.fails(500), "ModelUnavailable"),
        (scripted.says(refusal="I sort nobody."), "ContentRefused"),
    ],
    ids=["no-route", "no-json", "down", "refused"],
)
def test_a_model_that_names_no_route_leads_to_the_default(app: App, said: Any, reason: str) -> None:
    @flow
    def routed() -> str:
        return generate.sync(ASKED, using=Router("openai:gpt-4.1-nano", ROUTES, default="simple"))

    with sorting(said):
        assert app.run(routed) == "gpt-4o-mini here"
    record = choice(app)
    assert record["route"] == "simple"
    assert record["reason"].startswith(reason)


def test_a_credential_that_is_refused_is_hidden_by_no_default(app: App) -> None:
    with sorting(scripted.fails(401)), pytest.raises(CredentialRefused):
        generate.sync(ASKED, using=Router("openai:gpt-4.1-nano", ROUTES))
    assert app.ledger.runs() == []


@pytest.mark.parametrize("said", ["simple", "Simple.", ' "simple"\n'])
def test_a_prompt_of_ones_own_sorts(tmp_path: Path, said: str) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "triage.prompty").write_text(
        "---\nname: triage\nmodel:\n  api: chat\n  configuration:\n    type: openai\n    model: gpt-4.1-nano\n"
        "inputs:\n  text:\n    type: string\n---\nuser:\nSimple or complex: {{text}}\n"
    )
    with opened_app(tmp_path), sorting(said) as script:
        router = Router(Prompty.load_template("triage"), ROUTES)
        assert generate.sync(ASKED, using=router) == "gpt-4o-mini here"
    assert script.requests[0].text == "Simple or complex: What are the risks?"


# Where routes lead


def test_routes_lead_to_calls_stand_ins_and_ladders(app: App) -> None:
    routes = {
        "call": Call(CHEAP, max_tokens=7),
        "stand-in": Fallback([CHEAP, "anthropic:claude-haiku-4-5"]),
        "ladder": Tiered([Tier(CHEAP, accept=lambda value: False), Tier(STRONG)]),
    }

    def answered(asked: ModelRequest) -> object:
        is_down = asked.model == "gpt-4o-mini" and asked.body.get("max_completion_tokens") != 7
        return scripted.fails(500) if is_down else asked.model

    with scripted(answered):
        replies = {
            name: generate.sync(ASKED, Reply, using=Router(lambda text, name=name: name, routes))
            for name in routes
        }
    assert {name: (reply.value, reply.tier, reply.route) for name, reply in replies.items()} == {
        "call": ("gpt-4o-mini", 0, "call"),
        "stand-in": ("claude-haiku-4-5", 0, "stand-in"),
        "ladder": ("gpt-4o", 2, "ladder"),
    }
    assert app.ledger.runs() == []


def test_what_is_no_router(app: App) -> None:
    with pytest.raises(UsageError, match="its routes"):
        Router(lambda: "a", {})
    with pytest.raises(UsageError, match="default names 'third', and the routes are simple, complex"):
        Router(lambda: "a", ROUTES, default="third")
    with pytest.raises(UsageError, match="about names 'third'"):
        Router(lambda: "a", ROUTES, about={"third": ""})
    with pytest.raises(UsageError, match="the route 'a' leads to a Router"):
        Router(lambda: "a", {"a": Router(lambda: "a", ROUTES)})  # type: ignore[dict-item]
    assert app.ledger.runs() == []


# The record


said: list[str] = []


def changing(text: str) -> str:
    """No two times the same."""
    assert text
    said.append(("simple", "complex")[len(said) % 2])
    return said[-1]


@flow
async def routed() -> tuple[str, str]:
    reply = await generate(ASKED, Reply, using=Router(changing, ROUTES))
    return reply.route, reply.text


@flow
def routed_in_line() -> tuple[str, str]:
    reply = generate.sync(ASKED, Reply, using=Router(changing, ROUTES))
    return reply.route, reply.text


@pytest.mark.parametrize("target", [routed, routed_in_line])
def test_a_resume_takes_the_route_that_was_taken(app: App, tmp_path: Path, target: Any) -> None:
    said.clear()
    with scripted(named):
        expected = app.run(target)
    assert expected == ("simple", "gpt-4o-mini here")
    assert names(app) == ["route", "openai.chat", "generate"]
    total = len(history(app))
    source = Path(app.ledger.where)
    app.close()
    resumed = 0
    for kept in range(1, total):
        cut(source, tmp_path / f"after-{kept}", kept)
        with opened_app(tmp_path / f"after-{kept}") as again:
            if "route" not in names(again):
                continue
            resumed += 1
            # It would say something else now.
            assert len(said) == 1
            with scripted(named):
                assert again.resume("last", flow=target) == expected
    assert resumed == 3
