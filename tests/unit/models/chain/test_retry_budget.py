from __future__ import annotations

import os
import threading
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.models.chain.retry_budget import WINDOW, RetryBudget, Tally


def test_the_reserve_serves_whoever_makes_few_calls() -> None:
    tally = Tally()
    assert [tally.take(1000.0, share=0.0, reserve=3) for _ in range(5)] == [True, True, True, False, False]


def test_a_share_of_the_calls_may_be_made_again() -> None:
    tally = Tally()
    for _ in range(100):
        tally.count_call(1000.0)
    assert sum(tally.take(1001.0, share=0.2, reserve=0) for _ in range(100)) == 20


def test_an_outage_is_not_amplified() -> None:
    """Every call fails and would be tried twice more: the load grows by the share and the reserve, not by 200 %."""
    tally = Tally()
    sent = 0
    for call in range(6000):  # ten a second, for ten minutes
        now = 1000.0 + call / 10
        tally.count_call(now)
        sent += 1
        sent += sum(tally.take(now, share=0.2, reserve=10) for _ in range(2))
    assert 6000 * 1.2 <= sent <= 6000 * 1.2 + 10 * (600 / WINDOW + 1)


def test_what_was_counted_is_forgotten_after_the_window() -> None:
    tally = Tally()
    assert tally.take(1000.0, share=0.0, reserve=1)
    assert not tally.take(1000.0 + WINDOW / 2, share=0.0, reserve=1)
    assert tally.take(1000.0 + WINDOW, share=0.0, reserve=1)
    assert tally.take(9e9, share=0.0, reserve=1)


@given(
    st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=200),
    st.floats(0, 2),
    st.integers(0, 5),
)
def test_no_window_holds_more_retries_than_its_calls_allow(
    steps: list[tuple[float, bool]], share: float, reserve: int
) -> None:
    """Against a plain list of moments: a retry that is given is within what the last window allows."""
    tally, now = Tally(), 500.0
    calls, retries = deque[float](), deque[float]()
    for ahead, is_call in steps:
        now += ahead
        if is_call:
            tally.count_call(now)
            calls.append(now)
        elif tally.take(now, share=share, reserve=reserve):
            retries.append(now)
            # Slots are emptied as a whole: between nine and ten tenths of the window are looked at.
            surely = sum(moment > now - WINDOW * 0.9 for moment in retries)
            perhaps = sum(moment > now - WINDOW for moment in calls)
            assert surely <= reserve + share * perhaps + 1e-9


def test_each_provider_has_a_budget_of_its_own() -> None:
    budget = RetryBudget(share=0.0, reserve=1, clock=lambda: 1000.0)
    assert budget.take("openai at a")
    assert not budget.take("openai at a")
    assert budget.take("openai at b")


def test_ever_new_providers_do_not_fill_the_memory() -> None:
    budget = RetryBudget(share=0.0, reserve=1, clock=lambda: 1000.0)
    for number in range(10_000):
        budget.count_call(f"host-{number}")
    assert len(budget._tallies) <= 256


def test_many_threads_take_no_more_than_there_is() -> None:
    budget = RetryBudget(share=0.0, reserve=100, clock=lambda: 1000.0)
    taken: list[bool] = []

    def take() -> None:
        taken.extend([budget.take("x") for _ in range(100)])

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_finds_the_budget_open() -> None:
    """Though another thread of the parent is in the midst of it, and is not there in the child."""
    held, over = threading.Event(), threading.Event()

    def clock() -> float:
        if threading.current_thread().name == "holder":
            held.set()
            over.wait(60)
        return 1000.0

    budget = RetryBudget(clock=clock)
    holder = threading.Thread(target=budget.take, args=("x",), name="holder")
    holder.start()
    assert held.wait(60)
    child = os.fork()
    if child == 0:
        os._exit(0 if budget.take("x") else 1)
    _, status = os.waitpid(child, 0)
    over.set()
    holder.join()
    assert os.waitstatus_to_exitcode(status) == 0
