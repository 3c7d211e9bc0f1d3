"""Putting documents in and finding them again."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surefoot.errors import CollectionError, InvalidInput
from surefoot.retrieval import Collection, Embedder, Home, Mode, Passage, home
from surefoot.scope import Slot

PAGES = {
    "backup.md": "# Backups\n\n## Nightly backup\nThe job starts at 02:30. It is kept for 30 days.\n\n"
    "## Weekly backup\nOn Sundays a copy goes to the vault. Ask Dr. Meyer for the key.",
    "ops/rota.md": "# On-call rota\n\nTwo engineers share a week. Handover is on Monday at 09:00.",
    "vendors.txt": "Vendor contacts\n\nThe network vendor answers within four hours.",
}
MODES: list[Mode] = ["hybrid", "vector", "text"]
SQUAD = Path(__file__).parents[4] / "shared" / "data" / "squad_docs.jsonl"


def source(document: str) -> str:
    return PAGES[document]


@pytest.fixture
def handbook(place: Home) -> Collection:
    collection = Collection.at(place, "handbook", create=True)
    for document, text in PAGES.items():
        collection.put(document, text.encode(), format="text" if document.endswith(".txt") else "markdown")
    return collection


@pytest.mark.parametrize("mode", MODES)
def test_search_finds_the_passage_with_its_place(handbook: Collection, mode: Mode) -> None:
    first = handbook.search("When does the nightly backup job start?", mode=mode)[0]
    assert (first.document, first.title, first.heading) == ("backup.md", "Backups", "Nightly backup")
    assert first.text == source("backup.md")[first.start : first.end]
    assert "02:30" in first.text
    if mode == "text":
        assert first.cosine is None
    else:
        assert first.cosine is not None
        assert 0 < first.cosine <= 1
    if mode == "vector":
        assert first.score == first.cosine


def test_modes_have_scores_of_their_own_in_descending_order(handbook: Collection) -> None:
    for mode in MODES:
        found = handbook.search("backup vendor week", top=10, mode=mode)
        assert [passage.score for passage in found] == sorted((each.score for each in found), reverse=True)
    assert len(handbook.search("backup vendor week", top=10, mode="vector")) == 4
    assert [each.document for each in handbook.search("vault", top=10, mode="text")] == ["backup.md"]
    assert handbook.search("zebra", mode="text") == []
    hybrid = handbook.search("vault", top=1)[0]
    assert hybrid.score == pytest.approx(2 / 61)


def test_a_word_is_found_by_its_stem_and_without_accents(handbook: Collection) -> None:
    assert handbook.search("starting jobs", mode="text")[0].heading == "Nightly backup"
    handbook.put("cafe.md", "Caf\u00e9 is open.".encode())
    assert handbook.search("cafe", mode="text")[0].document == "cafe.md"


@pytest.mark.parametrize("mode", MODES)
def test_one_document_can_be_searched_alone(handbook: Collection, mode: Mode) -> None:
    found = handbook.search("the nightly backup on Monday", document="ops/rota.md", mode=mode)
    assert {passage.document for passage in found} == {"ops/rota.md"}


def test_best_sentences_are_exact_parts_of_their_documents(handbook: Collection) -> None:
    found = handbook.best_sentences("When does the backup job start?", top=2)
    assert found[0].text == "The job starts at 02:30."
    assert (found[0].document, found[0].heading) == ("backup.md", "Nightly backup")
    assert found[0].score == found[0].cosine
    for each in found:
        assert each.text == source(each.document)[each.start : each.end]
    alone = handbook.best_sentences("key", document="backup.md", top=10)
    assert alone[0].text == "Ask Dr. Meyer for the key."
    assert len(alone) == 4


def test_equal_passages_come_in_the_order_of_documents_and_positions(place: Home) -> None:
    collection = Collection.at(place, "same", create=True)
    page = b"# T\n## A\nequal text\n## A\nother\n## A\nequal text"
    for document in ("b.md", "c.md", "a.md"):
        collection.put(document, page)
    for mode in MODES:
        found = [(each.document, each.start) for each in collection.search("equal text", top=20, mode=mode)]
        assert found[:3] == sorted(found[:3])
        assert found == [(e.document, e.start) for e in collection.search("equal text", top=20, mode=mode)]
    sentences = collection.best_sentences("equal", top=6)
    assert [(each.document, each.start) for each in sentences] == sorted(
        (each.document, each.start) for each in sentences
    )


def test_replacing_and_removing(handbook: Collection) -> None:
    before = handbook.search("vault")[0]
    stored = handbook.put("backup.md", b"# Backups\nThere are none any more. Sorry.")
    assert (stored.title, stored.chunks, stored.sentences) == ("Backups", 1, 2)
    assert before not in handbook.search("vault", top=10)
    assert handbook.search("vault", mode="text") == []
    assert handbook.remove("backup.md") is True
    assert handbook.remove("backup.md") is False
    assert [document.id for document in handbook.documents()] == ["ops/rota.md", "vendors.txt"]


def test_a_change_by_another_process_or_object_is_seen(handbook: Collection, place: Home) -> None:
    assert handbook.search("zebra", mode="vector")
    other = Collection.at(Home(place.folder, place.embedder), "handbook")
    other.put("zebra.md", b"zebra zebra")
    assert handbook.search("zebra", mode="vector")[0].document == "zebra.md"


def test_documents_and_chunks_can_be_listed(handbook: Collection) -> None:
    first = handbook.documents()[0]
    assert (first.id, first.title, first.size) == ("backup.md", "Backups", len(PAGES["backup.md"]))
    assert handbook.holds("backup.md", first.sha256)
    assert not handbook.holds("backup.md", "0" * 64)
    assert not handbook.holds("none.md", first.sha256)
    chunks = handbook.chunks("backup.md")
    assert [chunk.headings for chunk in chunks] == [("Nightly backup",), ("Weekly backup",)]
    assert all(source("backup.md")[chunk.start : chunk.end] == chunk.text for chunk in chunks)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text() | st.text(st.sampled_from("aA_\"'*()^:-+ \0\ud800NEAR")), mode=st.sampled_from(MODES))
def test_any_query_is_answered(handbook: Collection, query: str, mode: Mode) -> None:
    found = handbook.search(query, mode=mode)
    assert all(isinstance(each, Passage) for each in found)
    if not any(character.isalnum() for character in query):
        assert found == []
        assert handbook.best_sentences(query) == []


def test_an_unknown_document_is_named_with_the_nearest(handbook: Collection) -> None:
    with pytest.raises(InvalidInput, match=r"no document 'backups.md'.*'backup.md'"):
        handbook.search("x", document="backups.md")
    with pytest.raises(InvalidInput, match="top must be at least 1"):
        handbook.search("x", top=0)


def test_another_embedder_is_refused_but_the_list_still_reads(
    handbook: Collection, place: Home, words: Callable[..., Embedder]
) -> None:
    for other in (words(name="others"), words(dimensions=8)):
        moved = Collection.at(Home(place.folder, other), "handbook")
        assert len(moved.documents()) == 3
        for attempt in (
            lambda at=moved: at.search("x"),
            lambda at=moved: at.best_sentences("x"),
            lambda at=moved: at.put("a.md", b"x"),
            lambda at=other: Collection.at(Home(place.folder, at), "handbook", create=True),
        ):
            with pytest.raises(CollectionError, match="was made with the embedder words"):
                attempt()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a" * 65, "a\nb", "n\u00e4me"])
def test_a_name_must_be_a_plain_file_name(place: Home, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot name a collection"):
        Collection.at(place, name)


def test_a_source_that_is_not_text_is_refused_and_a_byte_order_mark_is_not_counted(
    handbook: Collection,
) -> None:
    with pytest.raises(InvalidInput, match=r"a.md: it is not UTF-8 \(byte 1"):
        handbook.put("a.md", b"a\xff")
    with pytest.raises(InvalidInput, match="NUL"):
        handbook.put("a.md", b"a\0b")
    handbook.put("bom.md", b"\xef\xbb\xbf# Title\ntext")
    assert [(chunk.title, chunk.start) for chunk in handbook.chunks("bom.md")] == [("Title", 8)]


def test_an_empty_document_is_kept_without_chunks(handbook: Collection) -> None:
    assert handbook.put("empty.md", b" \n").chunks == 0
    assert handbook.chunks("empty.md") == []
    assert handbook.search("backup", document="empty.md") == []
    assert handbook.best_sentences("backup", document="empty.md") == []


def test_threads_share_a_home(handbook: Collection) -> None:
    expected = handbook.search("nightly backup")
    found: list[list[Passage]] = []
    threads = [
        threading.Thread(target=lambda: found.append(handbook.search("nightly backup"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8


def test_open_asks_the_slot_for_the_home(
    handbook: Collection, place: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    own: Slot[Home] = Slot("home")
    own.provide(lambda: place)
    monkeypatch.setattr("surefoot.retrieval.collection.home", own)
    assert isinstance(home, Slot)
    assert Collection.open("handbook").search("vault")
    assert place.names() == ["handbook"]


def test_real_paragraphs_are_cut_and_found_again(place: Home) -> None:
    if not SQUAD.exists():
        pytest.skip(f"{SQUAD.name} is not beside this checkout")
    pages = [json.loads(line) for line in SQUAD.read_text(encoding="utf-8").splitlines()]
    collection = Collection.at(place, "squad", create=True)
    for page in pages:
        collection.put(page["id"], page["text"].encode(), format="text")
    for page in pages:
        chunks = collection.chunks(page["id"])
        assert all(page["text"][chunk.start : chunk.end] == chunk.text for chunk in chunks)
        sentence = max(chunks[0].text.split(". "), key=len)
        assert page["id"] in [found.document for found in collection.search(sentence)]


@pytest.mark.parametrize(
    "damage", ["UPDATE chunks SET vector = zeroblob(3)", "UPDATE sentences SET vector = zeroblob(3)"]
)
def test_words_are_found_where_vectors_cannot_be_read(damage: str, handbook: Collection, place: Home) -> None:
    with closing(sqlite3.connect(place.folder / "handbook.db")) as file, file:
        file.execute(damage)
    with pytest.raises(CollectionError, match="damaged"):
        handbook.best_sentences("When does the nightly backup job start?")
    first = handbook.best_sentences("When does the nightly backup job start?", top=1, mode="text")[0]
    assert "02:30" in first.text
    assert (first.document, first.cosine) == ("backup.md", None)
    assert 0 < first.score <= 1


def test_sentences_found_by_words_are_ordered_by_the_words_they_share(handbook: Collection) -> None:
    found = handbook.best_sentences("Which copy goes to the vault?", top=3, mode="text")
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    assert found[0].text == "On Sundays a copy goes to the vault."
