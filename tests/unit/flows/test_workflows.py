"""Flows and workflow classes: called directly, by an app, inside each other, and built anew for a resume."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import openai
import pytest

from durable import history, names, opened_app
from surefoot import App, Workflow, current_run, flow, last_run, step
from surefoot.config import load
from surefoot.errors import InvalidInput, StepFailed, UnknownFlow, UnknownRun
from surefoot.flows import checked
from surefoot.ledger import decode
from surefoot.values import RunTags


class Crash(BaseException):
    """The process ends here."""


executed: list[str] = []


@step
def tell(what: str) -> str:
    executed.append(what)
    return what


@step
def crash_once() -> None:
    if "crashed" not in executed:
        executed.append("crashed")
        raise Crash


@pytest.fixture(autouse=True)
def nothing_executed() -> None:
    executed.clear()


@dataclass
class Style:
    tone: str


class Greeting(Workflow, version="3"):
    def __init__(self, word: str, style: Style | None = None, *, times: int = 1) -> None:
        super().__init__()
        self.word = word
        self.style = style
        self.times = times

    def run(self, name: str) -> list[str]:
        said = [tell(f"{self.word} {name}") for _ in range(self.times)]
        crash_once()
        return [*said, self.style.tone if self.style else ""]


class GreetingAsync(Workflow, name="greet-async"):
    async def run(self, name: str) -> str:
        await asyncio.sleep(0)
        return tell(f"hi {name}")


class LoudGreeting(Greeting):
    """Inherits what it does, and is a flow of its own all the same."""


class Asking(Workflow):
    def __init__(self, client: openai.OpenAI, model: str = "gpt-4o") -> None:
        super().__init__()
        self.client = client
        self.model = model

    def run(self) -> str:
        crash_once()
        return f"{type(self.client).__name__} {self.client.base_url} {self.model}"


def test_a_workflow_called_directly_is_a_run(app: App) -> None:
    executed.append("crashed")
    assert Greeting("hello", times=2).run("Ada") == ["hello Ada", "hello Ada", ""]
    run = app.ledger.run(last_run().id)
    assert (run.flow, run.flow_version, run.status, run.totals.steps) == ("Greeting", "3", "completed", 3)
    given = decode(app.ledger.exact(run.id, history(app)[0].outcome.inputs))
    assert given == {
        "inputs": {"name": "Ada"},
        "init": {"word": "hello", "style": None, "times": 2},
    }


def test_an_async_workflow_is_awaited(app: App) -> None:
    assert asyncio.run(GreetingAsync().run(name="Ada")) == "hi Ada"
    assert app.ledger.run("last").flow == "greet-async"


def test_a_sync_workflow_runs_inside_a_running_loop(app: App) -> None:
    executed.append("crashed")

    async def main() -> list[str]:
        return Greeting("hello").run("Ada")

    assert asyncio.run(main()) == ["hello Ada", ""]
    assert names(app) == ["tell", "crash_once"]


def test_an_interrupted_workflow_is_built_anew_from_its_record(app: App) -> None:
    with pytest.raises(Crash):
        Greeting("hello", Style("warm"), times=2).run("Ada")
    assert app.resume(app.ledger.run("last").id, flow=Greeting) == ["hello Ada", "hello Ada", "warm"]
    assert executed == ["hello Ada", "hello Ada", "crashed"]


def test_an_heir_is_a_flow_of_its_own(app: App) -> None:
    with pytest.raises(Crash):
        LoudGreeting("HELLO").run("Ada")
    run = app.ledger.run("last")
    assert run.flow == "LoudGreeting"
    assert run.entry.qualname == "LoudGreeting"
    assert app.resume(run.id, flow=LoudGreeting) == ["HELLO Ada", ""]


def test_an_heir_may_call_what_it_inherits(app: App) -> None:
    executed.append("crashed")

    class Polite(Greeting):
        def run(self, name: str) -> list[str]:
            return [*super().run(f"Dr {name}"), "please"]

    assert Polite("hello").run("Ada") == ["hello Dr Ada", "", "please"]
    assert app.ledger.run("last").flow == "Polite"
    assert names(app) == ["tell", "crash_once", "Greeting"]


def test_what_a_mixin_does_is_a_flow_too(app: App) -> None:
    class Saying:
        def run(self, word: str) -> str:
            return tell(word)

    class Spoken(Saying, Workflow):
        pass

    assert Spoken().run("x") == "x"
    assert app.ledger.run("last").flow == "Spoken"


@pytest.fixture
def connected(tmp_path: Path) -> Any:
    (tmp_path / "surefoot.toml").write_text(
        '[connections.main]\nprovider = "openai"\nbase_url = "http://127.0.0.1:9/v1/"\napi_key = "${env:MY_KEY}"\n'
    )
    app = App(load(tmp_path, environ={"MY_KEY": "key-of-a-test"}))
    with app.entered():
        yield app
    app.close()


def test_a_client_is_recorded_by_its_class_and_made_from_the_connection(connected: App) -> None:
    client = openai.OpenAI(api_key="another", base_url="http://127.0.0.1:8/v1/")
    with pytest.raises(Crash):
        Asking(client, model="gpt-4o-mini").run()
    run = connected.ledger.run("last")
    assert "openai:OpenAI" in history(connected)[0].outcome.inputs.view
    assert connected.resume(run.id, flow=Asking) == "OpenAI http://127.0.0.1:9/v1/ gpt-4o-mini"


def test_an_app_makes_the_client_for_a_class(connected: App) -> None:
    executed.append("crashed")
    assert connected.run(Asking) == "OpenAI http://127.0.0.1:9/v1/ gpt-4o"


def test_a_make_method_builds_what_annotations_cannot(app: App) -> None:
    class Shop(Workflow):
        def __init__(self, door: object) -> None:
            super().__init__()
            self.door = door

        @staticmethod
        def make() -> Any:
            return Shop(door=object())

        def run(self) -> str:
            return type(self.door).__name__

    assert app.run(Shop) == "object"


def test_constructors_of_all_signatures_are_built_anew(app: App) -> None:
    class Wide(Workflow):
        def __init__(self, first: int, /, *rest: int, last: int = 0, **more: int) -> None:
            super().__init__()
            self.seen = (first, rest, last, more)

        def run(self) -> object:
            crash_once()
            return self.seen

    with pytest.raises(Crash):
        Wide(1, 2, 3, last=4, x=5).run()
    assert app.resume(app.ledger.run("last").id, flow=Wide) == (1, (2, 3), 4, {"x": 5})


def test_a_workflow_that_cannot_be_built_says_what_it_lacks(app: App) -> None:
    with pytest.raises(InvalidInput, match="without word") as caught:
        app.run(Greeting, {"name": "Ada"})
    assert "--init word=VALUE" in str(caught.value)
    with pytest.raises(InvalidInput, match="takes no colour"):
        app.run(Greeting, {"name": "Ada"}, init={"word": "x", "colour": "red"})
    assert app.ledger.runs() == []


# Inputs


class Formless:
    pass


if TYPE_CHECKING:
    from nowhere import Unknown  # type: ignore[import-not-found]


@flow
def taking(thing: Formless, other: Unknown, n: int) -> int:
    return n


@flow(name="priced")
def priced(item: str, count: int, discount: float | None = None, **more: int) -> object:
    return item, count, discount, more


def test_inputs_are_converted_and_completed(app: App) -> None:
    assert app.run(priced, {"item": "tea", "count": "3", "extra": 4}) == ("tea", 3, None, {"extra": 4})


def test_all_mistakes_are_told_at_once(app: App) -> None:
    @flow
    def strict(item: str, count: int, other: Style) -> None: ...

    with pytest.raises(InvalidInput) as caught:
        app.run(strict, {"count": "many", "colour": "red"})
    text = str(caught.value)
    for part in (
        "'item' is missing",
        "'count'",
        "text of 4 characters",
        "'colour' is no input",
        "strict",
        "count:",
    ):
        assert part in text
    assert app.ledger.runs() == []


def test_an_input_of_a_class_that_says_nothing_of_its_form_is_taken_as_it_is(app: App) -> None:
    thing = Formless()
    given = {"thing": thing, "other": 5, "n": "1"}
    assert checked(taking.spec, given) == {"thing": thing, "other": 5, "n": 1}


def test_flows_that_are_none(app: App) -> None:
    for wrong in (len, object(), "nowhere.py:x", "no_such_module:x", ":x", "tests"):
        with pytest.raises(UnknownFlow):
            app.run(wrong)  # type: ignore[arg-type]


# Apps


def test_an_app_runs_sync_and_async_flows_from_sync_code(app: App) -> None:
    executed.append("crashed")
    assert app.run(Greeting("hello"), {"name": "Ada"}) == ["hello Ada", ""]
    assert app.run(GreetingAsync, {"name": "Ada"}) == "hi Ada"


def test_an_app_runs_sync_and_async_flows_from_async_code(app: App) -> None:
    executed.append("crashed")

    async def main() -> object:
        return await asyncio.gather(
            app.run_async(Greeting("hello"), {"name": "Ada"}), app.run_async(GreetingAsync, {"name": "Bob"})
        )

    assert asyncio.run(main()) == [["hello Ada", ""], "hi Bob"]


def test_a_failed_flow_raises_step_failed_with_its_cause(app: App) -> None:
    @step
    def fails() -> None:
        raise OSError("down")

    @flow
    async def failing() -> None:
        fails()

    def sync() -> object:
        return app.run(failing)

    def in_loop() -> object:
        return asyncio.run(app.run_async(failing))

    for run in (sync, in_loop):
        with pytest.raises(StepFailed) as caught:
            run()
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.step == "fails"
        record = app.ledger.run(caught.value.run_id)
        assert record.status == "failed"
        assert record.error == "OSError: down"
        assert f"surefoot resume {record.id}" in str(caught.value)


def test_tags_go_into_the_record(app: App) -> None:
    app.run(priced, {"item": "x", "count": 1}, tags=RunTags("acme", "ada", "s-1", {"team": "blue"}))
    run = app.ledger.run("last")
    assert (run.tenant, run.principal, run.session, run.tags) == ("acme", "ada", "s-1", {"team": "blue"})
    assert [found.id for found in app.ledger.runs(tenant="acme")] == [run.id]


def test_flows_inside_a_run_are_steps_of_it(app: App) -> None:
    @flow
    def outer() -> object:
        executed.append("crashed")
        return Greeting("hello").run("Ada"), asyncio.run(GreetingAsync().run("Bob"))

    assert outer() == (["hello Ada", ""], "hi Bob")
    assert len(app.ledger.runs()) == 1
    kinds = {link.outcome.name: (link.outcome.kind, len(link.outcome.path) // 16) for link in history(app)}
    assert kinds["Greeting"] == ("flow", 0)
    assert kinds["tell"] == ("step", 1)
    assert kinds["greet-async"] == ("flow", 0)


def test_a_run_belongs_to_the_app_that_runs_it(app: App, tmp_path: Path) -> None:
    with opened_app(tmp_path / "other") as other:
        pass

    @flow
    def where() -> str:
        here = current_run()
        assert here is not None
        return here.id

    first = where()
    with opened_app(tmp_path / "other") as other:
        second = where()
        assert [run.id for run in other.ledger.runs()] == [second]
    assert [run.id for run in app.ledger.runs()] == [first]


def test_a_completed_run_gives_its_output_again(app: App) -> None:
    executed.append("crashed")
    result = app.run(Greeting("hello"), {"name": "Ada"})
    executed.clear()
    assert app.resume("last", flow=Greeting) == result
    assert executed == []


def test_a_run_that_is_not_there(app: App) -> None:
    with pytest.raises(UnknownRun, match="surefoot runs"):
        app.resume("01NOSUCHRUN")


def test_listeners_see_what_happens_and_cannot_break_it(app: App) -> None:
    seen: list[Any] = []

    def listen(event: Any) -> None:
        seen.append(type(event).__name__)
        raise ValueError("a broken listener")

    executed.append("crashed")
    assert app.run(Greeting("hello"), {"name": "Ada"}, listener=listen) == ["hello Ada", ""]
    assert seen == ["RunOpened", "StepOpened", "StepClosed", "StepOpened", "StepClosed"]


class Counting(Workflow):
    made: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).made += 1

    def run(self) -> int:
        return self.made


def test_an_object_that_is_given_is_used_as_it_is(app: App) -> None:
    assert app.run(Counting()) == 1
