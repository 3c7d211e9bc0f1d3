"""Labels and versions: what a reference means by files, the ledger and `labels.toml`, and what is told of each."""

from __future__ import annotations

import logging
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledgers import open_ledger
from surefoot.errors import PromptError, UnknownPrompt, UsageError
from surefoot.ledger import KeepPrompts, Prompts, SqliteLedger
from surefoot.prompts import Library
from surefoot.prompts.labels import written


def put(folder: Path, name: str, version: str = "", said: str = "hi", file: str = "") -> Path:
    path = folder / f"{file or name + version}.yaml"
    line = f"version: '{version}'\n" if version else ""
    path.write_text(f"prompt_id: {name}\n{line}template: {said}\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "prompts").mkdir()
    return tmp_path / "prompts"


@pytest.fixture
def ledger(tmp_path: Path) -> SqliteLedger:
    return open_ledger(tmp_path)


@pytest.fixture
def library(folder: Path, ledger: SqliteLedger) -> Library:
    """One that asks for labels each time."""
    return Library(folder, archive=Prompts(ledger), refresh=0.0, root=folder.parent)


def again(library: Library) -> Library:
    """The library as another process has it."""
    return Library(library.folder, archive=library.archive, refresh=0.0, root=library.folder.parent)


def test_a_label_goes_before_a_version_and_a_digest(library: Library, folder: Path) -> None:
    one, two = put(folder, "p", "1", "one"), put(folder, "p", "2", "two")
    with pytest.raises(UnknownPrompt, match=r"has no version in it and fits 2 prompts: p@1 .*, p@2 "):
        library.find("p")
    library.promote("p@1", "production")
    library.promote("p@v2", "staging")
    assert library.find("p").source == one
    assert library.find("p@staging").source == two
    assert library.find("p@production").source == one
    assert library.find(f"p@{library.find('p').digest[:8]}").source == one
    library.promote("p@staging", "production")
    assert library.find("p").source == two
    with pytest.raises(UnknownPrompt, match="no label, version or digest 'nowhere'"):
        library.find("p@nowhere")


def test_what_a_name_alone_means_can_be_another_label(folder: Path, ledger: SqliteLedger) -> None:
    put(folder, "p", "1", "one")
    two = put(folder, "p", "2", "two")
    archive = Prompts(ledger)
    Library(folder, archive=archive).promote("p@2", "live")
    assert Library(folder, archive=archive, label="live").find("p").source == two
    with pytest.raises(UnknownPrompt):
        Library(folder, archive=archive, label="").find("p")


@pytest.mark.parametrize(
    "label", ["", "2", "v2", "V2.1", "2026-04", "deadbeef", "a@b", "a b", "é", "x" * 64, "-x", "a\n", "a/b"]
)
def test_what_is_no_name_for_a_label(library: Library, folder: Path, label: str) -> None:
    put(folder, "p", "1")
    with pytest.raises(UsageError, match="is no name for a label"):
        library.promote("p@1", label)


@pytest.mark.parametrize("label", ["production", "a", "canary-eu_1.b", "very", "deadbee", "defaced"])
def test_names_for_labels(library: Library, folder: Path, label: str) -> None:
    path = put(folder, "p", "1")
    library.promote("p@1", label)
    assert library.find(f"p@{label}").source == path


def test_who_moved_a_label_when_and_from_where(library: Library, folder: Path) -> None:
    put(folder, "p", "1", "one")
    put(folder, "p", "2", "two")
    first = library.promote("p@1", "production", by="ann")
    second = library.promote("p@2", "production", by="bob", reason="shorter")
    assert (second.by, second.reason, second.before, second.version) == ("bob", "shorter", first.digest, "2")
    assert library.archive is not None
    assert library.archive.moves("p") == [second, first]


def test_a_label_stays_where_it_points_when_the_file_changes(
    library: Library, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = put(folder, "p", "1", "one")
    library.promote("p@1", "production")
    put(folder, "p", "1", "two")
    with caplog.at_level(logging.WARNING, "surefoot.prompts"):
        for _ in range(3):
            assert library.find("p").template == "one"
    assert caplog.text.count("was edited under the version 1") == 1
    assert library.find("p@1").template == "two"
    path.unlink()
    assert library.find("p").template == "one"
    assert again(library).find("p").template == "one"
    assert again(library).find("p@1").template == "one"


def test_two_texts_of_a_version_that_only_the_ledger_has(
    library: Library, folder: Path, ledger: SqliteLedger
) -> None:
    path = put(folder, "p", "1", "one")
    library.keep(library.find("p"))
    put(folder, "p", "1", "two")
    library.keep(library.find("p"))
    ledger.submit(KeepPrompts([])).wait()
    path.unlink()
    with pytest.raises(
        UnknownPrompt, match=r"fits 2 texts that runs have used: p@1 \(\w{8}, .*, p@1 \(\w{8}"
    ):
        library.find("p@1")


def test_versions_from_files_and_the_ledger(library: Library, folder: Path) -> None:
    put(folder, "p", "1", "one", file="a")
    library.promote("p@1", "production")
    put(folder, "p", "2", "two", file="a")
    put(folder, "p", "3", "three", file="b")
    put(folder, "q", "", "plain")
    found = library.versions()
    assert [(one.reference, one.state, one.labels) for one in found] == [
        ("p@2", "file", ()),
        ("p@3", "file", ()),
        ("p@1", "ledger", ("production",)),
        (f"q@{found[3].digest[:8]}", "file", ()),
    ]
    assert [one.source for one in found] == [
        "prompts/a.yaml",
        "prompts/b.yaml",
        "prompts/a.yaml",
        "prompts/q.yaml",
    ]
    assert [one.first_seen_ns > 0 for one in found] == [False, False, True, False]
    assert library.versions("q") == found[3:]


# labels.toml


def seed(folder: Path, text: str) -> None:
    (folder / "labels.toml").write_text(text, encoding="utf-8")


def test_the_file_seeds_what_the_ledger_does_not_have(library: Library, folder: Path) -> None:
    put(folder, "p", "1", "one")
    put(folder, "p", "2", "two")
    seed(folder, '[p]\nproduction = "v1"\n')
    assert library.find("p").version == "1"
    assert library.find("p@production").version == "1"
    seed(folder, f'[p]\nproduction = "{library.find("p@2").digest[:10]}"\n')
    assert library.find("p").version == "2"
    assert [one.labels for one in library.versions("p")] == [(), ("production",)]
    assert library.archive is not None
    assert library.archive.labels() == []


def test_the_ledger_wins_and_the_difference_is_shown(
    library: Library, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(folder, "p", "1", "one")
    put(folder, "p", "2", "two")
    seed(folder, '[p]\nproduction = "1"\nstaging = "2"\n')
    library.promote("p@2", "production")
    library.promote("p@2", "staging")
    with caplog.at_level(logging.WARNING, "surefoot.prompts"):
        for _ in range(3):
            assert library.find("p").version == "2"
            assert library.find("p@staging").version == "2"
    assert caplog.text.count("points at 2 in the ledger and at 1 in labels.toml") == 1
    assert caplog.text.count("staging") == 0
    assert [(one.label, one.in_file, one.in_ledger.version) for one in library.differences()] == [
        ("production", "1", "2")
    ]
    seed(folder, library.labels_text())
    assert library.differences() == []


def test_a_label_for_a_version_whose_file_was_edited_is_told_apart(library: Library, folder: Path) -> None:
    put(folder, "p", "1", "one")
    first = library.promote("p@1", "production").digest[:8]
    seed(folder, '[p]\nproduction = "1"\n')
    put(folder, "p", "1", "another")
    [difference] = library.differences()
    assert f"points at {first} in the ledger and at 1 in labels.toml, whose file has another text" in str(
        difference
    )


def test_labels_are_written_back(library: Library, folder: Path) -> None:
    put(folder, "p", "1", "one")
    put(folder, "q", "", "plain")
    seed(folder, '[p]\nproduction = "1"\n\n["odd name"]\nproduction = "7"\n')
    library.promote("p@1", "staging")
    library.promote("q", "production")
    text = library.labels_text()
    digest = library.find("q").digest
    assert tomllib.loads(text) == {
        "odd name": {"production": "7"},
        "p": {"production": "1", "staging": "1"},
        "q": {"production": digest},
    }
    # Two texts of one version: it says too little.
    put(folder, "p", "1", "other")
    library.promote("p@1", "canary")
    labels = tomllib.loads(library.labels_text())["p"]
    assert len(labels["staging"]) == len(labels["canary"]) == 64


@given(
    st.dictionaries(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"])),
            st.text(st.characters(exclude_categories=["Cs"])),
        ),
        st.text(st.characters(exclude_categories=["Cs"])),
    )
)
def test_whatever_is_written_is_read_again(labels: Mapping[tuple[str, str], str]) -> None:
    found = tomllib.loads(written({key: (value, "") for key, value in labels.items()}))
    assert {(name, label): value for name, table in found.items() for label, value in table.items()} == labels


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[p\n", "not valid TOML"),
        ("p = 1\n", "'p' is no table of labels"),
        ("[p]\nproduction = 2\n", r"\[p\] production is 2; write a version or a digest as text"),
        ('[p]\nproduction = ""\n', "production is ''"),
        ('[p]\n"2" = "1"\n', "the label '2', which is no name for one"),
        ('[p]\n"a@b" = "1"\n', "no name for one"),
        ('[p.q]\nproduction = "1"\n', "write a version or a digest as text"),
        ("[p]\nx = " + "[" * 5000 + "]" * 5000, "nested too deeply|not valid TOML"),
        ("# " + "x" * 300_000, "262144 bytes, which labels may have"),
        ('[p]\nproduction = "9"\n', "a label for '9', which is no version of it, in files or in the ledger"),
    ],
)
def test_a_malformed_file_says_where(library: Library, folder: Path, text: str, problem: str) -> None:
    put(folder, "p", "1", "one")
    put(folder, "p", "2", "two")
    seed(folder, text)
    with pytest.raises((PromptError, UnknownPrompt), match=problem) as caught:
        library.find("p")
    assert str(folder / "labels.toml") in str(caught.value)
    # What needs no label is found all the same.
    assert library.find("p@2").version == "2"


def test_bytes_that_are_no_text(library: Library, folder: Path) -> None:
    put(folder, "p", "1")
    (folder / "labels.toml").write_bytes(b"[p]\n# \xff\n")
    with pytest.raises(PromptError, match="not UTF-8"):
        library.find("p")


# The ledger


def test_labels_are_read_anew_once_in_a_while(library: Library, folder: Path) -> None:
    put(folder, "p", "1", "one")
    put(folder, "p", "2", "two")
    library.promote("p@1", "production")
    patient = Library(folder, archive=library.archive, refresh=3600.0)
    assert patient.find("p").version == "1"
    library.promote("p@2", "production")
    assert library.find("p").version == "2"
    assert patient.find("p").version == "1"
    # Its own moves count at once.
    patient.promote("p@2", "staging")
    assert patient.find("p").version == "2"


def test_a_ledger_that_may_only_be_read(library: Library, folder: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    put(folder, "p", "1", "one")
    library.promote("p@1", "production")
    (tmp_path / "ledger.db").chmod(0o400)
    assert again(library).find("p").version == "1"


def test_a_fresh_project_gets_no_ledger_by_looking(library: Library, folder: Path, tmp_path: Path) -> None:
    put(folder, "p", "1")
    assert library.find("p").version == "1"
    assert [one.state for one in library.versions()] == ["file"]
    assert (library.edited(), library.differences(), library.labels_text()) == ([], [], "")
    assert not (tmp_path / "ledger.db").exists()


# Files


def test_an_edit_is_seen_at_once_and_so_are_new_files(library: Library, folder: Path) -> None:
    path = put(folder, "p", "1", "one")
    for said in ("two", "six", "ten"):
        assert library.find("p") is library.find("p")
        put(folder, "p", "1", said)
        assert library.find("p").template == said
    put(folder, "q")
    assert library.find("q").name == "q"
    path.unlink()
    with pytest.raises(UnknownPrompt):
        library.find("p")


def test_another_file_that_becomes_the_prompt_is_seen(library: Library, folder: Path) -> None:
    path = put(folder, "p", "1", "one")
    library.find("p")
    path.write_text("prompt_id: q\ntemplate: x\n")
    assert library.find("q").source == path


def test_a_file_that_is_taken_in_counts(library: Library, folder: Path) -> None:
    (folder / "sample.json").write_text('{"x": "one"}')
    (folder / "p.prompty").write_text("---\nname: p\nsample: ${file:sample.json}\n---\nuser:\nhi {{x}}\n")
    first = library.find("p")
    assert first.sample == {"x": "one"}
    (folder / "sample.json").write_text('{"x": "two"}')
    second = library.find("p")
    assert second.sample == {"x": "two"}
    assert second.digest != first.digest
    library.promote("p", "production")
    (folder / "p.prompty").unlink()
    (folder / "sample.json").unlink()
    assert again(library).find("p").sample == {"x": "two"}


def test_a_name_that_is_too_long_is_a_problem(library: Library, folder: Path) -> None:
    put(folder, "x" * 300, file="a")
    assert "has more than 200 characters" in str(library.problems())
