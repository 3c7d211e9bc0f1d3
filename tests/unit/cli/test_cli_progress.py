"""What a run shows while it goes on."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from surefoot.cli.progress import Lines, Tree, Watch
from surefoot.flows import RunEvent, RunOpened, StepClosed, StepOpened
from surefoot.values import CallFacts, StepKind, Usage

FACTS = CallFacts("local", "gpt-4o", "local:small", Usage(147, 0, 29))


def opened(
    key: bytes, name: str, *, path: bytes = b"", attempt: int = 1, kind: StepKind = "step"
) -> StepOpened:
    return StepOpened("R", key, kind, name, len(path) // 16, attempt, path)


def closed(event: StepOpened, *, is_replayed: bool = False, call: CallFacts | None = None) -> StepClosed:
    return StepClosed(
        *("R", event.key, event.kind, event.name, event.depth, event.attempt, "completed", 8_100_000),
        is_replayed=is_replayed,
        is_degraded=False,
        call=call,
        path=event.path,
    )


def console(*, height: int = 25) -> Console:
    return Console(file=io.StringIO(), width=80, height=height, color_system=None, force_terminal=True)


def drawn(tree: Tree, on: Console) -> list[str]:
    with on.capture() as capture:
        on.print(tree._drawn())
    return [line.rstrip() for line in capture.get().splitlines()]


A, B, C = b"a" * 16, b"b" * 16, b"c" * 16


def test_a_watch_sorts_what_it_sees_and_passes_it_on() -> None:
    heard: list[RunEvent] = []
    watch = Watch((heard.append,))
    events = [
        RunOpened("R", "f", is_resumed=True),
        closed(opened(A, "one"), is_replayed=True),
        opened(B, "two"),
    ]
    events.append(closed(opened(B, "two")))
    for event in events:
        watch(event)
    assert watch.run_id == "R"
    assert ([e.name for e in watch.replayed], [e.name for e in watch.performed]) == (["one"], ["two"])
    assert heard == events


def test_lines_say_what_ended() -> None:
    on = Console(file=(text := io.StringIO()), width=100)
    lines = Lines(on)
    call = opened(B, "openai.chat", path=A, kind="call", attempt=2)
    for event in (RunOpened("R1", "f", is_resumed=False), opened(A, "one"), call, closed(call, call=FACTS)):
        lines.see(event)
    lines.see(closed(opened(A, "one"), is_replayed=True))
    first, second, third = text.getvalue().splitlines()
    assert first == "running f, run R1"
    assert second.split() == [
        *("✓", "openai.chat", "call", "8.1", "ms", "gpt-4o", "→", "local:small"),
        *("147", "in,", "29", "out", "(attempt", "2)"),
    ]
    assert third.split() == ["↺", "one", "step", "replayed"]


def test_the_tree_puts_parallel_steps_under_their_own_parents() -> None:
    on = console()
    tree = Tree(on)
    inside_a, inside_b = opened(b"1" * 16, "in a", path=A), opened(b"2" * 16, "in b", path=B)
    for event in (RunOpened("R", "f", is_resumed=False), opened(A, "a"), opened(B, "b"), inside_b, inside_a):
        tree.see(event)
    tree.see(closed(inside_a))
    lines = drawn(tree, on)
    assert lines[0] == "f"
    assert [" ".join(line.split()[1:3]) for line in lines[1:]] == ["a step", "in a", "b step", "in b"]
    assert lines[2].startswith("    ✓ in a")
    assert lines[2].endswith("8.1 ms")


def test_a_long_tree_shows_what_runs_and_the_last_that_ended() -> None:
    on = console(height=12)
    tree = Tree(on)
    first = opened(C, "first, still running")
    tree.see(first)
    for number in range(100):
        event = opened(number.to_bytes(16), f"step {number}")
        tree.see(event)
        tree.see(closed(event))
    lines = drawn(tree, on)
    assert len(lines) <= 12
    assert "more steps have ended" in lines[1]
    assert any("first, still running" in line for line in lines)
    assert any("step 99" in line for line in lines)


@pytest.mark.parametrize("width", [20, 40])
def test_the_tree_keeps_to_a_narrow_terminal(width: int) -> None:
    on = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=True)
    tree = Tree(on)
    event = opened(A, "a step with quite a long name", kind="call")
    tree.see(event)
    tree.see(closed(event, call=FACTS))
    assert all(len(line) <= width for line in drawn(tree, on))
