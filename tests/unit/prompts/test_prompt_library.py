"""The library: which files it finds and which prompt a reference names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from surefoot import prompts
from surefoot.errors import PromptError, UnknownPrompt
from surefoot.prompts import Library, Prompty


def put(folder: Path, name: str, prompt_id: str, version: str = "", template: str = "hi") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    line = f"version: {version}\n" if version else ""
    path.write_text(f"prompt_id: {prompt_id}\n{line}template: {template}\n", encoding="utf-8")
    return path


def unknown(library: Library, reference: str) -> str:
    with pytest.raises(UnknownPrompt) as caught:
        library.find(reference)
    return str(caught.value)


def test_files_are_found_below_the_folder(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml", "a")
    put(tmp_path, "deep/er/b.yml", "b")
    (tmp_path / "deep" / "c.prompty").write_text("hello\n")
    (tmp_path / "settings.yaml").write_text("other: yaml\nbroken: [\n")
    put(tmp_path, ".hidden/d.yaml", "d")
    put(tmp_path, ".e.yaml", "e")
    (tmp_path / "notes.txt").write_text("prompt_id: f\n")
    library = Library(tmp_path)
    assert [prompt.name for prompt in library.prompts()] == ["a", "b", "c"]
    assert library.problems() == []


def test_a_name_is_never_split(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml", "document_summarization_v2")
    put(tmp_path, "b.yaml", "document_summarization", "v2")
    library = Library(tmp_path)
    assert library.find("document_summarization_v2").version == ""
    assert library.find("document_summarization@2").version == "v2"


@pytest.mark.parametrize(
    ("selector", "version"), [("1", "1"), ("v1", "1"), ("2", "v2"), ("V2", "v2"), ("2026-04", "2026-04")]
)
def test_a_version_with_or_without_its_v(tmp_path: Path, selector: str, version: str) -> None:
    for given in ("1", "v2", "2026-04"):
        put(tmp_path, f"{given}.yaml", "p", given)
    assert Library(tmp_path).find(f"p@{selector}").version == version


def test_a_digest_needs_eight_digits(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml", "p", "1", "one")
    put(tmp_path, "b.yaml", "p", "2", "two")
    library = Library(tmp_path)
    digest = library.find("p@1").digest
    assert library.find(f"p@{digest[:8]}").version == "1"
    assert library.find(f"p@{digest.upper()}").version == "1"
    assert "p@1" in unknown(library, f"p@{digest[:7]}")


def test_a_declared_version_goes_before_a_digest(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml", "p", "1")
    digest = Library(tmp_path).find("p").digest[:8]
    put(tmp_path, "b.yaml", "p", f"'{digest}'", "other")
    assert Library(tmp_path).find(f"p@{digest}").version == digest


def test_two_matches_are_listed(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml", "p", "1", "one")
    put(tmp_path, "b.yaml", "p", "v1", "two")
    message = unknown(Library(tmp_path), "p@1")
    assert "fits 2 prompts" in message
    assert str(tmp_path / "a.yaml") in message
    assert str(tmp_path / "b.yaml") in message


def test_without_a_version_there_must_be_only_one(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml", "p", "1", "one")
    library = Library(tmp_path)
    assert library.find("p").version == "1"
    put(tmp_path, "b.yaml", "p", "2", "two")
    message = unknown(library, "p")
    assert "p@1" in message
    assert "p@2" in message


def test_an_unknown_prompt_names_what_there_is(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml", "summary")
    put(tmp_path, "b.yaml", "answer", "1")
    library = Library(tmp_path)
    message = unknown(library, "sumary")
    assert str(tmp_path) in message
    assert "did you mean 'summary'?" in message
    assert "there are: answer, summary" in message
    assert "no label, version or digest '7'; there are: answer@1" in unknown(library, "answer@7")
    assert "no prompt 'nothing'" in unknown(library, "nothing@1")


def test_of_many_unreadable_files_the_nearest_is_named(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "wanted"):
        (tmp_path / f"{name}.prompty").write_text("---\nname: [\n---\n", encoding="utf-8")
    message = unknown(Library(tmp_path), "wanted")
    assert message.index("wanted.prompty:") < message.index("a.prompty:")
    assert "b.prompty" not in message
    assert "2 more files cannot be read: `surefoot check` lists them" in message


@pytest.mark.parametrize("reference", ["", "@1", "summary@"])
def test_a_reference_that_is_cut_off(tmp_path: Path, reference: str) -> None:
    put(tmp_path, "a.yaml", "summary", "1")
    assert f"the reference {reference!r} is not complete: write NAME" in unknown(Library(tmp_path), reference)


def test_an_empty_and_a_missing_folder(tmp_path: Path) -> None:
    assert "it holds no prompt" in unknown(Library(tmp_path), "p")
    assert "does not exist" in unknown(Library(tmp_path / "none"), "p")


def test_one_version_with_two_texts_names_both_files(tmp_path: Path) -> None:
    first = put(tmp_path, "a.yaml", "p", "1", "one")
    second = put(tmp_path, "b.yaml", "p", "1", "two")
    put(tmp_path, "c.yaml", "q")
    library = Library(tmp_path)
    assert library.find("q").name == "q"
    with pytest.raises(PromptError) as caught:
        library.find("p@1")
    assert str(first) in str(caught.value)
    assert str(second) in str(caught.value)
    put(tmp_path, "b.yaml", "p", "1", "one")
    assert library.find("p@1").template == "one"


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = put(tmp_path, "a.yaml", "p", template="one")
    library = Library(tmp_path)
    first = library.find("p")
    assert library.find("p") is first
    put(tmp_path, "a.yaml", "p", template="three")
    assert library.find("p").template == "three"
    status = path.stat()
    put(tmp_path, "a.yaml", "p", template="threr")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert library.find("p").template == "threr"
    path.unlink()
    assert "it holds no prompt" in unknown(library, "p")


def test_a_malformed_file_spoils_only_itself(tmp_path: Path) -> None:
    put(tmp_path, "good.yaml", "good")
    bad = tmp_path / "bad.prompty"
    bad.write_text("---\nname: bad\n")
    library = Library(tmp_path)
    assert library.find("good").name == "good"
    assert len(library.problems()) == 1
    message = unknown(library, "bad")
    assert f"not readable: {bad}:1:1: the front matter has no end" in message


def test_a_link_to_nowhere_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to(tmp_path / "gone.yaml")
    assert Library(tmp_path).prompts() == []


@pytest.fixture
def slot(tmp_path: Path) -> Iterator[Library]:
    shelf = Library(tmp_path)
    with prompts.library.provided(lambda: shelf):
        yield shelf


def test_prompty_finds_its_template_in_the_library(slot: Library) -> None:
    put(slot.folder, "a.yaml", "document_summarization_v2", template="'{context}: {query}'")
    assert Prompty.load_template("document_summarization_v2").render(context="c", query="q") == "c: q"
    assert prompts.prompt("document_summarization_v2").name == "document_summarization_v2"


def test_prompty_loads_a_file(tmp_path: Path) -> None:
    path = put(tmp_path, "a.yaml", "p", template="'{x}'")
    assert Prompty.load(path).render(x=1) == "1"
    assert Prompty.load(str(path)).digest == Prompty.load(path).digest
