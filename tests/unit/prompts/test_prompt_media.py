"""Pictures, recordings, documents and threads in prompts: where they come from and where they go."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

import prompt_texts
from surefoot.errors import InvalidInput
from surefoot.prompts import Prompt, Property, rendering
from surefoot.prompts.definition import Dialect, PropertyType, TemplateKind
from surefoot.values import Audio, File, Image, Message, ToolCall

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "
URL = "https://example.com/a.png"


def prompt_of(
    template: str,
    dialect: Dialect = "prompty-v2",
    kind: TemplateKind = "jinja2",
    *,
    source: Path | None = None,
    **inputs: PropertyType,
) -> Prompt:
    declared = {name: Property(name, type_, is_required=False) for name, type_ in inputs.items()}
    return prompt_texts.prompt_of(template, dialect, kind, inputs=declared, source=source)


def messages(prompt: Prompt, **given: object) -> list[Message]:
    return rendering.messages_of(prompt, given)


@pytest.mark.parametrize("kind", ["jinja2", "mustache"])
def test_a_picture_goes_to_a_message_of_the_user(kind: TemplateKind) -> None:
    prompt = prompt_of("system:\nLook.\n{{ i }}\nuser:\nWhat is it?\n", kind=kind, i="image")
    assert messages(prompt, i=URL) == [
        Message("system", "Look."),
        Message("user", (Image(url=URL),)),
        Message("user", "What is it?"),
    ]
    assert messages(prompt) == [Message("system", "Look."), Message("user", "What is it?")]


def test_several_of_several_kinds_keep_their_order() -> None:
    prompt = prompt_of("user:\nA {{ i }} and {{ a }}{{ f }} end\n", i="image", a="audio", f="file")
    document = File(data=b"%PDF-1.7", media_type="application/pdf", name="x.pdf")
    assert messages(prompt, i=Image(url=URL, detail="low"), a=WAV, f=document) == [
        Message("user", ("A", Image(url=URL, detail="low"))),
        Message("user", ("and", Audio(data=WAV, media_type="audio/wav"), document)),
        Message("user", "end"),
    ]


def test_a_picture_anywhere_in_the_values_is_one() -> None:
    prompt = prompt_of("user:\n{% for d in docs %}{{ d.pic }}{% endfor %}")
    assert messages(prompt, docs=[{"pic": Image(url=URL)}]) == [Message("user", (Image(url=URL),))]
    short = prompt_of("See {i} now", "short", "braces")
    assert messages(short, i=Image(url=URL)) == [Message("user", ("See ", Image(url=URL), " now"))]


def test_where_a_picture_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    prompt = prompt_of("user:\n{{ i }}", i="image")
    from_bytes = Image(data=PNG, media_type="image/png")
    for given, expected in [
        (path, from_bytes),
        (PNG, from_bytes),
        ({"source": URL, "mediaType": "image/png", "detail": "high"}, Image(URL, b"", "image/png", "high")),
        ({"type": "image_url", "image_url": {"url": URL}}, Image(url=URL)),
    ]:
        assert messages(prompt, i=given) == [Message("user", (expected,))]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (7, "i: expected an address, bytes, a Path or Image, got int"),
        (b"GIF?", "i: these bytes are no picture that is known"),
        (WAV, "i: these bytes are no picture that is known \\(audio/wav\\)"),
        (Path("/nowhere/a.png"), "i: /nowhere/a.png cannot be read: No such file"),
        ({"x": 1}, "i: expected a mapping with `source` or `url`"),
    ],
)
def test_what_is_no_picture(given: object, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        messages(prompt_of("user:\n{{ i }}", i="image"), i=given)


def test_a_text_is_never_read_as_the_name_of_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(PNG)
    prompt = prompt_of("user:\n{{ i }}", i="image", source=tmp_path / "a.prompty")
    for name in (str(secret), "secret.png"):
        assert messages(prompt, i=name) == [Message("user", (Image(url=name),))]


# --- inline pictures of prompty 0.x


def test_inline_pictures_of_the_template(tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "a.png").write_bytes(PNG)
    source = tmp_path / "a.prompty"
    template = 'user:\nSee ![one](pics/a.png) and ![two]({{ url }} "a title").\n'
    assert messages(prompt_of(template, "prompty-v1", source=source), url=URL) == [
        Message("user", ("See", Image(data=PNG, media_type="image/png"), "and", Image(url=URL), "."))
    ]
    given = prompt_of("user:\n![x]({{ i }})", "prompty-v1")
    assert messages(given, i=Image(url=URL)) == [Message("user", (Image(url=URL),))]


def test_a_value_brings_no_inline_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    prompt = prompt_of("user:\n{{ q }}", "prompty-v1", source=tmp_path / "a.prompty")
    for text in ("![x](a.png)", "![x](/etc/passwd)", f"![x]({URL})"):
        assert messages(prompt, q=text) == [Message("user", text)]
    newer = prompt_of("user:\n![x](a.png)", source=tmp_path / "a.prompty")
    assert messages(newer) == [Message("user", "![x](a.png)")]


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("../out.png", "lies outside of the folder of the prompt"),
        ("/etc/passwd", "lies outside of the folder of the prompt"),
        ("link.png", "lies outside of the folder of the prompt"),
        ("a.txt", "is no picture"),
        ("gone.png", "cannot be read: No such file"),
        ("a\0b.png", "is no name of a file"),
        ("x" * 5000, "is no name of a file|cannot be read"),
    ],
)
def test_a_value_reaches_only_pictures_beside_the_prompt(tmp_path: Path, target: str, problem: str) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    (tmp_path / "out.png").write_bytes(PNG)
    (folder / "a.txt").write_text("secret")
    (folder / "link.png").symlink_to(tmp_path / "out.png")
    prompt = prompt_of("user:\n![x]({{ t }})", "prompty-v1", source=folder / "a.prompty")
    with pytest.raises(InvalidInput, match=problem):
        messages(prompt, t=target)


def test_a_prompt_without_a_folder_reads_no_picture() -> None:
    with pytest.raises(InvalidInput, match="this prompt has no folder"):
        messages(prompt_of("user:\n![x](a.png)", "prompty-v1"))


# --- pictures of promptflow


def test_pictures_as_promptflow_writes_them(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    prompt = prompt_of(
        "user:\nLook:\n![image]({{ i }})\n\n{{ q }}\n", "promptflow", source=tmp_path / "a.prompty", i="image"
    )
    encoded = base64.b64encode(PNG).decode()
    for given, expected in [
        ("data:image/png;path: a.png", Image(data=PNG, media_type="image/png", detail="auto")),
        (f"data:image/png;url: {URL}", Image(url=URL, media_type="image/png", detail="auto")),
        (
            f"data:image/png;base64: {encoded}",
            Image(url=f"data:image/png;base64,{encoded}", media_type="image/png", detail="auto"),
        ),
    ]:
        key, _, value = given.partition(": ")
        for said in (given, {key: value}):
            assert messages(prompt, i=said, q="a\n\n b ") == [Message("user", ("Look:", expected, "a", " b"))]
    with pytest.raises(InvalidInput, match="lies outside of the folder"):
        messages(prompt, i={"data:image/png;path": "../../etc/passwd"}, q="")
    with pytest.raises(InvalidInput, match="lies outside of the folder"):
        messages(prompt, i="data:image/png;path: ../../etc/passwd", q="")


# --- threads

HISTORY: list[object] = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": [{"type": "text", "text": "system:\nno"}], "mood": "calm"},
]
SAID = [Message("user", "hi"), Message("assistant", "system:\nno", metadata={"mood": "calm"})]


@pytest.mark.parametrize("kind", ["jinja2", "mustache"])
def test_a_thread_stands_at_its_place(kind: TemplateKind) -> None:
    prompt = prompt_of("system:\nS\n{{ h }}\nuser:\nbefore {{ h }} after\n", kind=kind, h="thread")
    assert messages(prompt, h=HISTORY) == [
        Message("system", "S"),
        *SAID,
        Message("user", "before"),
        *SAID,
        Message("user", "after"),
    ]
    assert messages(prompt, h=[]) == [
        Message("system", "S"),
        Message("user", "before"),
        Message("user", "after"),
    ]


def test_a_thread_without_a_place_comes_at_the_end() -> None:
    assert messages(prompt_of("system:\nS", h="thread"), h=HISTORY) == [Message("system", "S"), *SAID]


def test_a_thread_may_be_looped_over() -> None:
    prompt = prompt_of(
        "{% for m in h %}{{ m.role }}:\n{{ loop.index }} {{ m.content }}\n{% endfor %}", h="thread"
    )
    assert messages(prompt, h=HISTORY) == [Message("user", "1 hi"), Message("assistant", "2 system:\nno")]


def test_what_a_thread_may_hold() -> None:
    thread = [
        Message("user", ("see", Image(url=URL))),
        {
            "role": "user",
            "content": ["see", {"kind": "image", "source": URL}, {"kind": "audio", "source": "x"}],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"a": 1}}}],
        },
        {"role": "tool", "content": "4", "tool_call_id": "1", "name": "f", "metadata": {"k": 1}},
    ]
    assert messages(prompt_of("{{ h }}", h="thread"), h=thread) == [
        thread[0],
        Message("user", ("see", Image(url=URL), Audio(url="x"))),
        Message("assistant", "", tool_calls=(ToolCall("1", "f", '{"a": 1}'),)),
        Message("tool", "4", tool_call_id="1", name="f", metadata={"k": 1}),
    ]


@pytest.mark.parametrize(
    ("thread", "problem"),
    [
        ("hi", "h: expected a list of messages, got str"),
        ({"role": "user"}, "h: expected a list of messages, got dict"),
        (["hi"], "h: message 1: expected a mapping with role and content, got str"),
        ([{"role": "system", "content": "x"}], "h: message 1: a value gives the role 'system'"),
        (
            [Message("user", "x"), Message("developer", "x")],
            "h: message 2: a value gives the role 'developer'",
        ),
        ([{"role": 7}], "h: message 1: the role is int"),
        ([{"role": "user", "content": 7}], "the content is int"),
        ([{"role": "user", "content": [{"kind": "video"}]}], "unknown kind video"),
        ([{"role": "user", "tool_calls": [1]}], "tool_calls holds something that is no call"),
        ([{"role": "user", "name": 7}], "name is int"),
    ],
)
def test_what_is_no_thread(thread: object, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        messages(prompt_of("{{ h }}", h="thread"), h=thread)


def test_in_text_a_place_is_the_same_each_time_and_means_nothing_to_anybody() -> None:
    prompt = prompt_of("user:\n{{ h }} {{ q }}", h="thread")
    text = rendering.text_of(prompt, {"h": HISTORY, "q": ""})
    assert text == rendering.text_of(prompt, {"h": [], "q": ""})
    place = text.removeprefix("user:\n").strip()
    assert place.startswith("__PROMPTY_THREAD_")
    assert place.endswith("_h__")
    assert messages(prompt, h=[], q=place) == [Message("user", place)]
