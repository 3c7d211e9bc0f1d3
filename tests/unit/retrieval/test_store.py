"""A collection's file: what is wrong with it, crashes, and two processes."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from surefoot.errors import CollectionError
from surefoot.retrieval import Collection, Home
from surefoot.retrieval.store import SCHEMA, location, remedy

WRITER = """
import sys
from pathlib import Path
import numpy as np
from surefoot.retrieval import Collection, Home

class Same:
    name, dimensions = "words", 256
    def embed(self, texts):
        return np.full((len(texts), 256), 1 / 16, np.float32)

collection = Collection.at(Home(Path(sys.argv[1]), Same()), "c")
for number in range(100_000):
    word, count = (("alpha", 30), ("beta", 45))[number % 2]
    source = "# T\\n" + "\\n".join(f"## Part {part}\\n{word} text here." for part in range(count))
    collection.put("page.md", source.encode())
    print(number, flush=True)
"""


def file_of(place: Home, name: str = "c") -> Path:
    return place.folder / f"{name}.db"


def assert_whole(place: Home) -> None:
    """Every chunk is of one version of the page, and the full-text index agrees with the chunks."""
    chunks = Collection.at(place, "c").chunks("page.md")
    assert (len(chunks), {chunk.text.split()[0] for chunk in chunks}) in [(30, {"alpha"}), (45, {"beta"})]
    connection = sqlite3.connect(file_of(place))
    connection.execute("INSERT INTO chunk_words (chunk_words, rank) VALUES ('integrity-check', 1)")
    (sentences,) = connection.execute("SELECT count(*) FROM sentences").fetchone()
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert sentences == len(chunks)


@pytest.mark.parametrize("kill_after", [1, 4, 9])
def test_a_killed_writer_leaves_the_old_or_the_new_document(place: Home, kill_after: int) -> None:
    collection = Collection.at(place, "c", create=True)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(place.folder)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        for _ in range(kill_after):
            assert writer.stdout.readline()
            # Reading goes on beside the writer and sees one version at a time.
            found = collection.search("alpha beta", top=100, mode="text")
            assert {passage.text.split()[0] for passage in found} in ({"alpha"}, {"beta"})
        writer.send_signal(signal.SIGKILL)
    assert_whole(place)
    collection.put("page.md", b"# New\nfresh start")
    assert [chunk.text for chunk in collection.chunks("page.md")] == ["fresh start"]


def test_a_failure_inside_a_replacement_undoes_all_of_it(place: Home) -> None:
    collection = Collection.at(place, "c", create=True)
    collection.put("page.md", b"# T\nalpha")
    with sqlite3.connect(file_of(place)) as connection:
        connection.execute(
            "CREATE TRIGGER stop BEFORE INSERT ON sentences WHEN new.start > 50"
            " BEGIN SELECT RAISE(ABORT, 'stopped'); END"
        )
    connection.close()
    with pytest.raises(CollectionError, match="stopped"):
        collection.put("page.md", b"# T\nbeta. " + b"Gamma delta. " * 10)
    assert [chunk.text for chunk in collection.chunks("page.md")] == ["alpha"]


def test_a_missing_collection_names_the_command(place: Home) -> None:
    with pytest.raises(CollectionError, match="surefoot ingest FOLDER --collection c"):
        Collection.at(place, "c")
    # A crash may leave an empty file.
    place.folder.mkdir()
    file_of(place).touch()
    with pytest.raises(CollectionError, match="no collection 'c'"):
        Collection.at(place, "c")
    Collection.at(place, "c", create=True).put("a.md", b"text")
    assert Collection.at(place, "c").search("text")


def rubbish(path: Path) -> None:
    path.write_bytes(b"this is no database, only text" * 100)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 4096 * 3])


def foreign(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (x)")
    connection.commit()
    connection.close()


def newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    connection.close()


def without_a_table(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE about")
    connection.close()


def with_a_short_vector(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE chunks SET vector = x'00'")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (rubbish, "damaged: delete it and run `surefoot ingest"),
        (cut_short, "damaged: delete it and run `surefoot ingest"),
        (foreign, "not a collection"),
        (newer, "newer Surefoot"),
        (without_a_table, "damaged: delete it and run `surefoot ingest"),
        (with_a_short_vector, "damaged: delete it and run `surefoot ingest"),
    ],
)
def test_a_file_that_cannot_be_used(place: Home, harm: Callable[[Path], None], complaint: str) -> None:
    Collection.at(place, "c", create=True).put("a.md", b"# T\n" + b"some text here. " * 500)
    harm(file_of(place))
    with pytest.raises(CollectionError, match=complaint) as caught:
        Collection.at(place, "c").search("text")
    assert str(file_of(place)) in str(caught.value)


def test_creating_over_a_foreign_file_leaves_it_alone(place: Home) -> None:
    place.folder.mkdir()
    file_of(place).touch()
    foreign(file_of(place))
    before = file_of(place).read_bytes()
    with pytest.raises(CollectionError, match="not a collection"):
        Collection.at(place, "c", create=True)
    assert file_of(place).read_bytes() == before


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (sqlite3.SQLITE_FULL, "Free some space"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "may be read and written"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "Another process"),
        (sqlite3.SQLITE_CORRUPT_VTAB, "damaged"),
        (sqlite3.SQLITE_IOERR_READ, "Check the disk"),
    ],
)
def test_every_failure_of_sqlite_says_what_to_do(code: int, advice: str) -> None:
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorcode = code
    assert advice in remedy(error, "c")


def test_a_disk_that_fills_up_loses_nothing(place: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = Collection.at(place, "c", create=True)
    collection.put("a.md", b"alpha")
    plain_connect = sqlite3.connect

    def small(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = plain_connect(*args, **kwargs)
        connection.execute("PRAGMA max_page_count = 40")
        return connection

    monkeypatch.setattr(sqlite3, "connect", small)
    with pytest.raises(CollectionError, match=r"full.*Free some space"):
        collection.put("a.md", b"beta gamma. " * 20_000)
    assert [chunk.text for chunk in collection.chunks("a.md")] == ["alpha"]


def test_many_may_create_a_collection_at_once(place: Home) -> None:
    barrier = threading.Barrier(6)

    def create(number: int) -> None:
        barrier.wait()
        Collection.at(place, "c", create=True).put(f"{number}.md", b"text")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(create, range(6)))
    assert len(Collection.at(place, "c").documents()) == 6


def test_a_folder_that_cannot_be_made(tmp_path: Path, words: Callable[[], object], place: Home) -> None:
    (tmp_path / "file").touch()
    blocked = Home(tmp_path / "file" / "collections", place.embedder)
    with pytest.raises(CollectionError, match="Collection 'c'"):
        Collection.at(blocked, "c", create=True)


def test_a_read_only_folder_is_read_as_still_only_while_nobody_writes(tmp_path: Path) -> None:
    path = tmp_path / "a b.db"
    assert location(path, "ro", can_write=True).endswith("a%20b.db?mode=ro")
    assert location(path, "ro", can_write=False).endswith("?mode=ro&immutable=1")
    (tmp_path / "a b.db-wal").touch()
    assert location(path, "ro", can_write=False).endswith("?mode=ro")
