"""The state machine of a breaker, by a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from surefoot.limits.breakers.circuit import Circuit
from surefoot.limits.breakers.phases import Closed, HalfOpen, Open, Phase, Refusal, Verdict
from surefoot.limits.breakers.rules import Counts, Rules
from surefoot.limits.breakers.window import BUCKETS, Window


class Timed:
    """A circuit, and a time that only the test moves."""

    def __init__(self, rules: Rules, *, chance: float = 1.0) -> None:
        self.now = 100.0
        self.circuit = Circuit("db", rules, chance=lambda: chance, wall=lambda: 0.0)

    @property
    def state(self) -> str:
        return self.circuit.phase.state

    def call(self, verdict: Verdict = "succeeded", seconds: float = 0.0) -> bool:
        """One call that is over at once; False if it was refused."""
        found = self.circuit.probe(self.now)
        if isinstance(found, Refusal):
            return False
        self.circuit.ended(*found, verdict, seconds, self.now)
        return True

    def begin(self) -> tuple[Phase, str] | None:
        found = self.circuit.probe(self.now)
        return None if isinstance(found, Refusal) else found

    def open(self) -> None:
        while self.state == "closed":
            self.call("failed")

    def rest(self) -> None:
        """Let the cooldown pass."""
        assert isinstance(self.circuit.phase, Open)
        self.now = self.circuit.phase.until


def test_it_opens_at_the_error_rate_and_not_before_the_minimum() -> None:
    timed = Timed(Rules(error_rate=0.6, minimum=20))
    for number in range(20):
        assert timed.call("failed" if number < 12 else "succeeded")
    assert timed.state == "open"
    assert isinstance(timed.circuit.phase, Open)
    assert timed.circuit.phase.opening.why == "12 of 20 calls failed in 30 s"
    below = Timed(Rules(error_rate=0.6, minimum=20))
    for number in range(100):
        assert below.call("failed" if number % 2 else "succeeded")
    assert below.state == "closed"


def test_calls_that_told_nothing_do_not_count() -> None:
    timed = Timed(Rules(minimum=2))
    for _ in range(50):
        timed.call("dropped")
    timed.call("failed")
    assert timed.state == "closed"
    timed.call("failed")
    assert timed.state == "open"


def test_slow_calls_open_it_where_that_is_set() -> None:
    timed = Timed(Rules(slow_seconds=2.0, slow_rate=0.5, minimum=4))
    for seconds in (0.1, 1.99, 2.0, 30.0):
        timed.call("succeeded", seconds)
    assert isinstance(timed.circuit.phase, Open)
    assert timed.circuit.phase.opening.why == "2 of 4 calls took 2 s or longer in 30 s"
    unset = Timed(Rules(minimum=4))
    for _ in range(20):
        unset.call("succeeded", 1e6)
    assert unset.state == "closed"


def test_what_is_older_than_the_window_is_forgotten() -> None:
    timed = Timed(Rules(minimum=10, window=30.0))
    for _ in range(9):
        timed.call("failed")
    timed.now += 31.0
    for _ in range(9):
        timed.call("failed")
    assert timed.state == "closed"
    timed.now += 20.0
    timed.call("failed")
    assert timed.state == "open"


def test_a_call_from_before_says_nothing_about_what_is_now() -> None:
    timed = Timed(Rules(minimum=2))
    early = [timed.begin() for _ in range(10)]
    timed.open()
    timed.rest()
    assert timed.call("succeeded")
    assert timed.state == "closed"
    for found in early:
        assert found is not None
        assert timed.circuit.ended(*found, "failed", 0.0, timed.now) is None
    assert timed.state == "closed"


def test_while_it_is_open_nothing_goes_through_and_the_rest_is_told() -> None:
    timed = Timed(Rules(minimum=1, cooldown=5.0))
    timed.open()
    timed.now += 2.0
    refused = timed.circuit.probe(timed.now)
    assert isinstance(refused, Refusal)
    assert refused.seconds == pytest.approx(3.0)
    timed.now += 2.999
    assert not timed.call()
    timed.now += 0.001
    assert timed.call()
    assert timed.state == "closed"


@pytest.mark.parametrize(("chance", "rests"), [(1.0, [5, 10, 20, 40, 60, 60]), (0.0, [4, 8, 16, 32, 48, 48])])
def test_the_cooldown_doubles_up_to_its_cap_and_is_spread(chance: float, rests: list[float]) -> None:
    timed = Timed(Rules(minimum=1, cooldown=5.0, cooldown_cap=60.0), chance=chance)
    timed.open()
    found: list[float] = []
    for _ in rests:
        assert isinstance(timed.circuit.phase, Open)
        found.append(timed.circuit.phase.until - timed.now)
        timed.rest()
        assert timed.call("failed")
    assert found == pytest.approx(rests)
    assert isinstance(timed.circuit.phase, Open)
    assert timed.circuit.phase.opening.failures == len(rests)
    timed.rest()
    timed.call("succeeded")
    timed.open()
    assert isinstance(timed.circuit.phase, Open)
    assert timed.circuit.phase.until - timed.now == pytest.approx(rests[0])


def test_a_cooldown_that_was_doubled_a_thousand_times_is_a_number() -> None:
    assert Rules(cooldown=5.0, cooldown_cap=120.0).rest(1000, 1.0) == 120.0


def test_as_many_go_through_as_there_are_permits_and_as_many_have_to_succeed() -> None:
    timed = Timed(Rules(minimum=1, probes=3))
    timed.open()
    timed.rest()
    begun = [timed.begin() for _ in range(1000)]
    permits = [found for found in begun if found is not None]
    assert len(permits) == 3
    for found in permits[:2]:
        timed.circuit.ended(*found, "succeeded", 0.0, timed.now)
        # What a success has used is not given again: in all there are as many probes as permits.
        assert timed.begin() is None
    assert timed.state == "half-open"
    change = timed.circuit.ended(*permits[2], "succeeded", 0.0, timed.now)
    assert change is not None
    assert (change.state, timed.state) == ("closed", "closed")


def test_one_probe_that_fails_opens_it_again() -> None:
    timed = Timed(Rules(minimum=1, probes=3))
    timed.open()
    timed.rest()
    first, second = timed.begin(), timed.begin()
    assert first is not None
    assert second is not None
    timed.circuit.ended(*first, "failed", 0.0, timed.now)
    assert timed.state == "open"
    assert timed.circuit.ended(*second, "succeeded", 0.0, timed.now) is None
    assert timed.state == "open"


def test_a_probe_that_told_nothing_gives_its_permit_to_another() -> None:
    timed = Timed(Rules(minimum=1))
    timed.open()
    timed.rest()
    for _ in range(5):
        found = timed.begin()
        assert found is not None
        assert timed.begin() is None
        timed.circuit.ended(*found, "dropped", 0.0, timed.now)
    assert timed.call("succeeded")
    assert timed.state == "closed"


def test_a_probe_that_hangs_gives_its_permit_back_by_its_lease_and_may_still_say_its_word() -> None:
    timed = Timed(Rules(minimum=1, lease=60.0))
    timed.open()
    timed.rest()
    hanging = timed.begin()
    assert hanging is not None
    timed.now += 59.9
    refused = timed.circuit.probe(timed.now)
    assert isinstance(refused, Refusal)
    assert refused.seconds == pytest.approx(0.1)
    timed.now += 0.1
    second = timed.begin()
    assert second is not None
    assert timed.begin() is None
    # Calls that always take longer than the lease would else never close it.
    timed.circuit.ended(*hanging, "succeeded", 60.1, timed.now)
    assert timed.state == "closed"


def test_probes_that_are_slow_keep_it_open_as_slow_calls_open_it() -> None:
    timed = Timed(Rules(minimum=1, probes=2, slow_seconds=1.0, slow_rate=0.6))
    timed.open()
    timed.rest()
    assert timed.call("succeeded", 5.0)
    assert timed.call("succeeded", 0.1)
    assert timed.state == "closed"
    timed.open()
    timed.rest()
    assert timed.call("succeeded", 5.0)
    assert timed.call("succeeded", 5.0)
    assert timed.state == "open"


@given(
    st.lists(st.tuples(st.floats(0, 20), st.booleans(), st.booleans()), max_size=200),
    st.floats(0.1, 100),
)
def test_a_window_holds_what_is_in_it_and_never_more_than_its_buckets(
    calls: list[tuple[float, bool, bool]], seconds: float
) -> None:
    window, now, width = Window(seconds), 1000.0, seconds / BUCKETS
    seen: list[tuple[int, bool, bool]] = []
    for wait, is_failed, is_slow in calls:
        now += wait
        seen.append((int(now / width), is_failed, is_slow))
        recent = [call for call in seen if call[0] > seen[-1][0] - BUCKETS]
        expected = Counts(len(recent), sum(call[1] for call in recent), sum(call[2] for call in recent))
        assert window.count(now, is_failed=is_failed, is_slow=is_slow) == expected
        assert window.counts(now) == expected
        assert len(window._buckets) <= BUCKETS


class Breaking(RuleBasedStateMachine):
    """Calls begin, end, hang and are forgotten in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.rules = Rules(minimum=3, probes=2, lease=10.0, cooldown=5.0, cooldown_cap=40.0)
        self.timed = Timed(self.rules)
        self.under_way: list[tuple[Phase, str]] = []
        self.late = 0
        """Successes of this phase whose permit had gone to another call: they count, as calls may always take long."""

    @rule(count=st.integers(1, 5))
    def begin(self, count: int) -> None:
        for _ in range(count):
            found = self.timed.begin()
            if found is not None:
                self.under_way.append(found)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), verdict=st.sampled_from(["succeeded", "failed", "dropped"]))
    def end(self, data: st.DataObject, verdict: Verdict) -> None:
        index = data.draw(st.integers(0, len(self.under_way) - 1))
        phase, token = self.under_way.pop(index)
        if isinstance(phase, HalfOpen) and verdict == "succeeded":
            is_held = phase.leases.get(token, 0.0) > self.timed.now
            self.late += phase is self.timed.circuit.phase and not is_held
        self.timed.circuit.ended(phase, token, verdict, 0.1, self.timed.now)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        """Whoever had it died."""
        self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))

    @rule(seconds=st.floats(0.1, 45))
    def wait(self, seconds: float) -> None:
        self.timed.now += seconds

    @invariant()
    def permits_are_never_exceeded(self) -> None:
        phase = self.timed.circuit.phase
        if not isinstance(phase, HalfOpen):
            self.late = 0
        else:
            live = [ends for ends in phase.leases.values() if ends > self.timed.now]
            assert len(live) + phase.succeeded <= self.rules.probes + self.late
            assert phase.succeeded < self.rules.probes

    @invariant()
    def nobody_is_refused_for_ever(self) -> None:
        """After the longest cooldown and a lease somebody may try, whatever became of those before."""
        phase = self.timed.circuit.phase
        if isinstance(phase, Closed):
            return
        left = max(phase.until - self.timed.now, 0.0) if isinstance(phase, Open) else self.rules.lease
        assert left <= max(self.rules.cooldown_cap, self.rules.lease)
        twin = Circuit("db", self.rules)
        twin.phase = phase if isinstance(phase, Open) else HalfOpen(phase.opening, "", dict(phase.leases))
        if isinstance(phase, HalfOpen) and isinstance(twin.phase, HalfOpen):
            twin.phase.succeeded = phase.succeeded
        assert not isinstance(twin.probe(self.timed.now + left), Refusal)


Breaking.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBreaking = Breaking.TestCase
