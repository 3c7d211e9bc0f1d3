"""Files that prompts name: nothing blocks, and what was checked is what is read."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot.errors import InvalidInput, PromptError
from surefoot.prompts import Prompty, opening
from surefoot.prompts.fitting import scan
from surefoot.prompts.folder import Folder
from surefoot.prompts.labels import Labels
from surefoot.prompts.loading import load

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes and links as here")

PICTURE = b"\x89PNG\r\n\x1a\n"
SECONDS = 20


def in_time(work: Callable[[], object]) -> object:
    """What work gives or raises; it is a failure if that takes forever, as with a pipe into which nobody writes."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001 (raised again where it is waited for)
            results.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive(), "it waits for somebody to write into the pipe"
    (result,) = results
    if isinstance(result, Exception):
        raise result
    return result


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def test_a_pipe_is_no_file(pipe: Path) -> None:
    with pytest.raises(opening.NoFile):
        in_time(lambda: opening.content(pipe, most=10))
    with pytest.raises(opening.NoFile):
        in_time(lambda: opening.content(pipe, most=10, inside=pipe.parent))
    with pytest.raises(opening.NoFile):
        opening.content(pipe.parent, most=10)
    with pytest.raises(PromptError, match="is no file"):
        in_time(lambda: load(pipe))


def test_a_picture_that_is_a_pipe_is_told(pipe: Path) -> None:
    file = pipe.parent / "a.prompty"
    file.write_text(
        "---\nname: a\nauthors: [b]\nmodel: {api: chat, configuration: {type: openai, model: m}}\n"
        "---\nuser:\n![x]({{ p }})"
    )
    with pytest.raises(InvalidInput, match="is no file"):
        in_time(lambda: Prompty(load(file)).messages(p="pipe"))


def test_pipes_in_the_folder_spoil_only_themselves(tmp_path: Path) -> None:
    (tmp_path / "a.prompty").write_text("---\nname: a\n---\nuser:\nx")
    os.mkfifo(tmp_path / "b.prompty")
    os.mkfifo(tmp_path / "labels.toml")
    os.mkfifo(tmp_path / "c.py")
    shelf = Folder(tmp_path).shelf
    in_time(shelf)
    assert list(shelf().by_name) == ["a"]
    assert ["is no file" in str(problem) for problem in shelf().problems] == [True]
    with pytest.raises(PromptError, match="is no file"):
        in_time(Labels(tmp_path / "labels.toml", None, refresh=1.0).seeds)
    in_time(lambda: scan(tmp_path))
    assert [(left.file, left.why) for left in scan(tmp_path).left] == [("c.py", "it is no file")]


def test_what_is_checked_is_what_is_read(tmp_path: Path) -> None:
    """A file, or a folder on the way to it, that becomes a link in between is not followed to where it leads."""
    inside, outside = (tmp_path / "in").resolve(), tmp_path / "out"
    for folder in (inside / "sub", outside):
        folder.mkdir(parents=True)
        (folder / "a.txt").write_text("yes" if folder.is_relative_to(inside) else "secret")
    path = inside / "sub" / "a.txt"
    assert opening.content(path, most=10, inside=inside) == b"yes"
    path.unlink()
    path.symlink_to(outside / "a.txt")
    with pytest.raises(OSError, match=r"links|symbolic"):
        opening.content(path, most=10, inside=inside)
    path.unlink()
    path.parent.rmdir()
    path.parent.symlink_to(outside)
    with pytest.raises(OSError, match=r"directory|links|symbolic"):
        opening.content(path, most=10, inside=inside)
    assert opening.content(path, most=10) == b"secret"


def test_links_that_are_swapped_while_files_are_read_never_show_what_is_outside(tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "out"
    for one, text in ((folder / "good", "yes"), (outside, "secret")):
        one.mkdir(parents=True)
        (one / "a.txt").write_text(text)
    file = folder / "a.prompty"
    file.write_text("---\nname: a\ndescription: ${file:way/a.txt}\n---\nuser:\nx")
    way, is_over = folder / "way", threading.Event()

    def swap() -> None:
        targets = [folder / "good", outside]
        number = 0
        while not is_over.is_set():
            fresh = folder / f".new{number % 2}"
            fresh.symlink_to(targets[number % 2])
            fresh.replace(way)
            number += 1

    way.symlink_to(folder / "good")
    swapping = threading.Thread(target=swap)
    swapping.start()
    seen: set[str] = set()
    try:
        for _ in range(500):
            try:
                seen.add(load(file).description)
            except PromptError:
                seen.add("refused")
    finally:
        is_over.set()
        swapping.join()
    assert seen <= {"yes", "refused"}
    assert "secret" not in seen
