"""Which files a flow is made of, and whether they have changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from durable import opened_app
from surefoot.flows.events import RunOpened
from surefoot.flows.sources import changed_since, digest_of
from surefoot.ledger import Entry

FILES = {
    "flows.py": "import json\nfrom helpers import one as first  # x\nfrom shop import (\n    prices,\n    Order,\n)\n",
    "helpers.py": "def one() -> int:\n    import late\n    return late.value\n",
    "late.py": "value = 1\n",
    "shop/__init__.py": "from .orders import Order\n",
    "shop/orders.py": "from . import tax as rates\nfrom ..unseen import nothing\nclass Order: ...\n",
    "shop/prices.py": "import shop.deep.down, os.path as p\n",
    "shop/tax.py": "rate = 2\n",
    "shop/deep/down.py": "x = 1\n",
    "unseen.py": "",
    "other.py": "",
    "json.json": "{}",
}
MADE_OF = {
    *(
        "flows.py",
        "helpers.py",
        "late.py",
        "shop/__init__.py",
        "shop/orders.py",
        "shop/prices.py",
        "shop/tax.py",
    ),
    *("shop/deep/down.py", "unseen.py"),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path


def entry(project: Path) -> Entry:
    return Entry("flows", "answer", str(project / "flows.py"))


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_digest_changes_with_the_files_that_the_flow_imports(project: Path, name: str) -> None:
    before = digest_of(entry(project))
    assert digest_of(entry(project)) == before
    with (project / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert (digest_of(entry(project)) != before) == (name in MADE_OF)


def test_the_digest_is_that_of_another_process_and_place(project: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in FILES:
        (moved / name).parent.mkdir(parents=True, exist_ok=True)
        (moved / name).write_bytes((project / name).read_bytes())
    script = (
        "import sys; from surefoot.flows.sources import digest_of; from surefoot.ledger import Entry\n"
        "sys.stdout.write(digest_of(Entry('flows', 'answer', sys.argv[1])))"
    )
    command = [sys.executable, "-c", script, str(moved / "flows.py")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == digest_of(
        entry(project)
    )


def test_the_same_text_under_another_name_is_another_digest(project: Path) -> None:
    before = digest_of(entry(project))
    (project / "late.py").rename(project / "later.py")
    (project / "helpers.py").write_text(FILES["helpers.py"].replace("late", "later"), encoding="utf-8")
    assert digest_of(entry(project)) != before


def test_a_file_in_a_package_is_known_from_its_root(project: Path) -> None:
    before = digest_of(Entry("shop.prices", "answer", str(project / "shop" / "prices.py")))
    (project / "shop" / "deep" / "down.py").write_text("x = 2", encoding="utf-8")
    assert digest_of(Entry("shop.prices", "answer", str(project / "shop" / "prices.py"))) != before


def test_what_lies_beside_an_installed_package_is_not_its_own(project: Path) -> None:
    installed = project / "site-packages"
    for name in ("one", "two"):
        (installed / name).mkdir(parents=True)
        (installed / name / "__init__.py").write_text("import two\nfrom one import parts\n", encoding="utf-8")
    (installed / "one" / "parts.py").write_text("", encoding="utf-8")
    found = Entry("one", "answer", str(installed / "one" / "__init__.py"))
    before = digest_of(found)
    (installed / "two" / "__init__.py").write_text("changed = 1\n", encoding="utf-8")
    assert digest_of(found) == before
    (installed / "one" / "parts.py").write_text("changed = 1\n", encoding="utf-8")
    assert digest_of(found) != before


def test_without_a_file_there_is_no_digest(tmp_path: Path) -> None:
    assert digest_of(Entry("__main__", "answer")) == ""
    assert digest_of(Entry("gone", "answer", str(tmp_path / "gone.py"))) == ""
    assert changed_since(Entry("__main__", "answer"), 0) == ()


def test_files_that_were_written_later_are_named_latest_first(project: Path) -> None:
    for name in MADE_OF:
        os.utime(project / name, ns=(1_000, 1_000))
    os.utime(project / "late.py", ns=(3_000, 3_000))
    os.utime(project / "shop" / "tax.py", ns=(4_000, 4_000))
    assert changed_since(entry(project), 2_000) == (
        (str(project / "shop" / "tax.py"), 4_000),
        (str(project / "late.py"), 3_000),
    )


CODE = "from surefoot import flow\nfrom prices_of_code_test import price\n\n\n@flow\ndef pay():\n    {}\n"


def test_a_resumed_run_tells_which_file_has_changed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(project))
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    (project / "paying_of_code_test.py").write_text(CODE.format("raise KeyboardInterrupt"), encoding="utf-8")
    (project / "prices_of_code_test.py").write_text("price = 1\n", encoding="utf-8")
    told: list[RunOpened] = []

    def listen(event: object) -> None:
        if isinstance(event, RunOpened):
            told.append(event)

    with opened_app(project) as app:
        with pytest.raises(KeyboardInterrupt):
            app.run(str(project / "paying_of_code_test.py") + ":pay", listener=listen)
        run_id = app.ledger.run("last").id
        with pytest.raises(KeyboardInterrupt):
            app.resume(run_id, listener=listen)
        (project / "prices_of_code_test.py").write_text("price = 2 \n", encoding="utf-8")
        with pytest.raises(KeyboardInterrupt):
            app.resume(run_id, listener=listen)
    assert [event.is_code_changed for event in told] == [False, False, True]
    assert told[0].changed_files == told[1].changed_files == ()
    assert [Path(file).name for file, _ in told[2].changed_files] == ["prices_of_code_test.py"]
    for name in ("paying_of_code_test", "prices_of_code_test"):
        sys.modules.pop(name, None)
