"""What is different in a run: said in one text, recorded with it, and the same for its resumes and child runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from surefoot import App, Prompty, flow, generate, prompt, scripted, step
from surefoot.errors import InvalidInput, UnknownPrompt, UsageError
from surefoot.flows import (
    Change,
    Options,
    begin,
    drive,
    find_spec,
    parse_change,
    recorded_changes,
    resolved,
    target_of,
    with_inputs,
)


@pytest.fixture
def prompts(app: App) -> Path:
    folder = app.settings.root / "prompts"
    folder.mkdir()
    for version, said in (("1", "one"), ("2", "two")):
        text = f"prompt_id: p\nversion: '{version}'\ntemplate: '{said} {{x}}'\n"
        (folder / f"p{version}.yaml").write_text(text)
    app.prompts.promote("p@1", "production")
    app.prompts.promote("p@2", "candidate")
    return folder


FAILING: list[str] = []


@step
def render(x: int) -> str:
    return prompt("p").render(x=x)


@step
def render_file(path: str, x: int) -> str:
    return Prompty.load(path).render(x=x)


@flow
def rendering(x: int) -> str:
    said = render(x)
    if FAILING:
        raise ValueError(FAILING.pop())
    return f"{said}/{prompt('p@production').render(x=x)}"


@flow
def rendering_file(path: str) -> str:
    return render_file(path, 1)


@flow
def around(x: int) -> object:
    return App.current().run(rendering, {"x": x})


@flow
def asking(model: str) -> str:
    return generate.sync([{"role": "user", "content": "hello"}], using=model or None)


@flow
def asking_by_sdk() -> str:
    import openai

    client = openai.OpenAI(api_key="none", base_url="http://127.0.0.1:9/v1", max_retries=0)
    said = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "hello"}])
    return said.choices[0].message.content or ""


def made(target: object, *changes: str, **inputs: object) -> object:
    found, spec = find_spec(target)  # type: ignore[arg-type]
    call = target_of(found, spec, inputs, init={}, make_client=lambda _kind: None)
    return drive(begin(call, Options(changes=tuple(map(parse_change, changes)))))


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("prompt:answer@candidate", Change("prompt", "answer", "candidate")),
        ("prompt:a/b@2", Change("prompt", "a/b", "2")),
        ("model:openai:gpt-4o=openai:gpt-4o-mini", Change("model", "openai:gpt-4o", "openai:gpt-4o-mini")),
        ("step:parse", Change("step", "parse")),
        ("input:limit=5", Change("input", "limit", "5")),
        ("input:query=a=b@c", Change("input", "query", "a=b@c")),
        ("input:query=", Change("input", "query", "")),
    ],
)
def test_a_change_is_one_text(text: str, change: Change) -> None:
    assert parse_change(text) == change
    assert str(change) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "prompt",
        "prompt:",
        "prompt:answer",
        "prompt:@2",
        "prompt:answer@",
        "model:a",
        "model:=b",
        "step:",
        "tool:x",
    ],
)
def test_what_is_no_change_says_how_one_is_written(text: str) -> None:
    with pytest.raises(UsageError, match="prompt:answer@candidate"):
        parse_change(text)


def test_two_changes_of_one_thing_are_refused(app: App, prompts: Path) -> None:
    with pytest.raises(UsageError, match="change the same"):
        resolved(["prompt:p@1", "prompt:p@2"])
    assert len(resolved(["prompt:p@2", "prompt:p@2"])) == 1


def test_every_reference_to_a_changed_prompt_means_that_version(app: App, prompts: Path) -> None:
    assert made(rendering, x=1) == "one 1/one 1"
    assert made(rendering, "prompt:p@candidate", x=1) == "two 1/two 1"
    assert made(rendering_file, "prompt:p@candidate", path=str(prompts / "p1.yaml")) == "two 1"


def test_the_version_is_held_by_resumes_wherever_its_label_points(app: App, prompts: Path) -> None:
    FAILING.append("a bad day")
    with pytest.raises(ValueError, match="a bad day"):
        made(rendering, "prompt:p@candidate", x=1)
    run = app.ledger.run("last")
    (change,) = recorded_changes(run.tags)
    assert change == Change("prompt", "p", app.prompts.find("p@2").digest)
    app.prompts.promote("p@1", "candidate")
    for file in prompts.glob("*.yaml"):
        file.unlink()
    # Its text is in the ledger.
    assert app.resume(run.id) == "two 1/two 1"


def test_child_runs_have_the_changes_of_their_parent(app: App, prompts: Path) -> None:
    assert made(around, "prompt:p@candidate", x=3) == "two 3/two 3"
    child = app.ledger.runs(flow="rendering")[0]
    assert [change.name for change in recorded_changes(child.tags)] == ["p"]


def test_a_version_that_is_not_there_is_an_error_before_anything_runs(app: App, prompts: Path) -> None:
    with pytest.raises(UnknownPrompt, match="nobody"):
        made(rendering, "prompt:p@nobody", x=1)
    assert app.ledger.runs() == []


@pytest.mark.parametrize("changed", ["openai:gpt-4o", "gpt-4o"])
@pytest.mark.parametrize("said", ["openai:gpt-4o", "gpt-4o"])
def test_what_is_asked_of_one_model_is_asked_of_another(app: App, changed: str, said: str) -> None:
    with scripted(["hi", "hi"]) as script:
        made(asking, f"model:{changed}=anthropic:claude-sonnet-5", model=said)
        made(asking, "model:openai:gpt-4o-mini=anthropic:claude-sonnet-5", model=said)
    assert [request.model for request in script.requests] == ["claude-sonnet-5", "gpt-4o"]


def test_the_request_of_an_sdk_client_is_not_altered_but_refused(app: App) -> None:
    with pytest.raises(UsageError, match=r"asked through an SDK client.*openai:gpt-4o-mini"):
        made(asking_by_sdk, "model:openai:gpt-4o=openai:gpt-4o-mini")


def test_a_changed_input_is_checked_by_the_flow(app: App) -> None:
    spec = find_spec(rendering)[1]
    assert with_inputs(spec, {"x": 1}, [parse_change("input:x=5")]) == {"x": 5}
    with pytest.raises(InvalidInput, match="'y' is no input"):
        with_inputs(spec, {"x": 1}, [parse_change("input:y=5")])
    with pytest.raises(InvalidInput, match="'x'"):
        with_inputs(spec, {"x": 1}, [parse_change("input:x=five")])


def test_a_tag_that_means_something_else_is_no_change() -> None:
    assert recorded_changes({"changes": "minor"}) == ()
    assert recorded_changes({"changes": '["minor"]'}) == ()
    assert recorded_changes({"changes": "5"}) == ()


def test_too_many_changes_are_refused(app: App) -> None:
    many = [f"model:openai:{number:03}{'x' * 90}=openai:gpt-4o" for number in range(20)]
    with pytest.raises(UsageError, match="change less at once"):
        made(asking, *many, model="openai:gpt-4o")
