"""Verdicts in a dataset's file: one line changes, all others keep every byte, and nobody overwrites another."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from surefoot import Dataset
from surefoot.errors import DatasetChanged, InvalidInput
from surefoot.evals.datasets.checking import check
from surefoot.evals.datasets.replacing import held, replace
from surefoot.evals.datasets.review import Review, decide
from surefoot.evals.datasets.writing import append

AT = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
FIRST = (
    b'\xef\xbb\xbf{"id": "a", "inputs": {"q": "Z\\u00fcrich"}, "expected": 12345678901234567890123, "metadata": '
    b'{"review": "pending"}}\r\n'
)
LINES = [
    FIRST,
    b"\n",
    b'  {"id":"b","q":"plain","expected":{"z":1,"a":[1.50]},"review":"pending","kept":1e2}  \n',
    b"{broken\n",
    b'{"id": 3, "q": "no review"}',
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cases.jsonl"
    path.write_bytes(b"".join(LINES))
    path.chmod(0o640)
    return path


def test_the_queue_holds_what_is_pending(file: Path) -> None:
    review = Review.of(file)
    assert [(entry.id, entry.number, entry.state) for entry in review.entries] == [
        ("a", 1, "pending"),
        ("b", 3, "pending"),
        ("4", 4, ""),
        ("3", 5, ""),
    ]
    assert review.counts == {"pending": 2, "malformed": 1, "unasked": 1}
    assert review.entry("b").inputs == {"q": "plain", "kept": 100.0}
    with pytest.raises(InvalidInput, match="has no case 'c'"):
        review.entry("c")


def test_accepting_changes_one_line_and_keeps_what_it_held(file: Path) -> None:
    decide(file, Review.of(file).entry("a"), "accepted", by=" Eva ", at=AT)
    lines = file.read_bytes().split(b"\n")
    assert lines[0] == (
        b'\xef\xbb\xbf{"id": "a", "inputs": {"q": "Z\\u00fcrich"}, "expected": 12345678901234567890123, "metadata": '
        b'{"review": "accepted", "reviewed_by": "Eva", "reviewed_at": "2026-11-27T12:00:00Z"}}\r'
    ), "the mark, the escape, the large number, the style and the line end as they were"
    assert b"\n".join(lines[1:]) == b"".join(LINES[1:])
    assert file.stat().st_mode & 0o777 == 0o640
    assert os.listdir(file.parent) == ["cases.jsonl"], "nothing is left beside it"


def test_correcting_keeps_the_recorded_output(file: Path) -> None:
    review = Review.of(file)
    decide(file, review.entry("b"), "corrected", by="Eva", expected={"z": 2}, at=AT)
    row = json.loads(file.read_bytes().split(b"\n")[2])
    assert row["expected"] == {"z": 2}
    assert row["recorded"] == {"z": 1, "a": [1.5]}
    assert (row["review"], row["reviewed_by"]) == ("corrected", "Eva"), (
        "where the mark stood, not in a metadata object"
    )
    decide(file, Review.of(file).entry("b"), "corrected", by="Max", expected="other", at=AT)
    row = json.loads(file.read_bytes().split(b"\n")[2])
    assert (row["expected"], row["recorded"]["z"], row["reviewed_by"]) == ("other", 1, "Max")


def test_rejected_cases_are_left_out_of_the_dataset(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(
        '{"id": "a", "q": 1, "metadata": {"review": "pending"}}\n{"id": "b", "q": 2, "review": "rejected"}\n'
    )
    before = Dataset.load(path)
    decide(path, Review.of(path).entry("a"), "rejected", by="Eva")
    # A column that happens to be called review is no verdict.
    assert [case.id for case in Dataset.load(path)] == ["b"]
    assert [case.id for case in before] == ["a", "b"]
    assert check(path).cases == 1


def test_a_line_that_was_changed_meanwhile_is_a_conflict(file: Path) -> None:
    entry = Review.of(file).entry("b")
    content = file.read_bytes().replace(b'"plain"', b'"edited"')
    file.write_bytes(content)
    with pytest.raises(DatasetChanged, match=r"cases\.jsonl:3: case 'b' was changed or removed"):
        decide(file, entry, "accepted", by="Eva")
    assert file.read_bytes() == content
    second = Review.of(file).entry("a")
    decide(file, second, "accepted", by="Eva")
    with pytest.raises(DatasetChanged):
        decide(file, second, "rejected", by="Max")


def test_a_line_that_has_moved_is_found_again(file: Path) -> None:
    entry = Review.of(file).entry("b")
    file.write_bytes(b'{"id": "new"}\n' + file.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    decide(file, entry, "accepted", by="Eva")
    assert Review.of(file).entry("b").state == "accepted"


@pytest.mark.parametrize("name", ["cases.csv", "cases.jsonl.gz", "cases.json", "gone.jsonl"])
def test_only_json_lines_are_reviewed(tmp_path: Path, name: str) -> None:
    if not name.startswith("gone"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InvalidInput, match=r"convert|cannot be read"):
        Review.of(tmp_path / name)


def test_verdicts_of_nobody_and_of_no_json_are_refused(file: Path) -> None:
    entry, before = Review.of(file).entry("a"), file.read_bytes()
    with pytest.raises(InvalidInput, match="needs the name"):
        decide(file, entry, "accepted", by="  ")
    with pytest.raises(InvalidInput, match="cannot be written as JSON"):
        decide(file, entry, "corrected", by="Eva", expected=float("nan"))
    assert file.read_bytes() == before


def test_many_reviewers_at_once_lose_no_verdict(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text("".join(f'{{"id": "{n}", "metadata": {{"review": "pending"}}}}\n' for n in range(24)))
    entries = Review.of(path).pending
    failures: list[BaseException] = []

    def reviewing(mine: int) -> None:
        try:
            for entry in entries[mine::4]:
                decide(path, entry, "accepted", by=f"reviewer {mine}")
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=reviewing, args=(number,)) for number in range(4)]
    threads += [threading.Thread(target=append, args=(path, [b'{"id": "new-%d"}\n' % n])) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    review = Review.of(path)
    assert review.counts == {"accepted": 24, "unasked": 4}
    assert {entry.metadata["reviewed_by"] for entry in review.entries if entry.state} == {
        f"reviewer {n}" for n in range(4)
    }


def test_a_writer_waits_for_another_process(file: Path) -> None:
    """The lock is the kernel's: a child that holds it is waited for, and one that is killed holds nothing."""
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        with held(file):
            os.write(go, b"x")
            threading.Event().wait()
    os.read(ready, 1)
    done = threading.Event()

    def deciding() -> None:
        decide(file, Review.of(file).entry("a"), "accepted", by="Eva")
        done.set()

    thread = threading.Thread(target=deciding)
    thread.start()
    try:
        assert not done.wait(0.2)
        assert Review.of(file).entry("a").state == "pending"
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        thread.join()
        os.close(ready)
        os.close(go)
    assert done.is_set()
    assert Review.of(file).entry("a").state == "accepted"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_bytes(b"old")

    def parts() -> Iterator[bytes]:
        yield b"new"
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        replace(path, parts())
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["cases.jsonl"]
    with pytest.raises(InvalidInput, match="cannot be written"):
        replace(tmp_path / "no folder" / "cases.jsonl", [b"x"])


def test_a_writer_that_is_killed_leaves_the_old_file_and_no_lock(file: Path) -> None:
    before = file.read_bytes()
    child = os.fork()
    if child == 0:

        def parts() -> Iterator[bytes]:
            yield b"half of the new content" * 10_000
            os.kill(os.getpid(), signal.SIGKILL)

        with held(file):
            replace(file, parts())
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert file.read_bytes() == before
    decide(file, Review.of(file).entry("a"), "accepted", by="Eva")
    assert Review.of(file).entry("a").state == "accepted"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "cases.jsonl").write_text('{"id": "a", "review": "pending"}\n')
    link = tmp_path / "cases.jsonl"
    link.symlink_to(tmp_path / "real" / "cases.jsonl")
    decide(link, Review.of(link).entry("a"), "accepted", by="Eva")
    assert link.is_symlink()
    assert Review.of(tmp_path / "real" / "cases.jsonl").entry("a").state == "accepted"


def test_lines_are_put_behind_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    append(path, [b'{"id": 1}\n'])
    path.write_bytes(b'{ "id" : 1 }')
    append(path, [b'{"id": 2}\n', b'{"id": 3}\n'])
    assert path.read_bytes() == b'{ "id" : 1 }\n{"id": 2}\n{"id": 3}\n'
