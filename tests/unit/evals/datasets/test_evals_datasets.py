"""Datasets: columns, ids, versions, and errors that name file and line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot import flow
from surefoot.errors import InvalidInput
from surefoot.evals import Case, Dataset

Lines = Callable[..., Path]


@flow
def ask(query: str, document_id: str, top: int = 3) -> str:
    return f"{query} {document_id} {top}"


def test_columns_named_like_inputs_are_inputs_and_the_rest_is_metadata(jsonl: Lines) -> None:
    path = jsonl(
        {"id": "q1", "query": "When?", "document_id": "d", "expected": "now", "unanswerable": False},
        "",
        {"query": "Why?", "document_id": "d", "top": 5},
    )
    first, second = Dataset.load(path, flow=ask)
    assert first == Case("q1", {"query": "When?", "document_id": "d"}, "now", {"unanswerable": False})
    assert second == Case("3", {"query": "Why?", "document_id": "d", "top": 5})
    assert second.label == f"{path}:3"


def test_columns_are_mapped(jsonl: Lines) -> None:
    path = jsonl({"key": 7, "question": "When?", "doc_id": "d", "answer": "now", "query": "not this one"})
    mapping = {"id": "key", "query": "question", "document_id": "doc_id", "expected": "answer"}
    (case,) = Dataset.load(path, flow=ask, columns=mapping)
    assert case == Case("7", {"query": "When?", "document_id": "d"}, "now", {"query": "not this one"})


def test_one_column_may_be_two_inputs(jsonl: Lines) -> None:
    path = jsonl({"text": "x"})
    (case,) = Dataset.load(path, flow=ask, columns={"query": "text", "document_id": "text"})
    assert case.inputs == {"query": "x", "document_id": "x"}
    assert case.metadata == {}


def test_nested_inputs_and_metadata_are_understood(jsonl: Lines) -> None:
    path = jsonl(
        {"inputs": {"query": "When?", "document_id": "d"}, "metadata": {"from": "a run"}, "weight": 2}
    )
    (case,) = Dataset.load(path, flow=ask)
    assert case.inputs == {"query": "When?", "document_id": "d"}
    assert case.metadata == {"from": "a run", "weight": 2}


def test_without_a_flow_every_column_is_an_input(jsonl: Lines) -> None:
    (case,) = Dataset.load(jsonl({"id": "1", "x": 1, "y": [2], "expected": 3}))
    assert (case.inputs, case.expected, case.metadata) == ({"x": 1, "y": [2]}, 3, {})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (({"id": 1, "query": "q", "document_id": "d"}, "{no json"), r"cases\.jsonl:2: this line is not JSON"),
        (("[1, 2]",), r"cases\.jsonl:1: this line holds no JSON object"),
        (
            ({"query": "q"},),
            r"cases\.jsonl:1: no column 'document_id', which flow ask takes.*--map document_id=COLUMN",
        ),
        (({"id": "", "query": "q", "document_id": "d"},), r"cases\.jsonl:1: the id is ''"),
        (({"id": True, "query": "q", "document_id": "d"},), r"cases\.jsonl:1: the id is True"),
        (({"inputs": 3},), r"cases\.jsonl:1: 'inputs' is int"),
        (
            ({"id": "a", "query": "q", "document_id": "d"}, {"id": "a", "query": "r", "document_id": "d"}),
            r"cases\.jsonl:2: the id 'a' stands at .*cases\.jsonl:1 already",
        ),
        ((), "dataset cases holds no case"),
        (('{"query": "q", "document_id": NaN}',), r"cases\.jsonl:1: this line is not JSON"),
    ],
)
def test_an_error_names_file_line_and_what_is_wrong(
    rows: tuple[object, ...], message: str, jsonl: Lines
) -> None:
    with pytest.raises(InvalidInput, match=message):
        Dataset.load(jsonl(*rows), flow=ask)


def test_a_mapping_that_fits_nothing_is_an_error(jsonl: Lines) -> None:
    path = jsonl({"query": "q", "document_id": "d"})
    with pytest.raises(
        InvalidInput, match="columns are mapped to qeury, but flow ask takes query, document_id, top"
    ):
        Dataset.load(path, flow=ask, columns={"qeury": "query"})
    with pytest.raises(InvalidInput, match=r":1: no column for query=question: it has query, document_id"):
        Dataset.load(path, flow=ask, columns={"query": "question"})


def test_other_formats_and_missing_files_are_named(tmp_path: Path) -> None:
    for name in ("cases.xlsx", "cases", "cases.parquet.gz", "cases.gz"):
        with pytest.raises(InvalidInput, match=rf"{name}: datasets are files named .jsonl"):
            Dataset.load(tmp_path / name)
    with pytest.raises(InvalidInput, match=r"none\.jsonl cannot be read \(No such file"):
        Dataset.load(tmp_path / "none.jsonl")


def test_the_version_is_of_the_content_and_not_of_the_file(jsonl: Lines) -> None:
    rows = [{"id": "a", "x": 1, "expected": 2}, {"id": "b", "x": 2, "expected": 3}]
    one = Dataset.load(jsonl(*rows, name="one.jsonl"))
    spaced = '{"expected": 2,   "x": 1, "id": "a"}'
    other = Dataset.load(jsonl("", spaced, rows[1], name="two.jsonl"))
    assert one.version == other.version
    changed = Dataset.load(jsonl(rows[0], {**rows[1], "expected": 4}, name="three.jsonl"))
    assert changed.version != one.version


@given(st.integers(1, 60), st.integers(1, 80))
def test_a_spread_is_in_order_without_repeats_and_even(size: int, limit: int) -> None:
    dataset = Dataset("d", tuple(Case(str(n), {}) for n in range(size)))
    places = [int(case.id) for case in dataset.spread(limit)]
    assert len(places) == min(size, limit)
    assert places == sorted(set(places))
    gaps = [after - before for before, after in zip(places, [*places[1:], size], strict=True)]
    assert max(gaps) - min(gaps) <= 1


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 1 case"):
        Dataset("d", (Case("1", {}),)).spread(0)
