"""The feed of a run under way: what of it is kept, in which order, and what a slow reader is told."""

from __future__ import annotations

from surefoot.flows import CallStreamed, StepOpened
from surefoot.server.working.feed import Feed, Place

RUN = "01JAAAAAAAAAAAAAAAAAAAAAAA"


def step(number: int) -> StepOpened:
    return StepOpened(RUN, number.to_bytes(16), "step", f"step {number}", 0, 1)


def piece(text: str, index: int = 0, *, call: int = 1, attempt: int = 1) -> CallStreamed:
    return CallStreamed(RUN, call.to_bytes(16), "openai.chat", attempt, index, text, is_replayed=False)


def said(feed: Feed, place: Place = Place()) -> list[str]:  # noqa: B008 - frozen
    told = feed.after(place).told
    return [
        event.text if isinstance(event, CallStreamed) else getattr(event, "name", "") for _, event in told
    ]


def test_pieces_and_events_come_in_the_order_in_which_they_happened() -> None:
    feed = Feed(RUN, kept=10)
    for event in (step(1), piece("a"), step(2), step(3), piece("b", 1), step(4)):
        feed.see(event)
    assert said(feed) == ["step 1", "a", "step 2", "step 3", "b", "step 4"]


def test_whoever_comes_back_goes_on_behind_any_event() -> None:
    feed = Feed(RUN, kept=10)
    for event in (step(1), piece("a"), step(2), piece("b", 1), piece("c", call=2)):
        feed.see(event)
    told = feed.after(Place()).told
    for count, (place, _) in enumerate(told, 1):
        assert [event for _, event in feed.after(place).told] == [event for _, event in told[count:]]


def test_what_nobody_has_read_becomes_longer_and_not_more() -> None:
    feed = Feed(RUN, kept=10)
    feed.see(piece("one "))
    feed.see(piece("two ", 4))
    assert said(feed) == ["one two "]
    # What somebody has read stays as it was, for whoever comes back to it.
    feed.see(piece("three", 8))
    assert said(feed) == ["one two ", "three"]


def test_pieces_of_different_answers_stay_apart() -> None:
    feed = Feed(RUN, kept=10)
    for event in (
        piece("a"),
        piece("b", call=2),
        piece("c", 1),
        piece("d", attempt=2),
        piece("e", 9, attempt=2),
    ):
        feed.see(event)
    assert said(feed) == ["a", "b", "c", "d", "e"]


def test_a_model_that_says_much_drives_out_no_steps() -> None:
    feed = Feed(RUN, kept=3)
    feed.see(step(1))
    for number in range(50):
        feed.see(piece("x", 2 * number))
        feed.after(Place())
    news = feed.after(Place())
    assert said(feed) == ["step 1", "x", "x", "x"]
    assert news.missed == Place(0, 47)
    for number in range(2, 7):
        feed.see(step(number))
    assert feed.after(Place(1, 50)).missed == Place(2, 0)


def test_what_is_kept_of_answers_is_bounded_in_characters() -> None:
    feed = Feed(RUN, kept=1000)
    for number in range(400):
        feed.see(piece("x" * 4000, 4000 * number))
    kept = feed.after(Place())
    assert 200_000 < sum(len(text) for text in said(feed)) <= 262_144
    assert kept.missed.pieces == 400 - len(kept.told)
    # One that is larger than all that is kept is told all the same.
    feed.see(piece("y" * 300_000, call=2))
    assert [len(text) for text in said(feed)] == [300_000]


def test_a_place_that_never_was_is_the_end() -> None:
    feed = Feed(RUN, kept=3)
    feed.see(step(1))
    news = feed.after(Place(10**18, 10**18))
    assert (list(news.told), news.missed) == ([], Place())
    feed.see(step(2))
    assert said(feed, news.place) == ["step 2"]
