"""A notebook is a first-class place, as docs/guide/notebooks.md says: flows in cells run, are seen, and go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client import BlockingKernelClient, KernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "notebook.ipynb"
SECONDS = 100


@dataclass(slots=True)
class Cell:
    """What a cell printed, raised and showed. `displays` holds each display as it was drawn, the last state last."""

    id: str
    is_over: bool = False
    printed: str = ""
    error: str = ""
    value: dict[str, str] = field(default_factory=dict[str, str])
    displays: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @property
    def text(self) -> str:
        """Its value as text; empty if there is none."""
        return self.value.get("text/plain", "")

    @property
    def cards(self) -> list[str]:
        """The last state of each display, as HTML."""
        return [drawn[-1] for drawn in self.displays.values()]


class Kernel:
    """A kernel in a process of its own."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self._manager = manager
        self._client = client

    def run(self, code: str) -> Cell:
        """Run a cell to its end."""
        return self.finish(self.begin(code))

    def begin(self, code: str, *, until: str = "") -> Cell:
        """Run a cell, until it has printed a text where one is given."""
        cell = Cell(self._client.execute(textwrap.dedent(code)))
        while until not in cell.printed:
            self._see(cell)
        return cell

    def finish(self, cell: Cell) -> Cell:
        while not cell.is_over:
            self._see(cell)
        return cell

    def _see(self, cell: Cell) -> None:
        """The next message: of the cell itself, or of a display that another cell has begun."""
        message = self._client.get_iopub_msg(timeout=SECONDS)
        kind, content = message["msg_type"], message["content"]
        if kind in ("display_data", "update_display_data"):
            drawn = cell.displays.setdefault(content["transient"]["display_id"], [])
            drawn.append(content["data"]["text/html"])
        elif message["parent_header"].get("msg_id") == cell.id:
            if kind == "stream":
                cell.printed += content["text"]
            elif kind == "error":
                cell.error = "\n".join([f"{content['ename']}: {content['evalue']}", *content["traceback"]])
            elif kind == "execute_result":
                cell.value = content["data"]
            elif kind == "status":
                cell.is_over = content["execution_state"] == "idle"

    def interrupt(self) -> None:
        """What the button of the notebook does."""
        self._send(signal.SIGINT)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        provisioner: Any = self._manager.provisioner
        provisioner.process.send_signal(number)


@contextmanager
def kernel(folder: Path) -> Iterator[Kernel]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=SECONDS)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One kernel for the tests that leave it as it was."""
    with kernel(tmp_path_factory.mktemp("notebook")) as running:
        running.run(STEPS)
        yield running


STEPS = """
    import asyncio, threading, time
    from dataclasses import dataclass
    from surefoot import App, Workflow, carry, flow, last_run, step

    app = App.current()

    @dataclass(frozen=True)
    class Order:
        id: str
        cents: int

    charges = []

    @step
    def charge(order: Order) -> str:
        charges.append(order.cents)
        return f"charged {order.cents}"

    @step
    async def double(number: int) -> int:
        await asyncio.sleep(0.01)
        return 2 * number

    @step
    def square(number: int) -> int:
        return number * number

    @flow
    def pay(order: Order) -> str:
        return charge(order)

    @flow
    async def many(numbers: list[int]) -> list[int]:
        return list(await asyncio.gather(*(double(n) for n in numbers), asyncio.to_thread(square, 9)))

    class Answer(Workflow, name="answer"):
        def __init__(self, factor: int = 1):
            super().__init__()
            self.factor = factor

        def run(self, number: int) -> int:
            return self.factor * square(number)

    class AsyncAnswer(Workflow):
        async def run(self, number: int) -> int:
            return await double(number)
"""


def test_the_example_runs_from_top_to_bottom(tmp_path: Path) -> None:
    book = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(
        book, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown = [
        output for cell in book.cells for output in cell.get("outputs", []) if output.output_type != "stream"
    ]
    cards = [output.data["text/html"] for output in shown if "text/html" in output.data]
    printed = "".join(
        output.text
        for cell in book.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stdout"
    )
    assert "charged once" in printed
    assert "the mail server is down" in printed
    assert any("ThankYou" in card and "gpt-4o → local:smollm2" in card for card in cards)
    assert any("failed" in card and "flow=checkout)" in card for card in cards)
    assert any("in 2 attempts" in card and "↺" in card for card in cards)
    # What is left in the file is the last word: no display stands still at a run that goes on.
    assert not [card for card in cards if ">running<" in card]
    assert (tmp_path / ".surefoot" / "ledger.db").is_file()


def test_the_example_is_kept_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert not [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None]


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("pay(Order('o-1', 1250))", "'charged 1250'"),
        ("await many([1, 2])", "[2, 4, 81]"),
        ("Answer(factor=3).run(2)", "12"),
        ("await AsyncAnswer().run(4)", "8"),
        ("app.run(many, {'numbers': [5]})", "[10, 81]"),
        ("await app.run_async(Answer, {'number': 3})", "9"),
        ("await app.run_async(many, {'numbers': [5]})", "[10, 81]"),
        ("await asyncio.to_thread(pay, Order('o-1', 7))", "'charged 7'"),
    ],
)
def test_a_flow_of_a_cell_runs_when_it_is_called(shared: Kernel, code: str, value: str) -> None:
    cell = shared.run(code)
    assert cell.error == ""
    assert cell.text == value
    [card] = cell.cards
    assert ">completed<" in card
    assert ">running<" not in card


def test_threads_of_a_flow_in_a_cell_see_their_run(shared: Kernel) -> None:
    cell = shared.run("""
        @flow
        def threaded() -> int:
            thread = threading.Thread(target=carry(square), args=(4,))
            thread.start()
            thread.join()
            return square(5)

        threaded(), last_run().totals.steps
    """)
    assert (cell.error, cell.text) == ("", "(25, 2)")


def test_progress_is_seen_while_the_run_goes_on(shared: Kernel) -> None:
    cell = shared.run("""
        @step
        def slowly() -> None:
            time.sleep(1.0)  # long enough to be drawn

        @flow
        def slow() -> None:
            slowly()

        slow()
    """)
    [drawn] = cell.displays.values()
    assert ">running<" in drawn[0]
    assert any("slowly" in state and ">running<" in state for state in drawn)
    assert "slowly" in drawn[-1]
    assert ">completed<" in drawn[-1]


def test_the_runs_of_a_cell_share_a_display_that_is_drawn_seldom(shared: Kernel) -> None:
    cell = shared.run("for number in range(200): pay(Order(f'o-{number}', number))")
    [drawn] = cell.displays.values()
    assert drawn[-1].count("<details") == 20
    assert "180 more runs" in drawn[-1]
    assert len(drawn) < 100


def test_parallel_runs_stand_in_the_cell_that_awaits_them(shared: Kernel) -> None:
    cell = shared.run("await asyncio.gather(many([1]), many([2]))")
    [card] = cell.cards
    assert card.count("<details") == 2


def test_what_a_run_holds_cannot_write_into_the_page(shared: Kernel) -> None:
    cell = shared.run("""
        @step(name="<script>alert(1)</script>")
        def hostile() -> None:
            raise ValueError("<img src=x onerror=alert(2)>")

        @flow(name="a<b")
        def page() -> None:
            hostile()

        try:
            page()
        except ValueError:
            pass
        last_run()
    """)
    for card in (*cell.cards, cell.value["text/html"]):
        assert "&lt;script&gt;" in card
        assert "<script" not in card
        assert "<img" not in card
        assert "a<b" not in card


def test_the_last_run_is_a_handle_that_shows_itself(shared: Kernel) -> None:
    shared.run("pay(Order('o-1', 31))")
    cell = shared.run("last_run()")
    assert ">completed<" in cell.value["text/html"]
    assert cell.text.startswith("<run 0")
    cell = shared.run("print(last_run().status, last_run().output, last_run().totals.steps, app.card())")
    assert cell.printed.startswith("completed charged 31 1 pay · completed in ")


def test_cells_can_be_quiet(shared: Kernel, tmp_path: Path) -> None:
    try:
        cell = shared.run("app.is_quiet = True; pay(Order('o-1', 1))")
    finally:
        shared.run("app.is_quiet = False")
    assert (cell.error, cell.displays) == ("", {})
    own = tmp_path / "own"
    own.mkdir()
    (own / "surefoot.toml").write_text("[notebook]\nprogress = false\n")
    cell = shared.run(f"""
        from pathlib import Path
        from surefoot.config import load
        App(load(Path({str(own)!r}))).run(pay, {{"order": Order("o-1", 2)}})
    """)
    assert (cell.error, cell.displays) == ("", {})


def test_a_run_with_a_listener_of_its_own_is_left_to_it(shared: Kernel) -> None:
    cell = shared.run("""
        events = []
        app.run(pay, {"order": Order("o-1", 1)}, listener=events.append)
        print([type(event).__name__ for event in events])
    """)
    assert cell.printed == "['RunOpened', 'StepOpened', 'StepClosed']\n"
    assert cell.displays == {}


def test_a_display_that_fails_is_no_matter_of_the_run(shared: Kernel) -> None:
    cell = shared.run("""
        def broken(run_id):
            raise OSError("no card today")

        app.card = broken
        try:
            print(f"{pay(Order('o-1', 4))} {last_run().status}")
        finally:
            del app.card
    """)
    assert cell.error == ""
    assert "charged 4 completed" in cell.printed


def test_a_run_in_the_background_is_drawn_where_it_was_begun(shared: Kernel) -> None:
    begun = shared.run("""
        gate = asyncio.Event()

        @step
        async def wait() -> str:
            await gate.wait()
            return "open"

        @flow
        async def patient() -> str:
            return await wait()

        task = asyncio.create_task(patient())
        await asyncio.sleep(0)
        await asyncio.sleep(0.1)
    """)
    [name] = begun.displays
    ended = shared.run("gate.set(); await task")
    assert (ended.error, ended.text) == ("", "'open'")
    # The display is named, so the notebook redraws it where it stands: in the cell before.
    assert list(ended.displays) == [name]
    assert ">completed<" in ended.displays[name][-1]


INTERRUPTED = """
    tries = []

    @step
    def deliver(order: Order) -> str:
        tries.append(order)
        if len(tries) == 1:
            print("under way", flush=True)
            time.sleep(60)
        return f"delivered {order.id}"

    @step
    async def deliver_async(order: Order) -> str:
        tries.append(order)
        if len(tries) == 1:
            print("under way", flush=True)
            await asyncio.sleep(60)
        return f"delivered {order.id}"

    @flow
    def send(order: Order) -> str:
        charge(order)
        return deliver(order)

    @flow
    async def send_async(order: Order) -> str:
        charge(order)
        results = await asyncio.gather(deliver_async(order), double(21))
        return str(results[0])

    charges.clear()
"""


@pytest.mark.parametrize(
    ("call", "resume", "error"),
    [
        ("send(Order('o-1', 5))", "app.resume({run}, flow=send)", "KeyboardInterrupt"),
        (
            "app.run(send_async, {'order': Order('o-1', 5)})",
            "app.resume({run}, flow=send_async)",
            "KeyboardInterrupt",
        ),
        (
            "await send_async(Order('o-1', 5))",
            "await app.resume_async({run}, flow=send_async)",
            "CancelledError",
        ),
    ],
)
def test_an_interrupted_run_goes_on_at_once(shared: Kernel, call: str, resume: str, error: str) -> None:
    shared.run(INTERRUPTED)
    cell = shared.begin(call, until="under way")
    shared.interrupt()
    shared.finish(cell)
    assert cell.error.startswith(error)
    [card] = cell.cards
    assert ">abandoned<" in card
    assert "App.current().resume(" in card
    run = shared.run("last_run().id").text
    cell = shared.run(resume.format(run=run))
    assert (cell.error, cell.text) == ("", "'delivered o-1'")
    assert "in 2 attempts" in cell.cards[-1]
    assert shared.run("charges, len(tries)").text == "([5], 2)"


DEFINED = """
    import time
    from dataclasses import dataclass
    from pathlib import Path
    from surefoot import App, Workflow, last_run, step

    @dataclass(frozen=True)
    class Order:
        id: str
        cents: int

    @dataclass(frozen=True)
    class Receipt:
        order: Order
        paid: int{new_field}

        def __str__(self) -> str:
            return "{said}" + self.order.id

    @step
    def charge(order: Order) -> Receipt:
        with Path("charges").open("a") as file:
            file.write(f"{{order.cents}}\\n")
        return Receipt(order, order.cents)

    class Checkout(Workflow):
        def __init__(self, shop: str, connection: object = None):
            super().__init__()
            self.shop = shop

        {keyword}def run(self, order: Order) -> str:
            receipt = charge(order)
            {body}
            return f"{{self.shop}}: {{receipt}} {{type(receipt) is Receipt}}"
"""


def defined(*, body: str, said: str = "", new_field: str = "", is_async: bool = False) -> str:
    keyword = "async " if is_async else ""
    return DEFINED.format(body=body, said=said, new_field=new_field, keyword=keyword)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_run_goes_on_after_a_restart_of_the_kernel(tmp_path: Path, is_async: bool) -> None:
    with kernel(tmp_path) as first:
        first.run(defined(body="print('under way', flush=True); time.sleep(60)", is_async=is_async))
        call = (
            "await Checkout('Lyon').run(Order('o-1', 5))"
            if is_async
            else "Checkout('Lyon').run(Order('o-1', 5))"
        )
        first.begin(call, until="under way")
        first.kill()
    with kernel(tmp_path) as second:
        bare = second.run("from surefoot import App; app = App.current(); app.resume('last')")
        assert bare.error.startswith("UnknownFlow: 'Checkout' was defined in a notebook")
        assert "flow=Checkout" in bare.error
        # The class is written anew: another text, and a field more that has a default.
        second.run(defined(body="pass", said="new ", new_field="; note: str = ''", is_async=is_async))
        resume = (
            "await app.resume_async('last', flow=Checkout)"
            if is_async
            else "app.resume('last', flow=Checkout)"
        )
        cell = second.run(resume)
        assert (cell.error, cell.text) == ("", "'Lyon: new o-1 True'")
        assert "in 2 attempts" in cell.cards[-1]
    assert (tmp_path / "charges").read_text() == "5\n"


def test_a_run_goes_on_with_a_class_that_was_edited_in_its_cell(tmp_path: Path) -> None:
    with kernel(tmp_path) as running:
        running.run(defined(body="raise RuntimeError('a mistake in the cell')"))
        failed = running.run("Checkout('Lyon', object()).run(Order('o-1', 5))")
        assert failed.error.startswith("RuntimeError")
        assert "flow=Checkout)" in failed.cards[-1]
        running.run(defined(body="pass", said="mended "))
        cell = running.run("App.current().resume(last_run().id, flow=Checkout)")
        assert (cell.error, cell.text) == ("", "'Lyon: mended o-1 True'")
        # Where a class has lost a field, the record does not fit it any more; the error names class and field.
        running.run(defined(body="raise RuntimeError"))
        running.run("Checkout('Turin').run(Order('o-2', 6))")
        running.run(defined(body="pass").replace("paid: int", "euros: int"))
        lost = running.run("App.current().resume(last_run().id, flow=Checkout)")
        assert "NotRestored: cannot restore a recorded __main__:Receipt" in lost.error
        assert "no longer has paid" in lost.error
        # The object itself serves where it cannot be built anew from the record.
        running.run(defined(body="pass"))
        cell = running.run("App.current().resume(last_run().id, flow=Checkout('Oslo'))")
        assert (cell.error, cell.text) == ("", "'Oslo: o-2 True'")
    assert (tmp_path / "charges").read_text() == "5\n6\n"


def test_the_command_line_shows_what_a_cell_ran_and_says_how_to_go_on(tmp_path: Path) -> None:
    with kernel(tmp_path) as running:
        running.run(defined(body="raise RuntimeError('a mistake')"))
        running.run("Checkout('Lyon').run(Order('o-1', 5))")
    command = [sys.executable, "-m", "surefoot.cli"]
    shown = subprocess.run(
        [*command, "show", "last"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert "Checkout" in shown.stdout
    resumed = subprocess.run(
        [*command, "resume", "last"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert resumed.returncode != 0
    assert "app.resume(run_id, flow=Checkout)" in resumed.stderr


def test_plain_python_never_meets_a_notebook(tmp_path: Path) -> None:
    code = """
    import sys
    from surefoot import flow, last_run

    @flow
    def answer() -> int:
        return 42

    answer()
    print(last_run())
    print([name for name in sys.modules if name.startswith(("IPython", "ipykernel", "surefoot.notebook"))])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    run, modules = done.stdout.splitlines()
    assert run.endswith("of answer: completed>")
    assert modules == "[]"
