"""Large values: the same form and the same value as small ones, without copies of their text."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import NotData, NotRestored
from surefoot.ledger import Keyring, Payloads, decode, encode, encode_large
from surefoot.ledger.encoding import LARGE, large

TEXTS = st.lists(st.sampled_from(["a", '"', "\\", "\n", "\x00", "é", "€", "😀", "u00e9"]), max_size=60).map(
    "".join
)


@given(text=TEXTS, piece=st.integers(12, 40))
def test_a_string_is_read_in_pieces_wherever_they_end(text: str, piece: int) -> None:
    encoded = orjson.dumps(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "_PIECE", piece)
        assert "".join(large.text_pieces(encoded)) == text


@given(value=st.binary(max_size=100), piece=st.sampled_from([3, 6, 30]))
def test_bytes_have_one_form_whatever_their_size(value: bytes, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "_PIECE", piece)
        written = large.write_bytes(value)
    assert written.decode() == encode(value)
    assert large.read_bytes(written) == value


@pytest.mark.parametrize(
    "value",
    [
        "x€\n" * LARGE,
        b"\x00\xff" * LARGE,
        ["1" * 1000] * 2000,
        {"a": ("t" * LARGE, 1.5)},
        {"$": ["bytes", "A" * LARGE]},
        "x" * (LARGE - 2),
    ],
    ids=["text", "bytes", "list", "tagged", "looks like a tag", "just large"],
)
def test_a_large_value_has_the_form_of_a_small_one(value: object) -> None:
    written = encode_large(value)
    assert isinstance(written, bytes | bytearray)
    assert written.decode() == encode(value)
    assert decode(written) == decode(encode(value)) == value


def test_a_small_value_is_text() -> None:
    assert encode_large([1, "a"]) == '[1,"a"]'
    assert isinstance(encode_large("x" * (LARGE - 3)), str)


def test_what_cannot_be_recorded_is_refused_as_ever() -> None:
    with pytest.raises(NotData):
        encode_large("x" * LARGE + "\ud800")


@pytest.mark.parametrize("text", [b'"no end', b'{"$":["bytes","%%%%"]}', b"\xff"])
def test_a_damaged_text_is_refused(text: bytes) -> None:
    with pytest.raises(NotRestored):
        decode(text)


@pytest.mark.parametrize("at", [0, 5, large.LARGE * 4, (large.LARGE * 4) - 9, large.LARGE * 6])
def test_a_secret_in_a_large_text_is_found_wherever_it_stands(tmp_path: Path, at: int) -> None:
    secret = "sk-0123456789"
    payloads = Payloads(
        Keyring(tmp_path / "key"),
        privacy=lambda text: text.replace(secret, "[secret]") if secret in text else None,
    )
    text = "x" * at + secret + "y" * LARGE
    payload = payloads.store("run", encode_large(text), [])
    assert payload.sealed is not None
    clean = payloads.store("run", encode_large("x" * at + "y" * LARGE), [])
    assert clean.sealed is None


CHILD = """
import os, sys
from surefoot import App, flow, step

MIB = 1 << 20


def peak():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@step
def warm():
    return "w" * 2 * MIB


value = warm()


@step
def big():
    return value


@flow
def making():
    warm()
    small = peak()
    big()
    sys.stdout.write(f"{peak() - small} ")
    raise KeyboardInterrupt


made = {"str": lambda: "0123456789\\n" * (6 * MIB), "bytes": lambda: b"0123456789!" * (6 * MIB),
        "list": lambda: ["0123456789" * 100 + str(n) for n in range(66_000)]}
value = made[sys.argv[1]]()
try:
    making()
except KeyboardInterrupt:
    pass
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
@pytest.mark.parametrize(("kind", "text_mib"), [("str", 72), ("bytes", 88), ("list", 63)])
def test_a_large_result_is_in_memory_as_value_and_once_as_text(
    tmp_path: Path, kind: str, text_mib: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, kind],
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path), "SUREFOOT_LEDGER_SYNCHRONOUS": "normal"},
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    above = int(done.stdout) / 2**20
    assert above > 0.5 * text_mib, "the measurement saw nothing"
    assert above < 1.4 * text_mib + 16
