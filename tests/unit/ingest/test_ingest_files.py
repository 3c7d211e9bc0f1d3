"""Which files are documents, and why others are left out."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from surefoot.errors import InvalidInput
from surefoot.ingest import Source, Unreadable, files

Write = Callable[[dict[str, str | bytes]], Path]


def by_name(root: Path) -> dict[str, str]:
    """Each document with its digest's start, or the reason why it is left out."""
    return {
        each.document: each.digest[:4] if isinstance(each, Source) else each.reason
        for each in files.found(root)
    }


def test_documents_are_found_in_all_folders_sorted_and_hidden_ones_passed_over(write: Write) -> None:
    root = write({
        "b.md": "b", "a.TXT": "a", "z/c.markdown": "c", "code.py": "x", "noext": "x",
        "d.htm": "d", "e.html": "e", "f.xhtml": "f", "g.pdf": "g",
        ".hidden.md": "x", ".git/d.md": "x", "z/.cache/e.md": "x",
    })  # fmt: skip
    assert list(by_name(root)) == ["a.TXT", "b.md", "d.htm", "e.html", "f.xhtml", "g.pdf", "z/c.markdown"]
    source = next(iter(files.found(root)))
    assert isinstance(source, Source)
    assert source == Source(
        "a.TXT",
        str(root / "a.TXT"),
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
        1,
    )


def test_a_single_file_is_named_by_its_name(write: Write) -> None:
    root = write({"deep/page.md": "x", "code.py": "x"})
    assert list(by_name(root / "deep" / "page.md")) == ["page.md"]
    with pytest.raises(InvalidInput, match=r"code\.py is of no format that can be read"):
        by_name(root / "code.py")
    with pytest.raises(InvalidInput, match="There is no file or folder"):
        by_name(root / "none")


def test_what_cannot_be_taken_in_is_named_with_the_reason(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write({
        "good.md": "fine", "bom.md": b"\xef\xbb\xbffine", "latin.md": "caf\u00e9".encode("latin-1"),
        "binary.txt": b"a\0b", "large.md": "x" * 101,
    })  # fmt: skip
    monkeypatch.setattr(files, "LARGEST_BYTES", 100)
    (tmp_path / "outside.md").write_text("secret")
    (tmp_path / "elsewhere").mkdir()
    (root / "inside.md").symlink_to("good.md")
    (root / "out.md").symlink_to(tmp_path / "outside.md")
    (root / "dangling.md").symlink_to("nowhere.md")
    (root / "loop.md").symlink_to("loop.md")
    (root / "folder").symlink_to(tmp_path / "elsewhere")
    (root / "directory.md").mkdir()
    os.mkfifo(root / "pipe.md")
    found = by_name(root)
    loop = found.pop("loop.md")
    assert "loop" in loop.lower() or "symbolic" in loop.lower()
    assert found["good.md"] == found["inside.md"] != found["bom.md"]
    assert {name: reason for name, reason in found.items() if len(reason) > 4} == {
        "binary.txt": "it is not text (it holds NUL characters)",
        "dangling.md": "it is a link to a file that does not exist",
        "folder": "it is a link to a folder, which is not followed",
        "large.md": "it has 101 bytes, more than the limit of 100",
        "latin.md": "it is not UTF-8 (byte 3: unexpected end of data)",
        "out.md": "it is a link that leads out of the folder",
        "pipe.md": "it is not a regular file",
    }
    assert "directory.md" not in found


def test_a_name_that_is_not_utf8_is_shown_escaped(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.md")).write_text("x")
    assert list(files.found(tmp_path)) == [Unreadable("\\udcff.md", "its name is not valid UTF-8")]


def test_what_may_not_be_read_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        (root / "open.md").write_text("x")
        (root / "open.md").chmod(0o644)
        (root / "closed.md").write_text("x")
        (root / "closed.md").chmod(0)
        (root / "vault").mkdir(mode=0o700)
        (root / "vault" / "in.md").write_text("x")
        (root / "vault").chmod(0)
        is_root = os.geteuid() == 0
        if is_root:
            # The superuser may read everything, so look with other eyes.
            os.seteuid(65534)
        try:
            found = by_name(root)
        finally:
            if is_root:
                os.seteuid(0)
            (root / "vault").chmod(stat.S_IRWXU)
    assert list(found) == ["closed.md", "open.md", "vault"]
    assert found["closed.md"] == found["vault"] == "it cannot be opened (permission denied)"
