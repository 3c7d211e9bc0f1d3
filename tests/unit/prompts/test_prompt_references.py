"""What prompt files take in from other files and from the environment, and what they may not."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from surefoot.errors import PromptError
from surefoot.prompts import Library, Prompt, Prompty, library, load
from surefoot.prompts.loading import parse_stored
from surefoot.prompts.references import MAX_FILE_BYTES, resolved
from surefoot.values import PromptText


def put(folder: Path, **files: str) -> Path:
    """Write files, where `__` in a name is a dot; the folder of the prompt."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


def made(folder: Path, front: str, body: str = "user:\nhi\n") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "p.prompty"
    path.write_text(f"---\n{front}\n---\n{body}")
    return path


def problem(path: Path, **options: object) -> str:
    with pytest.raises(PromptError) as caught:
        load(path, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_files_give_data_or_text(tmp_path: Path) -> None:
    put(
        tmp_path,
        shared__json='{"kind": "key", "apiKey": "${env:K}"}',
        opts__yml="topP: 0.5\n",
        ctx__txt="a\r\nb\n\n",
    )
    prompt = load(
        made(
            tmp_path,
            "model: {id: m, connection: '${file:shared.json}', options: '${file:./opts.yml}'}\n"
            "inputs: [{name: ctx, default: '${file:ctx.txt}'}]",
        )
    )
    assert prompt.model == {
        "id": "m",
        "connection": {"kind": "key", "apiKey": "${env:K}"},
        "options": {"topP": 0.5},
    }
    assert prompt.inputs["ctx"].default == "a\nb\n\n"
    assert sorted(prompt.files) == ["ctx.txt", "opts.yml", "shared.json"]
    assert set(prompt.reads) == {tmp_path / name for name in prompt.files}


def test_files_take_in_files_seen_from_the_prompt(tmp_path: Path) -> None:
    put(tmp_path / "sub", a__json='{"inner": "${file:sub/b.json}"}', b__json="[1, 2]")
    prompt = load(made(tmp_path, "model: {id: m, options: {additionalProperties: '${file:sub/a.json}'}}"))
    assert prompt.model["options"] == {"additionalProperties": {"inner": [1, 2]}}


@pytest.mark.parametrize(
    "reference", ["../secret.json", "/etc/passwd", "sub/../../secret.json", "link.json", "folder/secret.json"]
)
def test_a_file_outside_is_refused(tmp_path: Path, reference: str) -> None:
    put(tmp_path, secret__json='{"key": "s3cret"}')
    home = put(tmp_path / "prompts")
    (home / "link.json").symlink_to(tmp_path / "secret.json")
    (home / "folder").symlink_to(tmp_path)
    path = made(home, f"name: p\nmodel:\n  id: m\n  connection: ${{file:{reference}}}")
    said = problem(path)
    assert said.startswith(
        f"{path}:5:3: the file {Path(os.path.normpath(reference)).as_posix()} lies outside allowed roots"
    )
    assert "[prompts.files]" in said
    assert "s3cret" not in said


def test_a_folder_that_is_named_is_allowed(tmp_path: Path) -> None:
    put(tmp_path / "shared", tools__json="[]", c__json='{"kind": "anonymous"}')
    home = tmp_path / "prompts"
    path = made(home, "model: {id: m, connection: '${file:../shared/c.json}'}")
    assert "outside allowed roots" in problem(path)
    prompt = load(path, roots=[tmp_path / "shared"])
    assert prompt.model["connection"] == {"kind": "anonymous"}
    path = made(home, f"model: {{id: m, connection: '${{file:{tmp_path}/shared/c.json}}'}}")
    assert load(path, roots=[tmp_path / "shared"]).model["connection"] == {"kind": "anonymous"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"a": 1,\n  "a": 2}', "bad.json:1:1: its JSON cannot be read: the key 'a' stands twice"),
        ('{"a": 1,\n  b}', "bad.json:2:3: this is not valid JSON"),
        ('{"a": NaN}', "NaN is no JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[" * 100 + "]" * 100, "nested more than 60 deep"),
        ('{"a": "\0"}', "it has a NUL"),
        ('["${file:bad.json}"]', "takes itself in: bad.json -> bad.json; break the circle"),
        (json.dumps(["x" * 100] * (MAX_FILE_BYTES // 100)), "has more than 1048576 bytes"),
    ],
)
def test_a_malformed_file_says_where(tmp_path: Path, content: str, said: str) -> None:
    put(tmp_path, bad__json=content)
    path = made(tmp_path, "model: {id: m}\ninputs: ${file:bad.json}")
    message = problem(path)
    assert f"{path}:3:1: " in message
    assert said in message


def test_files_that_refer_to_each_other_without_bound(tmp_path: Path) -> None:
    names = [f"f{number}.json" for number in range(12)]
    for name, following in zip(names, [*names[1:], ""], strict=True):
        inner = [f"${{file:{following}}}"] * 12 if following else [1]
        (tmp_path / name).write_text(json.dumps(inner))
    path = made(tmp_path, "model: {id: m}\ninputs: ${file:f0.json}")
    assert "its files come to more than" in problem(path)
    (tmp_path / "f11.json").write_text('"${file:f0.json}"')
    assert "takes itself in" in problem(path)


def test_too_many_files(tmp_path: Path) -> None:
    for number in range(70):
        (tmp_path / f"{number}.txt").write_text("x")
    entries = ", ".join(f"{{name: n{number}, default: '${{file:{number}.txt}}'}}" for number in range(70))
    assert "more than 64 files" in problem(made(tmp_path, f"inputs: [{entries}]"))


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    path = made(tmp_path, "inputs: ${file:sub}")
    assert problem(path) == f"{path}:2:1: sub is no file; name one"
    path = made(tmp_path, "inputs: ${file:self}")
    (tmp_path / "self").symlink_to("self")
    assert f"{path}:2:1: the file 'self' cannot be read" in problem(path)
    (tmp_path / "latin.txt").write_bytes(b"\xff")
    assert "latin.txt is not UTF-8 text (byte 0)" in problem(made(tmp_path, "inputs: ${file:latin.txt}"))


def test_what_is_missing_is_an_error_when_it_is_needed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for key in ("inputs", "outputs", "description"):
        path = made(tmp_path, f"name: p\n{key}: ${{file:gone.json}}")
        assert problem(path) == f"{path}:3:1: the file gone.json is not there; add it or correct the path"
    path = made(
        tmp_path,
        "model:\n  configuration: {type: openai}\n  parameters: {tools: '${file:gone.json}'}\nsample: sample.json",
    )
    with caplog.at_level(logging.WARNING, "surefoot.prompts"):
        prompt = load(path)
    assert "the file gone.json is not there; model cannot be used without it" in caplog.text
    assert (prompt.dialect, prompt.sample, prompt.tools) == ("promptflow", {}, ())
    assert tmp_path / "gone.json" in prompt.reads
    with pytest.raises(PromptError, match=r"p\.prompty:5:1: the file sample\.json is not there"):
        prompt.usable_sample()
    with pytest.raises(PromptError, match=r"\$\{file:gone\.json\} names was not there"):
        resolved(dict(prompt.model), dialect=prompt.dialect, where=str(path))
    put(tmp_path, sample__json='{"q": 1}', gone__json="[]")
    assert load(path).usable_sample() == {"q": 1}


def test_the_environment_is_read_at_the_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = load(
        made(
            tmp_path, "model: {id: m, connection: {apiKey: '${env:KEY}', endpoint: '${env:E:https://e/v1}'}}"
        )
    )
    assert prompt.model["connection"] == {"apiKey": "${env:KEY}", "endpoint": "${env:E:https://e/v1}"}
    monkeypatch.delenv("E", raising=False)
    monkeypatch.setenv("KEY", "s3cret")
    at_call = resolved(dict(prompt.model), dialect="prompty-v2", where="p.prompty")
    assert at_call == {"id": "m", "connection": {"apiKey": "s3cret", "endpoint": "https://e/v1"}}
    assert "s3cret" not in repr(prompt)


def test_a_variable_that_is_not_set(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    for dialect in ("prompty-v2", "prompty-v1", "short"):
        with pytest.raises(PromptError, match="p, k: Environment variable 'NOT_SET' not set"):
            resolved({"k": ["${env:NOT_SET}"]}, dialect=dialect, where="p")  # type: ignore[arg-type]
    # promptflow leaves it, and knows no defaults.
    assert resolved("${env:NOT_SET}", dialect="promptflow", where="p") == "${env:NOT_SET}"
    assert resolved("${env:NOT_SET:x}", dialect="promptflow", where="p") == "${env:NOT_SET:x}"
    assert "'NOT_SET' not set; ${env:NOT_SET} stands as written" in caplog.text
    assert resolved("x ${env:NOT_SET}", dialect="prompty-v2", where="p") == "x ${env:NOT_SET}"


def stored(prompt: Prompt) -> PromptText:
    return PromptText(
        prompt.name,
        prompt.version,
        prompt.digest,
        prompt.dialect,
        str(prompt.source),
        prompt.text,
        prompt.files,
    )


def test_a_prompt_comes_back_from_what_a_ledger_keeps(tmp_path: Path) -> None:
    put(
        tmp_path,
        base__prompty="---\nmodel: {configuration: '${file:c.json}'}\n---\nuser:\nx\n",
        c__json='{"type": "x"}',
    )
    path = made(
        tmp_path, "base: base.prompty\nsample: sample.json\nmodel: {parameters: {tools: '${file:gone.json}'}}"
    )
    prompt = load(path)
    for entry in tmp_path.iterdir():
        entry.unlink()
    again = parse_stored(stored(prompt))
    # Where its files lay is of no use any more.
    assert again.reads == ()
    for name in ("name", "digest", "dialect", "model", "files", "unread", "metadata", "template", "source"):
        assert getattr(again, name) == getattr(prompt, name)
    kept = stored(prompt)
    changed = PromptText(
        kept.name,
        kept.version,
        kept.digest,
        kept.dialect,
        kept.source,
        kept.text,
        {**kept.files, "c.json": "{}"},
    )
    with pytest.raises(PromptError, match="has the digest"):
        parse_stored(changed)


def test_a_short_prompt_and_a_nameless_one_come_back() -> None:
    from surefoot.values import prompt_digest

    for text, dialect, source in (
        ("prompt_id: s\ntemplate: '{q}'\n", "short", ""),
        ("user:\nhi\n", "prompty-v2", ""),
        ("user:\nhi\n", "promptflow", "prompts/x.prompty"),
    ):
        kept = PromptText("s", "", prompt_digest(text), dialect, source, text)
        prompt = parse_stored(kept, root=Path("/project"))
        assert (prompt.name, prompt.dialect) == ("s", dialect)
        assert prompt.source is not None
        assert prompt.source.parts[:2] == ("/", "project")


def test_the_digest_is_that_of_the_text_alone_without_files_and_of_both_with(tmp_path: Path) -> None:
    from surefoot.values import prompt_digest

    put(tmp_path, a__txt="one")
    plain = load(made(tmp_path, "name: p"))
    assert plain.digest == prompt_digest(plain.text)
    path = made(tmp_path, "inputs: [{name: a, default: '${file:a.txt}'}]")
    first = load(path)
    put(tmp_path, a__txt="two")
    second = load(path)
    assert first.text == second.text
    assert len({plain.digest, first.digest, second.digest, prompt_digest(first.text)}) == 4


def test_a_file_alone_may_take_in_what_the_project_allows(tmp_path: Path) -> None:
    put(tmp_path / "shared", c__json='{"kind": "anonymous"}')
    path = made(tmp_path / "prompts", "model: {id: m, connection: '${file:../shared/c.json}'}")
    with library.provided(lambda: Library(tmp_path / "prompts", roots=[tmp_path / "shared"])):
        assert Prompty.load(path).model["connection"] == {"kind": "anonymous"}
        assert Prompty.load(path, dialect="promptflow").dialect == "promptflow"
    with (
        library.provided(lambda: Library(tmp_path / "prompts")),
        pytest.raises(PromptError, match="outside allowed roots"),
    ):
        Prompty.load(path)
