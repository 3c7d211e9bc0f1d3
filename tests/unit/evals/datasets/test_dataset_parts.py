"""Slices, splits, samples, merging and comparing: what they hold, and that no case moves."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot import Case, Dataset
from surefoot.errors import InvalidInput
from surefoot.evals.datasets.difference import difference
from surefoot.evals.datasets.summary import summary

DATA = Dataset(
    "d",
    (
        Case(
            "1",
            {"query": "short", "n": 1},
            "x",
            {"topic": "billing", "tags": ["a", "b"], "cost": 0.5, "new": True},
        ),
        Case(
            "2", {"query": "a longer question", "n": 10}, None, {"topic": "billing", "cost": 2, "new": False}
        ),
        Case(
            "3",
            {"query": "other", "n": 3},
            "y",
            {"topic": "legal", "tags": [], "at": {"city": "Bern"}, "no": None},
        ),
    ),
)


def ids(dataset: Dataset) -> list[str]:
    return [case.id for case in dataset]


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("topic=billing", "12"),
        (" topic = billing ", "12"),
        ("topic!=billing", "3"),
        ("tags=a", "1"),
        ("tags!=a", "23"),
        ("cost>0.5", "2"),
        ("cost>=0.5", "12"),
        ("cost<=2.0", "12"),
        ("cost<2", "1"),
        ("cost=2.0", "2"),
        ("new=true", "1"),
        ("new!=true", "23"),
        ("no=null", "3"),
        ("at.city=Bern", "3"),
        ("len(query)>5", "2"),
        ("len( tags )>=2", "1"),
        ("len>5", "2"),
        ("n>3", "2"),
        ("id=3", "3"),
        ("expected!=x", "23"),
    ],
)
def test_slices(where: str, kept: str) -> None:
    assert "".join(ids(DATA.slice(where))) == kept


def test_slices_by_keyword_and_their_names() -> None:
    found = DATA.slice("cost>0.1", topic="billing", new=False)
    assert ids(found) == ["2"]
    assert found.name == "d[cost>0.1, topic=billing, new=False]"
    assert found.version != DATA.version
    assert DATA.slice() == DATA


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("topic", "is no condition"),
        ("topic==billing", None),
        ("=x", "is no condition"),
        ("len(query>5", "is no condition"),
        ("cost>much", "compares with 'much', which is no number"),
        ("topic>5", r"case '1': 'topic' is 'billing', which is no number"),
        ("topik=billing", r"no case has 'topik': there are at, cost, n, new, no, query, tags, topic"),
        ("topic=nothing", r"no case is left in d\[topic=nothing\]"),
    ],
)
def test_a_condition_that_is_none_is_told(where: str, why: str | None) -> None:
    with pytest.raises(InvalidInput, match=why or "no case is left"):
        DATA.slice(where)


def made(size: int) -> Dataset:
    return Dataset(
        "d", tuple(Case(f"case-{n}", {"n": n}, None, {"group": f"g{n % 40}"}) for n in range(size))
    )


@settings(max_examples=25)
@given(st.integers(1, 5), st.integers(0, 3), st.booleans())
def test_no_case_moves_when_others_are_added_or_the_order_changes(times: int, seed: int, by: bool) -> None:
    key = "group" if by else None
    small, large = made(100), made(100 + 20 * times)
    mixed = Dataset("d", tuple(reversed(large.cases)))
    before = small.split(seed=seed, by=key, train=0.7, dev=0.1, test=0.2)
    after = mixed.split(seed=seed, by=key, train=0.7, dev=0.1, test=0.2)
    for name, part in before.items():
        assert set(ids(part)) <= set(ids(after[name]))
    assert sum(map(len, after.values())) == len(large)


def test_splits_meet_their_shares_and_differ_by_seed() -> None:
    whole = made(1500)
    parts = whole.split(train=0.8, test=0.2)
    # Four standard deviations of a binomial of 1,500 trials.
    assert abs(len(parts["test"]) - 300) < 4 * (1500 * 0.2 * 0.8) ** 0.5
    assert ids(whole.split(seed=1, train=0.8, test=0.2)["test"]) != ids(parts["test"])
    assert parts["test"].name == "d-test"
    groups = [
        {str(case.metadata["group"]) for case in part}
        for part in whole.split(by="group", a=0.5, b=0.5).values()
    ]
    assert groups[0] & groups[1] == set(), "what has the same group stays together"
    assert all(groups)


@pytest.mark.parametrize(
    ("shares", "why"),
    [
        ({}, "needs shares above 0"),
        ({"train": 0.8}, "make 0.8 and not 1"),
        ({"train": 1.2, "test": -0.2}, "needs shares above 0"),
        ({"a": 0.999999, "b": 0.000001}, "no case of d falls into b"),
    ],
)
def test_shares_that_are_none_are_told(shares: dict[str, float], why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        made(10).split(**shares)


@settings(max_examples=25)
@given(st.integers(1, 90), st.integers(0, 5))
def test_a_sample_is_the_same_each_time_and_part_of_a_larger_one(size: int, seed: int) -> None:
    whole = made(90)
    drawn = whole.sample(size, seed=seed)
    assert len(drawn) == size
    assert drawn == whole.sample(size, seed=seed)
    assert set(ids(drawn)) <= set(ids(whole.sample(min(size + 5, 90), seed=seed)))
    assert ids(drawn) == [each for each in ids(whole) if each in set(ids(drawn))], (
        "in the order of the dataset"
    )


def test_a_stratified_sample_has_the_shares_of_the_whole() -> None:
    cases = [
        Case(f"{n}", {}, None, {"topic": "rare" if n % 10 == 0 else "often"} if n < 90 else {})
        for n in range(100)
    ]
    drawn = Dataset("d", tuple(cases)).sample(20, seed=3, by="topic")
    topics = [case.metadata.get("topic", "") for case in drawn]
    assert (topics.count("often"), topics.count("rare"), topics.count("")) == (16, 2, 2)
    with pytest.raises(InvalidInput, match="a sample of 0"):
        made(5).sample(0)


def test_merge_and_dedupe() -> None:
    more = Dataset("e", (DATA.cases[0], Case("4", {"n": 1, "query": "short"}, "z")))
    both = DATA.merge(more)
    assert (ids(both), both.name) == (["1", "2", "3", "4"], "d+e")
    assert ids(both.dedupe()) == ["1", "2", "3"], "the first of those that ask the same"
    with pytest.raises(InvalidInput, match="the id '1' stands for another case"):
        DATA.merge(Dataset("f", (Case("1", {}),)))


def test_equal_data_is_one_version_whatever_holds_it() -> None:
    typed = Dataset("a", (Case("1", {"since": date(2026, 1, 2), "tags": {"x", "y"}, "pair": (1, 2)}),))
    plain = Dataset("b", (Case("1", {"pair": [1, 2], "tags": ["x", "y"], "since": "2026-01-02"}),))
    assert typed.version == plain.version
    assert typed.dedupe() == typed
    assert Dataset("c", (Case("1", {"n": 1}),)).version != Dataset("c", (Case("1", {"n": 1.0}),)).version
    two = (Case("1", {}), Case("2", {}))
    assert Dataset("d", two).version != Dataset("d", two[::-1]).version


def test_what_changed_between_two_datasets() -> None:
    after = [
        Case("1", {"query": "short", "n": 2}, "x2", DATA.cases[0].metadata),
        DATA.cases[2],
        Case("5", {"query": "new"}),
    ]
    found = difference(DATA, after)
    assert ([c.id for c in found.added], [c.id for c in found.removed], found.same) == (["5"], ["2"], 1)
    assert found.changed[0].names == ("inputs.n", "expected")
    assert difference(DATA, DATA).is_empty
    renamed = [Case(f"x{case.id}", case.inputs, case.expected, case.metadata) for case in DATA]
    assert len(difference(DATA, renamed).added) == 3
    assert difference(DATA, renamed, by_inputs=True).is_empty


def test_a_summary_counts_what_there_is() -> None:
    twin = Case(
        "4", {"query": "short", "n": 1}, None, {"topic": "legal", "review": "pending", "redacted": ["query"]}
    )
    masked = Case(
        "5", {"query": "my key is [secret]", "n": 0}, "x", {"review": "accepted", "reviewed_by": "eva"}
    )
    found = summary(Dataset("d", (*DATA.cases, twin, masked)))
    columns = {column.name: column for column in found.columns}
    assert columns["query"].cases == 5
    assert (columns["query"].shortest, columns["query"].longest) == (5, 18)
    assert columns["cost"].kinds == ("float", "int")
    assert columns["expected"].role == "expected"
    assert found.slices["topic"] == {"billing": 2, "legal": 2}
    assert (found.without_expected, found.duplicates, found.redacted) == (2, (("1", "4"),), ("5",))
    assert found.reviews == {"pending": 1, "accepted": 1}
