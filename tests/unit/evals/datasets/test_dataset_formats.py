"""Datasets from every format: the same content is the same dataset, and hostile files end in an error with a place."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tracemalloc
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from pyarrow import feather, parquet
from pydantic import BaseModel

from surefoot import flow
from surefoot.errors import InvalidInput
from surefoot.evals import Case, Dataset

ENDINGS = (
    "jsonl",
    "jsonl.gz",
    "ndjson",
    "json",
    "json.gz",
    "csv",
    "csv.gz",
    "tsv",
    "parquet",
    "arrow",
    "feather",
)


class Plan(Enum):
    FREE = "free"
    PRO = "pro"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Address(BaseModel):
    city: str
    zip: int | None = None


@dataclass
class Range:
    low: float
    high: float


class Answer(BaseModel):
    text: str
    sure: bool = True


@flow
def answer(  # noqa: PLR0917  (as flows are)
    query: str,
    top: int,
    plan: Plan = Plan.FREE,
    level: Level = Level.LOW,
    mode: Literal["a", 1] = "a",
    tags: list[str] = [],  # noqa: B006  (what it is by default is not looked at)
    at: Address | None = None,
    within: Range | None = None,
    since: date | None = None,
    price: Decimal = Decimal(1),
    ratio: float = 0.5,
    strict: bool = False,
    anything: Any = None,
) -> Answer:
    return Answer(text=query)


WHOLE = Case(
    "a",
    {
        "query": 'When, "exactly"\r\ndo we\n pay? Zürich 🙂',
        "top": 3,
        "plan": Plan.PRO,
        "level": Level.HIGH,
        "mode": 1,
        "tags": ["x", "y, z"],
        "at": Address(city="Bern", zip=3000),
        "within": Range(0.5, 2.0),
        "since": date(2026, 1, 2),
        "price": Decimal("1.10"),
        "ratio": 0.25,
        "strict": True,
        "anything": "free text",
    },
    {"text": "now"},
    {"topic": "billing", "weight": 2, "tags_of": ["u", "v"]},
)
SPARSE = Case("b", {"query": "", "top": -1}, None, {"topic": "other"})


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_gives_back_the_same_dataset(tmp_path: Path, ending: str) -> None:
    whole = Dataset("d", (WHOLE, SPARSE))
    path = tmp_path / f"cases.v1.{ending}"
    whole.save(path)
    again = Dataset.load(path, flow=answer)
    assert again.cases == whole.cases
    assert (again.version, again.name) == (whole.version, "cases.v1")
    assert type(again.cases[0].inputs["at"]) is Address
    with pytest.raises(InvalidInput, match="is there already"):
        whole.save(path)
    before = path.read_bytes()
    whole.save(path, overwrite=True)
    assert path.read_bytes() == before


def test_cells_are_turned_into_the_types_of_the_flow(tmp_path: Path) -> None:
    path = write(
        tmp_path / "cases.csv",
        "id,query,top,plan,level,mode,tags,at,within,since,price,ratio,strict,anything,expected,topic\n"
        'a,"When,\nnow?", 3 ,pro,2,1,"[""x""]","{""city"": ""Bern""}","{""low"": 1, ""high"": 2}",'
        '2026-01-02,1.10,1,no,5,"{""text"": ""soon""}",billing\n'
        "\n"
        "b,Why?,5,,,,,,,,,,,,,\n",
    )
    first, second = Dataset.load(path, flow=answer)
    assert first.inputs == {
        "query": "When,\nnow?",
        "top": 3,
        "plan": Plan.PRO,
        "level": Level.HIGH,
        "mode": 1,
        "tags": ["x"],
        "at": Address(city="Bern"),
        "within": Range(1.0, 2.0),
        "since": date(2026, 1, 2),
        "price": Decimal("1.10"),
        "ratio": 1.0,
        "strict": False,
        "anything": "5",
    }
    assert type(first.inputs["ratio"]) is float
    assert (first.expected, first.metadata) == ({"text": "soon"}, {"topic": "billing"})
    assert second.inputs == {"query": "Why?", "top": 5}, "an empty cell is not given"
    assert (second.expected, second.metadata) == (None, {})
    assert first.place == f"{path}:2"
    assert second.place == f"{path}:5", "the line in the file, quoted line ends and blank lines counted"


@pytest.mark.parametrize(
    ("column", "cell", "wanted"),
    [
        ("top", "three", r"'top' is 'three': .*valid integer"),
        ("top", "3.5", r"'top' is '3\.5'"),
        ("ratio", "nan", r"'ratio' is 'nan': .*no number that can be compared"),
        ("ratio", "1e999", r"'ratio' is '1e999'"),
        ("strict", "maybe", r"'strict' is 'maybe': .*valid boolean"),
        ("plan", "gold", r"'plan' is 'gold': .*'free' or 'pro'"),
        ("since", "2026-13-01", r"'since' is '2026-13-01'"),
        ("tags", '"[1, 2]"', r"'tags' is '\[1, 2\]': .*0: input should be a valid string"),
        ("tags", '"[""x"""', r"'tags' is"),
        ("at", '"{""zip"": 1}"', r"'at' is '{\"zip\": 1}': .*field required"),
    ],
)
def test_an_error_names_line_column_and_value(tmp_path: Path, column: str, cell: str, wanted: str) -> None:
    path = write(
        tmp_path / "cases.csv", f"query,other,{column}\n" if column == "top" else f"query,top,{column}\n"
    )
    with path.open("a") as file:
        file.write("fine,1,\n" if column != "top" else "fine,,1\n")
        file.write(f"q,1,{cell}\n")
    with pytest.raises(InvalidInput, match=rf"cases\.csv:3:3: {wanted}"):
        Dataset.load(path, flow=answer)


def test_json_values_are_held_against_the_flow_too(tmp_path: Path) -> None:
    path = write(tmp_path / "cases.jsonl", '{"query": "q", "top": 1}\n{"query": 5, "top": 1}\n')
    with pytest.raises(
        InvalidInput, match=r"cases\.jsonl:2: 'query' is 5: input 'query' of flow answer: .*string"
    ):
        Dataset.load(path, flow=answer)


def test_a_needed_cell_that_is_empty_is_told(tmp_path: Path) -> None:
    @flow
    def needs(count: int, note: str, maybe: int | None) -> str:
        return ""

    fine = write(tmp_path / "fine.csv", "count,note,maybe\n1,,\n")
    assert Dataset.load(fine, flow=needs).cases[0].inputs == {"count": 1, "note": "", "maybe": None}
    with pytest.raises(InvalidInput, match=r"lacks\.csv:2:1: 'count' is '': flow needs needs 'count'"):
        Dataset.load(write(tmp_path / "lacks.csv", "count,note,maybe\n,x,\n"), flow=needs)


@pytest.mark.parametrize(
    ("expected", "why"),
    [
        ({"text": 5}, r"'expected' is \{'text': 5\}: it is no output of flow answer, text: .*string"),
        ({"txt": "x"}, r"there is no field 'txt': it has sure, text"),
    ],
)
def test_what_is_expected_is_held_against_what_the_flow_returns(
    tmp_path: Path, expected: dict[str, object], why: str
) -> None:
    row = {"query": "q", "top": 1}
    path = write(tmp_path / "cases.jsonl", json.dumps({**row, "expected": expected}))
    with pytest.raises(InvalidInput, match=why):
        Dataset.load(path, flow=answer)
    # A part of the output, or something else that a scorer compares with, stays as it is.
    for fine in ({"sure": False}, "Paris", ["Paris", "Lutetia"], 3):
        path = write(tmp_path / "cases.jsonl", json.dumps({**row, "expected": fine}))
        assert Dataset.load(path, flow=answer).cases[0].expected == fine


def test_expected_cells_follow_a_plain_output(tmp_path: Path) -> None:
    @flow
    def count(text: str) -> int:
        return 0

    @flow
    def name(text: str) -> str:
        return ""

    path = write(tmp_path / "cases.csv", 'text,expected\na,7\nb,many\nc,"[1]"\n')
    assert [case.expected for case in Dataset.load(path, flow=count)] == [7, "many", "[1]"]
    assert [case.expected for case in Dataset.load(path, flow=name)] == ["7", "many", "[1]"]


def test_without_a_flow_cells_are_texts(tmp_path: Path) -> None:
    (case,) = Dataset.load(write(tmp_path / "cases.csv", "id,x,y,expected\n,5,,no\n"))
    assert (case.id, case.inputs, case.expected) == ("2", {"x": "5"}, "no")


def test_columns_are_mapped_in_every_format(tmp_path: Path) -> None:
    rows = [
        {"key": "k1", "question": "a", "n": 1, "gold": None},
        {"key": "k2", "question": "b", "n": 2, "gold": "{}"},
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "cases.parquet")
    write(tmp_path / "cases.csv", "key,question,n,gold\nk1,a,1,\nk2,b,2,{}\n")
    columns = {"id": "key", "query": "question", "top": "n", "expected": "gold"}
    for name in ("cases.parquet", "cases.csv"):
        first, second = Dataset.load(tmp_path / name, flow=answer, columns=columns)
        assert (first.id, first.inputs, first.expected, first.metadata) == (
            "k1",
            {"query": "a", "top": 1},
            None,
            {},
        )
        assert second.id == "k2"
        with pytest.raises(InvalidInput, match="no column for query=nothing"):
            Dataset.load(tmp_path / name, flow=answer, columns={"query": "nothing"})


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    header, row = ["id", '"a,b;c"', "x"], ["1", '"p,q;r|s\tt"', "y"]
    path = write(tmp_path / "cases.csv", "".join(delimiter.join(cells) + "\r\n" for cells in (header, row)))
    (case,) = Dataset.load(path)
    assert case.inputs == {"a,b;c": "p,q;r|s\tt", "x": "y"}
    assert Dataset.load(path, delimiter=delimiter).version == Dataset.load(path).version
    with pytest.raises(InvalidInput, match="the delimiter is 'ab'"):
        Dataset.load(path, delimiter="ab")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
@pytest.mark.parametrize("name", ["cases.csv", "cases.jsonl", "cases.json"])
def test_encodings(tmp_path: Path, encoding: str, name: str) -> None:
    text = {"cases.csv": "id,x\n1,Zürich\n", "cases.jsonl": '{"id": 1, "x": "Zürich"}\n'}
    path = write(tmp_path / name, text.get(name, '[{"id": 1, "x": "Zürich"}]'), encoding)
    told = encoding if encoding in ("cp1252", "utf-16-le") else None
    (case,) = Dataset.load(path, encoding=told)
    assert case.inputs == {"x": "Zürich"}


HOSTILE = {
    "latin.csv": (b"id,x\n1,ok\n2,Z\xfcrich\n", r"latin\.csv:3:4: the byte 0xfc is no UTF-8.*--encoding"),
    "latin.jsonl": (b'{"x": 1}\n{"x": "Z\xfc"}', r"latin\.jsonl:2:9: the byte 0xfc"),
    "nul.csv": (b"id,x\n1,a\x00b\n", r"nul\.csv:2:4: there is a NUL"),
    "nul.jsonl": (b'{"x": "a\x00b"}', r"nul\.jsonl:1:9: there is a NUL"),
    "twice.csv": (b"id,x,x\n1,a,b\n", r"twice\.csv:1:3: the column 'x' stands there twice"),
    "ids.csv": (b"id,x\n1,a\n1,b\n", r"ids\.csv:3: the id '1' stands at .*ids\.csv:2 already"),
    "ragged.csv": (b"id,x\n1,a\n2,b,c\n", r"ragged\.csv:3: the row has 3 cells and the header 2"),
    "nameless.csv": (b"id,x,\n1,a,\n2,b,c\n", r"nameless\.csv:3: column 3 has no name and holds 'c'"),
    "open.csv": (b'id,x\n1,a\n2,"b\nc\nd\n', r"open\.csv:3: a quoted cell that begins here is not closed"),
    "quote.csv": (b'id,x\n1,"a"b\n', r"quote\.csv:2: this is no row of a table"),
    "return.csv": (b"id,x\r1,a\r2,b\r", r"return\.csv:1: lines end in a carriage return alone"),
    "empty.csv": (b"", r"empty\.csv is empty"),
    "header.csv": (b"id,x\n", r"holds no case"),
    "blank.csv": (b",,\n1,2,3\n", r"blank\.csv:1: the first line names no column"),
    "meta.csv": (b'id,metadata\n1,"{x"\n', r"meta\.csv:2:2: 'metadata' is '{x': write a JSON object"),
    "bomb.jsonl": (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", r"bomb\.jsonl:1: .*nested too deeply"),
    "bomb.json": (b'[{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]", r"bomb\.json:1: .*nested too deeply"),
    "deep.jsonl": (b'{"id": 1, "x": ' + b"[" * 300 + b"]" * 300 + b"}", r"nested more than"),
    "keys.jsonl": (b'{"x": 1}\n{"y": {"a": 1, "a": 2}}', r"keys\.jsonl:2: .*the key 'a' stands twice"),
    "half.jsonl": (b'{"x": "\\ud800"}', r"half\.jsonl:1: this line is not JSON"),
    "huge.jsonl": (b'{"x": 1e999}', r"huge\.jsonl:1: .*1e999 is too large"),
    "array.json": (b'[{"x": 1},\n {"x": 2}\n {"x": 3}]', r"array\.json:3: a comma or the end of the array"),
    "comma.json": (b'[{"x": 1},\n]', r"comma\.json:2: a comma stands behind the last"),
    "part.json": (b'[{"x": 1},\n {"x": nul}]', r"part\.json:2:8: this is not JSON"),
    "more.json": (b"[{}]\n[]", r"more\.json:2: something follows the array"),
    "other.json": (b'[{"x": 1}, 5]', r"other\.json:1: .*no object"),
    "object.json": (b'{"x": 1}', r"object\.json:1: the file holds no JSON array"),
    "plain.jsonl.gz": (b'{"x": 1}\n', r"is no gzip file.*remove .gz"),
    "cut.jsonl.gz": (gzip.compress(b'{"x": 1}\n' * 5000)[:-20], r"cut\.jsonl\.gz is damaged"),
    "plain.parquet": (b"PAR1 not really", r"plain\.parquet cannot be read behind row 0"),
    "plain.arrow": (b"not an arrow file", r"plain\.arrow cannot be read behind row 0"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_an_error_with_its_place(tmp_path: Path, name: str) -> None:
    content, why = HOSTILE[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match=why):
        Dataset.load(tmp_path / name)


def test_a_cell_of_ten_megabytes_is_read_and_an_endless_one_is_not(tmp_path: Path) -> None:
    big = write(tmp_path / "big.csv", f'id,x\n1,"{"word " * 2_000_000}"\n')
    assert len(str(Dataset.load(big).cases[0].inputs["x"])) == 10_000_000
    with (tmp_path / "endless.csv").open("w") as file:
        file.write('id,x\n1,a\n2,"never closed\n')
        file.writelines(f"{number},{'b' * 1000}\n" for number in range(17_000))
    with pytest.raises(InvalidInput, match=r"endless\.csv:3: a cell has more than 16,000,000 characters"):
        Dataset.load(tmp_path / "endless.csv")


def test_a_compressed_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(70):
            file.write(b" " * 1_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidInput, match=r"bomb\.jsonl\.gz:1: the line has more than 64,000,000 bytes"):
            Dataset.load(path)
        assert tracemalloc.get_traced_memory()[1] < 250_000_000
    finally:
        tracemalloc.stop()


def test_columns_of_other_types_in_parquet_and_arrow(tmp_path: Path) -> None:
    moment = datetime(2026, 1, 2, 3, 4, tzinfo=ZoneInfo("UTC"))
    table = pa.table(
        {
            "id": pa.array(["a", "b"]),
            "query": pa.array(["x", "y"]),
            "top": pa.array([1, None], pa.int64()),
            "since": pa.array([date(2026, 1, 2), None]),
            "price": pa.array([Decimal("1.10"), None]),
            "ratio": pa.array([0.5, float("nan")]),
            "seen": pa.array([moment, None]),
            "__index_level_0__": pa.array([0, 1]),
        }
    )
    parquet.write_table(table.slice(0, 1), tmp_path / "one.parquet")
    feather.write_feather(table.slice(0, 1), str(tmp_path / "one.feather"))
    with (
        pa.OSFile(str(tmp_path / "one.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, table.schema) as writer,
    ):
        writer.write_table(table.slice(0, 1))
    for name in ("one.parquet", "one.feather", "one.arrow"):
        (case,) = Dataset.load(tmp_path / name, flow=answer)
        assert case.inputs == {
            "query": "x",
            "top": 1,
            "since": date(2026, 1, 2),
            "price": Decimal("1.10"),
            "ratio": 0.5,
        }
        assert datetime.fromisoformat(str(case.metadata["seen"])).astimezone(UTC) == moment
    parquet.write_table(table, tmp_path / "two.parquet")
    with pytest.raises(InvalidInput, match=r"two\.parquet:2: no column 'top', which flow answer takes"):
        Dataset.load(tmp_path / "two.parquet", flow=answer)
    parquet.write_table(pa.table({"x": pa.array([b"raw"])}), tmp_path / "raw.parquet")
    with pytest.raises(InvalidInput, match=r"raw\.parquet:1: 'x' holds bytes"):
        Dataset.load(tmp_path / "raw.parquet")
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    feather.write_feather(twice, str(tmp_path / "twice.arrow"), compression="uncompressed")
    with pytest.raises(InvalidInput, match=r"the column 'x' stands there twice"):
        Dataset.load(tmp_path / "twice.arrow")


def test_without_pyarrow_the_extra_is_named(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["pyarrow"] = None
from surefoot import Dataset
from surefoot.errors import MissingExtra
try:
    Dataset.load("cases.parquet")
except MissingExtra as error:
    print(error)
"""
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert 'pip install "surefoot[tables]"' in said.stdout


def test_what_has_no_form_is_not_written_and_the_old_file_stays(tmp_path: Path) -> None:
    path = write(tmp_path / "cases.jsonl", "before")
    for case, why in (
        (Case("1", {"x": float("nan")}), r"case '1': inputs\.x is nan"),
        (Case("1", {"x": object()}), "cannot record"),
    ):
        with pytest.raises(Exception, match=why):
            Dataset("d", (Case("0", {}), case)).save(path, overwrite=True)
    with pytest.raises(InvalidInput, match="NUL"):
        Dataset("d", (Case("1", {"x": "a\0b"}),)).save(tmp_path / "cases.csv")
    with pytest.raises(InvalidInput, match="one type each"):
        Dataset("d", (Case("1", {"x": 1}), Case("2", {"x": "a"}))).save(tmp_path / "cases.parquet")
    with pytest.raises(InvalidInput, match="an input is called 'expected'"):
        Dataset("d", (Case("1", {"expected": 1}),)).save(tmp_path / "cases.csv")
    assert [each.name for each in tmp_path.iterdir()] == ["cases.jsonl"]
    assert path.read_text() == "before"


def test_a_row_costs_as_much_in_a_large_file_as_in_a_small_one(tmp_path: Path) -> None:
    @flow
    def asked(query: str, top: int) -> str:
        return ""

    def peak(rows: int) -> tuple[int, int]:
        path = tmp_path / f"{rows}.csv"
        with path.open("w") as file:
            file.write("id,query,top,topic\n")
            file.writelines(f"case-{n},question {n} of many,{n % 7},t{n % 3}\n" for n in range(rows))
        tracemalloc.start()
        try:
            dataset = Dataset.load(path, flow=asked)
            assert len(dataset) == rows
            return tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    peak(10)
    small, large = peak(300), peak(3_000)
    assert large[0] < 11 * small[0]
    assert large[1] - large[0] < 0.3 * large[0], "what reading needs beside the cases does not grow with them"
