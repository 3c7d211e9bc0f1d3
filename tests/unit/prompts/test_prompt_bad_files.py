"""Files that are no prompts, or that mean harm: each is refused with its place and what to do."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surefoot.errors import PromptError
from surefoot.prompts import load, upgraded
from surefoot.prompts.definition import normalised
from surefoot.prompts.loading import MAX_BYTES, parse


def problem(path: Path) -> str:
    with pytest.raises(PromptError) as caught:
        load(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"---\nname: a\n\tmodel: x\n---\nhi\n", ":3:1: this is not valid YAML: found a tab"),
        (b"---\nname: a\nmodel:\n  id: [x\n---\nhi\n", ":5:1: this is not valid YAML"),
        (b"---\nname: a\nname: b\n---\nhi\n", ":3:1: the key `name` stands twice, first on line 2; keep one"),
        (b"---\nmodel: {id: a, id: b}\n---\nhi\n", ":2:16: the key `id` stands twice"),
        (b"---\nname: a\n...\n--- \nhi\n", ""),
        (b"---\nname: 'a\n---\nhi\n", ":3:1: this is not valid YAML: found unexpected end of stream"),
        (b"---\na: *x\n---\nhi\n", ":2:4: this is not valid YAML: found undefined alias"),
        (
            b"---\na: !!python/object/apply:os.system [echo]\n---\nhi\n",
            ":2:4: this is not valid YAML: the tag",
        ),
        (b"---\na: !!python/name:os.system\n---\nhi\n", ":2:4: this is not valid YAML: the tag"),
        (b"---\na: !own x\n---\nhi\n", ":2:4: this is not valid YAML: the tag !own is not known; remove it"),
        (
            b"---\na: !!set {x}\n---\nhi\n",
            ":2:4: a value of the YAML type set is no plain data; write it as text",
        ),
        (b"---\na: .inf\n---\nhi\n", ":2:4: a value of the YAML type float is no plain data"),
        (b"---\na: " + b"9" * 5000 + b"\n---\nhi\n", ":2:4: this value cannot be read: Exceeds the limit"),
        (b"---\na: 2026-99-99\n---\nhi\n", ":2:4: this value cannot be read: month must be in 1..12"),
        (b"---\n? {a: b}\n: c\n---\nhi\n", ":2:3: a key has to be a plain name; write it as text"),
        (b"---\n- a\n---\nhi\n", ":2:1: expected keys and values"),
        (b"---\njust text\n---\nhi\n", ":2:1: expected keys and values"),
        (b"---\n<<: [x]\n---\nhi\n", ":2:6: `<<` takes keys and values"),
        (b"---\nname: a\nuser:\nhi\n", ":1:1: the front matter has no end; close it with a line `---`"),
        (b"---\nname: \0\n---\nhi\n", ":2:7: it has a NUL, which is no text; remove it"),
        (b"---\nname: a\n---\nhi \0\n", ":4:4: it has a NUL, which is no text; remove it"),
        (
            b"---\nname: a\x07\n---\nhi\n",
            ":2:8: this is not valid YAML: the character '\\x07' is none of a text; remove it",
        ),
        (b"---\nname: a\n---\nh\xe9\n", ":4:2: it is not UTF-8 text (byte 17); save it as UTF-8"),
        ("---\nname: a\n---\nhi\n".encode("utf-16"), ":1:1: it is not UTF-8 text (UTF-16); save it as UTF-8"),
        (b"---\nname: 'a@b'\n---\nhi\n", ":1:1: the name 'a@b' is no name for a prompt"),
        (b"---\nname: ' '\n---\nhi\n", ":1:1: the name ' ' is no name for a prompt"),
        (b"---\nsample: [x]\n---\nhi\n", ":2:1: sample has to be inputs with their values"),
        (b"---\nmodel: [x]\n---\nhi\n", ":2:1: model has to be a name or keys and values"),
        (b"---\nmodel: m\ncache: -1\n---\nhi\n", ":3:1: cache has to be true, false"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "p.prompty"
    path.write_bytes(content)
    if not said:
        assert load(path).template == "hi\n"
        return
    assert problem(path).startswith(f"{path}{said}")


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    gone = tmp_path / "gone.prompty"
    assert (
        problem(gone)
        == f"{gone}: it cannot be read: No such file or directory; check the path and its permissions"
    )
    assert problem(tmp_path) == f"{tmp_path}: it is a folder; name a file in it"
    assert problem(Path("/dev/zero")) == "/dev/zero: it is no file; name one"
    pipe = tmp_path / "pipe.prompty"
    os.mkfifo(pipe)
    assert problem(pipe) == f"{pipe}: it is no file; name one"
    loop = tmp_path / "loop.prompty"
    loop.symlink_to(loop)
    assert "it cannot be read: Too many levels of symbolic links" in problem(loop)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_nobody_may_read(tmp_path: Path) -> None:
    path = tmp_path / "p.prompty"
    path.write_text("hi\n")
    path.chmod(0)
    assert (
        problem(path) == f"{path}: it cannot be read: Permission denied; check the path and its permissions"
    )


def test_an_empty_file_is_an_empty_prompt(tmp_path: Path) -> None:
    for content in ("", "\n", "---\n---\n", "\ufeff", "---\n# nothing\n---"):
        path = tmp_path / "p.prompty"
        path.write_text(content)
        prompt = load(path)
        assert (prompt.name, prompt.template.strip()) == ("p", "")
    path = tmp_path / "p.yaml"
    path.write_text("")
    assert problem(path) == f"{path}:1:1: prompt_id is missing; add a line `prompt_id: name`"


def test_ten_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "p.prompty"
    path.write_bytes(b"user:\n" + b"x" * 10_000_000)
    assert (
        problem(path)
        == f"{path}: it has more than {MAX_BYTES} bytes, which a prompt may have; pass long texts as inputs"
    )


def _bomb() -> str:
    levels = ["a0: &a0 {x: y}"]
    levels += [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 9)}]" for number in range(1, 12)]
    return "\n".join(levels)


def _merge_bomb() -> str:
    levels = ["a0: &a0 {k0: 0}"]
    levels += [
        f"a{number}: &a{number} {{<<: [{', '.join([f'*a{number - 1}'] * 9)}], k{number}: 1}}"
        for number in range(1, 12)
    ]
    return "\n".join(levels)


@pytest.mark.parametrize(
    ("front", "said"),
    [
        (_bomb(), "has more than 20000 values, aliases counted; make it smaller"),
        (_merge_bomb(), "has more than 20000 values, aliases counted; make it smaller"),
        ("a: &a {<<: *a}", "nested more than 60 deep, or contains itself; flatten it"),
        ("a: &a [*a]", "nested more than 60 deep, or contains itself; flatten it"),
        (f"a: {'[' * 61}{']' * 61}", "nested more than 60 deep"),
        (f"a: {'[' * 200_000}{']' * 200_000}", "nested more than 60 deep"),
        (f"a: {'{x: ' * 100_000}{'}' * 100_000}", "nested more than 60 deep"),
        ("\n".join(f"{' ' * depth}a:" for depth in range(700)), "nested more than 60 deep"),
        (f"a: {'x ' * 400_000}", ""),
        (f"{'- ' * 100_000}x", "nested more than 60 deep"),
        (f"{'? ' * 100_000}x", "nested more than 60 deep"),
    ],
)
@pytest.mark.attack("web-09")
def test_yaml_that_grows_without_bound(tmp_path: Path, front: str, said: str) -> None:
    path = tmp_path / "p.prompty"
    path.write_text(f"---\n{front}\n---\nuser:\nhi\n")
    begin = time.process_time()
    if said:
        message = problem(path)
        assert said in message
        assert re.match(rf"{re.escape(str(path))}:\d+:\d+: ", message)
    else:
        assert load(path).metadata["a"] == ("x " * 400_000).strip()
    assert time.process_time() - begin < 20


_KEYS = st.sampled_from(
    [
        *(
            "name",
            "model",
            "inputs",
            "outputs",
            "sample",
            "template",
            "tools",
            "metadata",
            "base",
            "version",
            "cache",
        ),
        *(
            "id",
            "configuration",
            "parameters",
            "options",
            "kind",
            "type",
            "format",
            "items",
            "properties",
            "required",
        ),
        *("default", "enumValues", "instructions", "x", "description", "prompt_id", "anyOf", "function"),
    ]
)
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [
            *(
                "string",
                "jinja2",
                "mustache",
                "${file:a.json}",
                "${file:../x}",
                "${env:X}",
                "${file:p.prompty}",
                "a@b",
            ),
            *(
                "p.prompty",
                "/etc/passwd",
                "object",
                "array",
                "",
                " ",
                "yes",
                "1.10",
                "{x}",
                "${file:\0}",
                "${file:.}",
            ),
        ]
    ),
)
_DATA = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=14,
)


def _loads_or_says_why(text: str, path: Path) -> None:
    said, prompt = "", None
    try:
        prompt = parse(normalised(text), path)
        if prompt.dialect in ("promptflow", "prompty-v1"):
            upgraded(prompt)
    except PromptError as error:
        said = str(error)
    assert prompt is not None or said.startswith(str(path))
    assert prompt is None or len(prompt.digest) == 64


@pytest.mark.parametrize("ending", [".prompty", ".yaml"])
@given(text=st.text())
@settings(max_examples=200, deadline=None)
def test_any_text_loads_or_says_why(ending: str, text: str) -> None:
    _loads_or_says_why(text, Path(f"p{ending}"))
    _loads_or_says_why(f"---\n{text}\n---\n{text}", Path(f"p{ending}"))
    _loads_or_says_why(f"prompt_id: x\ntemplate: |\n  x\n{text}", Path(f"p{ending}"))


@given(front=st.dictionaries(_KEYS, _DATA, max_size=6), body=st.text(max_size=20))
@settings(max_examples=150, deadline=None)
def test_any_data_load_or_say_why(front: dict[str, object], body: str) -> None:
    import yaml

    text = yaml.safe_dump(front, allow_unicode=True)
    _loads_or_says_why(f"---\n{text}---\n{body}", Path("p.prompty"))
    _loads_or_says_why(text, Path("p.yaml"))


@given(content=st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_load_or_say_why(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.prompty"
    path.write_bytes(content)
    said, prompt = "", None
    try:
        prompt = load(path)
    except PromptError as error:
        said = str(error)
    assert prompt is not None or said.startswith(str(path))
