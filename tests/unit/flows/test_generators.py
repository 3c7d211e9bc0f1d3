"""Generator steps: read live, recorded as one outcome, replayed item by item."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import pytest

from durable import cut, history, names, opened_app
from surefoot import App, current_run, current_step, flow, step
from surefoot.errors import ClosedEarly, NotData, OutsideRun, RunEnded, UsageError
from surefoot.flows import RunEvent, StepOpened, StepYielded

calls: list[Any] = []


@pytest.fixture(autouse=True)
def no_calls() -> None:
    calls.clear()


class Failing:
    """Fails the first time that it is called, in every test anew."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = [ValueError("the first time")]

    def __call__(self) -> None:
        if self.errors:
            raise self.errors.pop()


def resumed(app: App, target: Any) -> Any:
    calls.clear()
    return app.resume(app.ledger.run("last").id, flow=target)


def statuses(app: App) -> list[tuple[str, str, int]]:
    kinds = ("start", "end")
    outcomes = [link.outcome for link in history(app) if link.outcome.kind not in kinds]
    return [(outcome.name, outcome.status, outcome.attempt) for outcome in outcomes]


@step
def note(what: object) -> object:
    calls.append(what)
    return what


@step
def words(count: int) -> Generator[str, object, str]:
    for n in range(count):
        calls.append(n)
        got = yield f"word {n}"
        if got is not None:
            calls.append(got)
    return "all"


@step
async def tokens(count: int) -> AsyncIterator[str]:
    for n in range(count):
        await asyncio.sleep(0)
        calls.append(n)
        yield f"token {n}"


def test_outside_of_runs_it_is_the_generator_itself() -> None:
    assert list(words(2)) == ["word 0", "word 1"]
    assert isinstance(words(1), Generator)
    assert type(words(1)).__name__ == "generator"
    assert isinstance(tokens(1), AsyncGenerator)


def test_the_reader_gets_each_item_as_it_is_yielded(app: App) -> None:
    @flow
    def reading() -> list[str]:
        read = []
        for word in words(3):
            calls.append(word)
            read.append(word)
        return read

    assert reading() == ["word 0", "word 1", "word 2"]
    assert calls == [0, "word 0", 1, "word 1", 2, "word 2"]
    assert names(app) == ["words"]


def test_the_reader_of_an_async_one_gets_each_item_as_it_is_yielded(app: App) -> None:
    @flow
    async def reading() -> int:
        async for token in tokens(3):
            calls.append(token)  # noqa: PERF401  (one by one is what is tested)
        return len(calls)

    assert asyncio.run(reading()) == 6
    assert calls == [0, "token 0", 1, "token 1", 2, "token 2"]
    assert names(app) == ["tokens"]


def test_a_replay_gives_items_and_result_and_ignores_what_is_sent(app: App) -> None:
    fails = Failing()

    @flow
    def sending() -> list[object]:
        def gather() -> Generator[str, object, str]:
            return (yield from words(2))

        reader = gather()
        read: list[object] = [next(reader), reader.send("sent")]
        try:
            next(reader)
        except StopIteration as end:
            read.append(end.value)
        fails()
        return read

    with pytest.raises(ValueError, match="first time"):
        sending()
    assert calls == [0, "sent", 1]
    assert resumed(app, sending) == ["word 0", "word 1", "all"]
    assert calls == []
    assert app.ledger.first_break(app.ledger.run("last").id) is None


def test_items_are_recorded_as_they_were_handed_out(app: App) -> None:
    fails = Failing()

    @step
    def rows() -> Iterator[list[int]]:
        row = [0]
        for n in range(3):
            row.append(n)
            yield row

    @flow
    def spoiling() -> list[list[int]]:
        read = []
        for row in rows():
            read.append(list(row))
            row.append(99)
        fails()
        return read

    with pytest.raises(ValueError, match="first time"):
        spoiling()
    assert resumed(app, spoiling) == [[0, 0], [0, 0, 99, 1], [0, 0, 99, 1, 99, 2]]


def test_a_failure_in_the_middle_that_the_flow_survived_is_replayed(app: App) -> None:
    fails = Failing()

    @step
    def breaking() -> Iterator[int]:
        calls.append("breaking")
        yield 1
        yield 2
        raise LookupError("lost")

    @flow
    def surviving() -> list[object]:
        read: list[object] = []
        try:
            read.extend(iter(breaking()))
        except LookupError as error:
            read.append(str(error))
        fails()
        return read

    with pytest.raises(ValueError, match="first time"):
        surviving()
    assert resumed(app, surviving) == [1, 2, "lost"]
    assert calls == []
    assert statuses(app) == [("breaking", "failed", 1)]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_failure_that_ended_the_run_is_tried_again(app: App, is_async: bool) -> None:
    fails = Failing()

    @step
    def breaking() -> Iterator[int]:
        yield 1
        fails()
        yield 2

    @step
    async def breaking_async() -> AsyncIterator[int]:
        yield 1
        fails()
        yield 2

    @flow
    def reading() -> list[int]:
        return list(breaking())

    @flow
    async def reading_async() -> list[int]:
        return [n async for n in breaking_async()]

    target: Any = reading_async if is_async else reading
    with pytest.raises(ValueError, match="first time"):
        asyncio.run(target()) if is_async else target()
    assert app.ledger.run("last").failed_step == target.spec.name.replace("reading", "breaking")
    assert resumed(app, target) == [1, 2]
    assert [status for _, status, _ in statuses(app)] == ["failed", "completed"]


def test_a_replayed_failure_that_ends_the_run_this_time_is_tried_again(app: App) -> None:
    is_careful = [True]
    fails = Failing()

    @step
    def breaking() -> Iterator[int]:
        yield 1
        fails()
        yield 2

    @flow
    def reading() -> list[int]:
        try:
            return list(breaking())
        except ValueError:
            if is_careful:
                raise RuntimeError("careful") from None
            raise

    with pytest.raises(RuntimeError):
        reading()
    is_careful.clear()
    with pytest.raises(Exception, match="first time"):
        resumed(app, reading)
    assert resumed(app, reading) == [1, 2]


def test_an_attempt_is_repeated_only_before_the_first_item(app: App) -> None:
    early, late = Failing(), Failing()

    @step(retries=2, backoff=lambda _: 0.0)
    def trying(first: bool) -> Iterator[int]:
        calls.append(current_step().attempt)  # type: ignore[union-attr]
        (early if first else int)()
        yield 1
        (int if first else late)()
        yield 2

    @flow
    def reading() -> object:
        read: list[object] = [*trying(True)]
        try:
            read.extend(trying(False))
        except ValueError:
            read.append("failed")
        return read

    assert reading() == [1, 2, 1, "failed"]
    assert calls == [1, 2, 1]
    assert statuses(app) == [("trying", "failed", 1), ("trying", "completed", 2), ("trying", "failed", 1)]


@pytest.mark.parametrize("fallback", [["a", "b"], lambda: iter("ab")])
def test_a_fallback_gives_the_items_where_none_came(app: App, fallback: object) -> None:
    @step(fallback=fallback)
    def failing() -> Iterator[str]:
        raise LookupError("none")
        yield "x"

    @step(fallback=fallback)
    async def failing_async() -> AsyncIterator[str]:
        raise LookupError("none")
        yield "x"

    @flow
    async def reading() -> list[str]:
        return [*failing(), *[item async for item in failing_async()]]

    assert asyncio.run(reading()) == ["a", "b", "a", "b"]
    assert app.ledger.run("last").totals.is_degraded


def test_an_item_that_is_no_data_fails_the_step_before_it_is_handed_out(app: App) -> None:
    @step(retries=3)
    def opaque() -> Iterator[object]:
        try:
            yield 1
            yield object()
        finally:
            calls.append("closed")

    @flow
    def reading() -> list[object]:
        return list(opaque())

    with pytest.raises(NotData, match=r"opaque\(\) item 1"):
        reading()
    assert calls == ["closed"]
    assert statuses(app) == [("opaque", "failed", 1)]


def test_a_result_that_is_no_data_fails_the_step(app: App) -> None:
    @step
    def opaque() -> Generator[int, None, object]:
        yield 1
        return object()

    @flow
    def reading() -> list[object]:
        return list(opaque())

    with pytest.raises(NotData, match=r"what opaque\(\) returned"):
        reading()
    assert statuses(app) == [("opaque", "failed", 1)]


def test_a_step_that_returns_a_generator_is_still_no_data(app: App) -> None:
    @step
    def returning() -> Iterator[int]:
        return (n for n in range(3))

    @flow
    def reading() -> object:
        return list(returning())

    with pytest.raises(NotData):
        reading()


def test_steps_inside_are_its_children_and_scopes_do_not_leak(app: App) -> None:
    seen: list[object] = []

    @step
    def outer() -> Iterator[object]:
        seen.append(current_step().name)  # type: ignore[union-attr]
        yield note("inside 1")
        seen.append(current_step().name)  # type: ignore[union-attr]
        yield note("inside 2")

    @flow
    def reading() -> list[object]:
        read = []
        for item in outer():
            seen.append(current_step())
            read.append(note(f"{item}, outside"))
        return read

    assert reading() == ["inside 1, outside", "inside 2, outside"]
    assert seen == ["outer", None, "outer", None]
    paths = {
        link.outcome.name: len(link.outcome.path) for link in history(app) if link.outcome.kind == "step"
    }
    by_depth = [len(link.outcome.path) // 16 for link in history(app) if link.outcome.name == "note"]
    assert paths["outer"] == 0
    assert by_depth == [1, 0, 1, 0]
    lanes = {link.outcome.lane for link in history(app)}
    assert lanes == {0}


def test_context_variables_of_the_body_are_its_own(app: App) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="outside")

    @step
    def setting() -> Iterator[str]:
        variable.set("inside")
        yield variable.get()
        yield variable.get()

    @flow
    def reading() -> list[str]:
        return [f"{item} {variable.get()}" for item in setting()]

    assert reading() == ["inside outside", "inside outside"]


def test_threads_that_take_turns_read_one_lane(app: App) -> None:
    """As web frameworks do: each `next` in another thread of a pool."""

    @step
    def noting() -> Iterator[object]:
        for n in range(4):
            yield note(n)

    @flow
    async def reading() -> list[object]:
        reader = noting()
        return [await asyncio.to_thread(next, reader) for _ in range(4)]

    assert asyncio.run(reading()) == [0, 1, 2, 3]
    assert {link.outcome.lane for link in history(app) if link.outcome.name == "note"} == {0}


def test_a_generator_in_use_refuses_a_second_reader(app: App) -> None:
    @step
    def nested() -> Iterator[int]:
        yield 1
        with pytest.raises(ValueError, match="running already"):
            next(readers[0])
        yield 2

    readers: list[Iterator[int]] = []

    @flow
    def reading() -> list[int]:
        readers.append(nested())
        return list(readers[0])

    assert reading() == [1, 2]


@pytest.mark.parametrize("is_live", [True, False])
def test_after_its_end_it_gives_no_more(app: App, is_live: bool) -> None:
    fails = Failing()

    @flow
    def reading() -> list[str]:
        reader = words(1)
        read = [next(reader), next(reader, "end"), next(reader, "end")]
        reader.close()
        with pytest.raises(KeyError):
            reader.throw(KeyError("thrown"))
        if not is_live:
            fails()
        return read

    if not is_live:
        with pytest.raises(ValueError, match="first time"):
            reading()
        assert resumed(app, reading) == ["word 0", "end", "end"]
    else:
        assert reading() == ["word 0", "end", "end"]


def test_what_is_thrown_in_reaches_the_body(app: App) -> None:
    fails = Failing()

    @step
    def catching() -> Iterator[str]:
        try:
            yield "first"
        except KeyError:
            yield "caught"

    @flow
    def throwing() -> list[str]:
        reader = catching()
        read = [next(reader), reader.throw(KeyError("thrown"))]  # type: ignore[attr-defined]
        fails()
        return [*read, *reader]

    with pytest.raises(ValueError, match="first time"):
        throwing()
    assert resumed(app, throwing) == ["first", "caught"]


def test_a_step_is_a_context_manager_like_any_generator(app: App) -> None:
    @contextlib.contextmanager
    @step
    def opened() -> Iterator[str]:
        calls.append("open")
        yield "it"
        calls.append("closed")

    @flow
    def using() -> str:
        with opened() as it:
            return str(note(it))

    assert using() == "it"
    assert calls == ["open", "it", "closed"]
    assert names(app) == ["note", "opened"]


def test_methods_are_generator_steps_too(app: App) -> None:
    class Source:
        @step(key="items")
        def items(self) -> Iterator[int]:
            yield from range(3)

    @flow
    def reading() -> list[int]:
        return list(Source().items())

    assert reading() == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"effect": True}, "an effect"),
        ({"timeout": 1.0}, "timeout="),
        ({"compensate": print}, "compensate="),
    ],
)
def test_what_makes_no_sense_for_a_generator_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):

        @step(**options)
        def generating() -> Iterator[int]:
            yield 1


def test_a_flow_that_is_a_generator_is_told_what_to_do() -> None:
    with pytest.raises(UsageError, match="@step"):

        @flow
        def generating() -> Iterator[int]:
            yield 1


def test_a_pure_and_a_plain_one(app: App) -> None:
    @step(pure=True)
    def pure() -> Iterator[int]:
        yield 1

    @step(plain=True)
    def plain() -> Iterator[int]:
        yield 2

    @flow
    def reading() -> list[int]:
        return [*pure(), *plain()]

    assert reading() == [1, 2]
    assert names(app) == ["pure"]


def test_readers_side_by_side_keep_to_their_own_items(app: App) -> None:
    fails = Failing()

    @step
    async def numbered(chain: str) -> AsyncIterator[str]:
        for n in range(3):
            await asyncio.sleep(0.001)
            yield f"{chain}{n}"

    async def read(chain: str) -> list[str]:
        return [item async for item in numbered(chain)]

    @flow
    async def reading() -> list[list[str]]:
        read_all = list(await asyncio.gather(*(read(chain) for chain in "aab")))
        fails()
        return read_all

    with pytest.raises(ValueError, match="first time"):
        asyncio.run(reading())
    expected = [[f"{chain}{n}" for n in range(3)] for chain in "aab"]
    assert resumed(app, reading) == expected
    assert names(app) == ["numbered"] * 3


def test_a_listener_hears_each_item(app: App) -> None:
    fails = Failing()
    heard: list[tuple[object, int, bool]] = []

    def listen(event: RunEvent) -> None:
        if isinstance(event, StepYielded):
            heard.append((event.item, event.index, event.is_replayed))

    @flow
    async def reading() -> None:
        async for _ in tokens(2):
            pass
        fails()

    with pytest.raises(Exception, match="first time"):
        app.run(reading, listener=listen)
    assert heard == [("token 0", 0, False), ("token 1", 1, False)]
    heard.clear()
    app.resume("last", flow=reading, listener=listen)
    assert heard == [("token 0", 0, True), ("token 1", 1, True)]


# Left early


def test_an_early_end_is_recorded_once_the_reader_goes_on(app: App) -> None:
    fails = Failing()

    @flow
    def leaving() -> list[object]:
        read: list[object] = []
        for word in words(5):
            read.append(word)
            if len(read) == 2:
                break
        read.append(note("after"))
        fails()
        return read

    with pytest.raises(ValueError, match="first time"):
        leaving()
    assert names(app) == ["words", "note"]
    assert resumed(app, leaving) == ["word 0", "word 1", "after"]
    assert calls == []


def test_reading_past_an_early_end_is_refused_in_a_replay(app: App) -> None:
    wanted = [1]
    fails = Failing()

    @flow
    def leaving() -> list[object]:
        read: list[object] = []
        with closing(words(5)) as reader:  # type: ignore[arg-type]
            for _ in wanted:
                read.append(next(reader))  # noqa: PERF401
        note("after")
        fails()
        return read

    with pytest.raises(ValueError, match="first time"):
        leaving()
    wanted.append(2)
    with pytest.raises(Exception, match="'words' is read past its 1 recorded items") as caught:
        resumed(app, leaving)
    assert isinstance(caught.value.__cause__, ClosedEarly)


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_reader_that_fails_reads_all_of_it_again(app: App, is_closed: bool) -> None:
    fails = Failing()

    @step
    def use(word: str) -> str:
        if word == "word 1":
            fails()
        return word

    @step
    def stepping() -> Iterator[str]:
        note("before")
        yield from words(3)

    @flow
    def reading() -> list[str]:
        if is_closed:
            with closing(stepping()) as reader:  # type: ignore[arg-type]
                return [use(word) for word in reader]
        return [use(word) for word in stepping()]

    with pytest.raises(ValueError, match="first time"):
        reading()
    assert resumed(app, reading) == ["word 0", "word 1", "word 2"]
    assert calls == [0, 1, 2]  # what was finished inside stands, the rest begins again
    assert [name for name in names(app) if name != "use"] == ["note", "words", "stepping"]
    assert app.ledger.first_break(app.ledger.run("last").id) is None


@pytest.mark.parametrize("is_closed", [True, False])
def test_an_async_reader_that_fails_reads_all_of_it_again(app: App, is_closed: bool) -> None:
    fails = Failing()

    @flow
    async def reading() -> list[str]:
        read = []

        async def use(reader: AsyncIterator[str]) -> None:
            async for token in reader:
                if token == "token 1":
                    fails()
                read.append(token)

        if is_closed:
            async with aclosing(tokens(3)) as reader:  # type: ignore[type-var]
                await use(reader)
        else:
            await use(tokens(3))
        return read

    with pytest.raises(ValueError, match="first time"):
        asyncio.run(reading())
    assert names(app) == []
    assert resumed(app, reading) == ["token 0", "token 1", "token 2"]
    assert names(app) == ["tokens"]


def test_a_failing_reader_beside_one_that_goes_on(app: App) -> None:
    """What the failing one left is read again, though the other has claimed more since."""
    fails = Failing()

    @step
    async def use(token: str) -> str:
        return token

    async def read(is_failing: bool) -> list[str]:
        got = []
        async for token in tokens(3 + is_failing):
            if is_failing and token == "token 1":
                fails()
            got.append(await use(token))
        return got

    @flow
    async def reading() -> list[object]:
        results = await asyncio.gather(read(True), read(False), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return list(results)

    with pytest.raises(ValueError, match="first time"):
        asyncio.run(reading())
    expected = [[f"token {n}" for n in range(count)] for count in (4, 3)]
    assert resumed(app, reading) == expected


def test_a_cancelled_reader_leaves_nothing_behind(app: App) -> None:
    @step
    async def endless() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.sleep(60)
            yield 2
        finally:
            calls.append("closed")

    @flow
    async def reading() -> list[object]:
        read: list[object] = []
        try:
            async with asyncio.timeout(0.02):
                async for item in endless():
                    read.append(item)  # noqa: PERF401
        except TimeoutError:
            read.append("timeout")
        return [*read, note("after")]

    assert asyncio.run(reading()) == [1, "timeout", "after"]
    assert calls == ["closed", "after"]
    assert names(app) == ["note"]


def test_the_clean_up_of_a_body_that_is_left_runs_in_its_scope(app: App) -> None:
    @step
    async def cleaning() -> AsyncIterator[object]:
        try:
            yield note("first")
            yield note("second")
        finally:
            note("clean up")

    @flow
    async def reading() -> object:
        async with aclosing(cleaning()) as reader:  # type: ignore[type-var]
            async for _ in reader:
                break
        return note("after")

    asyncio.run(reading())
    assert calls == ["first", "clean up", "after"]
    depths = {
        link.outcome.inputs.view: len(link.outcome.path) // 16
        for link in history(app)
        if link.outcome.name == "note"
    }
    assert depths == {'{"what":"first"}': 1, '{"what":"clean up"}': 1, '{"what":"after"}': 0}


@pytest.mark.parametrize("is_async", [False, True])
def test_a_clean_up_that_fails_is_the_outcome(app: App, is_async: bool) -> None:
    @step
    def failing() -> Iterator[int]:
        try:
            yield 1
        finally:
            raise LookupError("not clean")

    @step
    async def failing_async() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise LookupError("not clean")

    @flow
    async def reading() -> str:
        try:
            if is_async:
                async with aclosing(failing_async()) as items:  # type: ignore[type-var]
                    await anext(items)
            else:
                with closing(failing()) as reader:  # type: ignore[arg-type]
                    next(reader)
        except LookupError as error:
            return str(error)
        return "clean"

    assert asyncio.run(reading()) == "not clean"
    assert [status for _, status, _ in statuses(app)] == ["failed"]


def test_a_call_that_is_never_read_is_no_step(app: App) -> None:
    @flow
    async def calling() -> object:
        words(2)
        tokens(2)
        return note("after")

    asyncio.run(calling())
    assert calls == ["after"]
    assert names(app) == ["note"]


@pytest.mark.parametrize("is_async", [False, True])
def test_one_that_is_collected_in_a_cycle_does_no_harm(app: App, is_async: bool) -> None:
    """The collector runs in the midst of anything, as here in a commit of the ledger."""

    class Knot:
        def __init__(self) -> None:
            self.itself = self
            self.reader: Any = None

    @step
    def cleaning() -> Iterator[object]:
        try:
            yield 1
        finally:
            note("clean up")

    @step
    async def cleaning_async() -> AsyncIterator[object]:
        try:
            yield 1
        finally:
            note("clean up")

    @flow
    async def reading() -> list[object]:
        knot = Knot()
        knot.reader = cleaning_async() if is_async else cleaning()
        await anext(knot.reader) if is_async else next(knot.reader)
        del knot
        run = current_run()
        assert run is not None
        here = app.keeper._runs[run.id]
        with here.lock:
            gc.collect()
        await asyncio.sleep(0.01)
        note("after")
        return list(calls)

    assert asyncio.run(reading()) == ["clean up", "after"]
    assert sorted(names(app)) == sorted(["note", "note", "cleaning_async" if is_async else "cleaning"])
    assert app.ledger.first_break(app.ledger.run("last").id) is None


def test_a_reader_that_outlives_its_run_gets_an_error(app: App) -> None:
    @flow
    def lending() -> None:
        reader = words(3)
        next(reader)
        lent.append(reader)

    lent: list[Iterator[str]] = []
    lending()
    with pytest.raises(RunEnded, match="'words'"):
        next(lent[0])
    lent.clear()
    assert names(app) == []


def test_an_async_generator_that_the_loop_closes_at_its_end(app: App) -> None:
    @flow
    async def lending() -> None:
        reader = tokens(3)
        await anext(reader)
        lent.append(reader)

    lent: list[AsyncIterator[str]] = []
    asyncio.run(lending())
    lent.clear()
    gc.collect()
    run = app.ledger.run("last")
    assert run.status == "completed"
    assert names(app) == []
    assert app.ledger.first_break(run.id) is None


def test_it_is_refused_in_a_thread_without_its_run(app: App) -> None:
    seen: list[BaseException] = []

    def work() -> None:
        try:
            words(1)
        except OutsideRun as error:
            seen.append(error)

    @flow
    def threading_flow() -> None:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    threading_flow()
    assert len(seen) == 1


# Crashes


@step
def counted(count: int) -> Iterator[object]:
    for n in range(count):
        yield note(n)


@step
async def counted_async(count: int) -> AsyncIterator[object]:
    for n in range(count):
        await asyncio.sleep(0)
        yield note(n)


@flow
def crashing() -> list[object]:
    read: list[object] = [note(f"got {item}") for item in counted(3)]
    for item in counted(9):
        read.append(note(f"again {item}"))
        if item == 1:
            break
    return [*read, note("end")]


@flow
async def crashing_async() -> list[object]:
    read: list[object] = [note(f"got {item}") async for item in counted_async(3)]
    async with aclosing(counted_async(9)) as reader:  # type: ignore[type-var]
        async for item in reader:
            read.append(note(f"again {item}"))
            if item == 1:
                break
    return [*read, note("end")]


@pytest.mark.parametrize("target", [crashing, crashing_async], ids=["sync", "async"])
def test_a_crash_after_any_outcome(tmp_path: Path, target: Callable[[], object]) -> None:
    """Nothing that is recorded is done again, and the result is the same."""
    with opened_app(tmp_path / "whole") as app:
        expected = app.run(target)  # type: ignore[arg-type]
        source = app.ledger.where
        rows = len(history(app))
    for kept in range(1, rows):
        folder = tmp_path / f"after-{kept}"
        cut(Path(source), folder, kept)
        with opened_app(folder) as app:
            recorded = names(app)
            calls.clear()
            assert app.resume("last", flow=target) == expected  # type: ignore[arg-type]
            notes = [name for name in names(app) if name == "note"]
            assert len(calls) == len(notes) - recorded.count("note")
            assert len(names(app)) == rows - 2
            assert app.ledger.first_break(app.ledger.run("last").id) is None


def test_a_restart_in_mid_stream_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    marks: list[bool] = []

    @flow
    def streaming() -> list[object]:
        reader = counted(3)
        marks.append(reader.is_restarted)  # type: ignore[attr-defined]
        return list(reader)

    with opened_app(tmp_path / "whole") as app:
        streaming()
        source = app.ledger.where
    cut(Path(source), tmp_path / "crashed", 2)
    events: list[RunEvent] = []
    with opened_app(tmp_path / "crashed") as app:
        assert app.resume("last", flow=streaming, listener=events.append) == [0, 1, 2]
    assert marks == [False, True]
    opened = [event for event in events if isinstance(event, StepOpened)]
    assert next((event.name, event.is_restarted) for event in opened) == ("counted", True)
    assert any(
        "'counted'" in record.message and "from its first item" in record.message for record in caplog.records
    )
