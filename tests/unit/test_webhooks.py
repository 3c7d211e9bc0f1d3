"""Signatures of webhooks: what is real passes, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import SignatureRefused
from surefoot.webhooks import sign, verify

SECRET = "a secret of this test"
BODY = b'{"event":"run.completed"}'
NOW = 1_790_000_000


def signed(
    body: bytes = BODY, *, secret: str = SECRET, at: int = NOW, event: str = "01A-1-completed"
) -> dict[str, str]:
    return {
        "Surefoot-Id": event,
        "Surefoot-Timestamp": str(at),
        "Surefoot-Signature": sign(secret, event, at, body),
    }


def test_what_was_signed_is_known() -> None:
    assert verify(SECRET, signed(), BODY, now=NOW + 299) == "01A-1-completed"
    assert verify(SECRET, signed(), BODY, now=NOW - 299) == "01A-1-completed"
    shouted = {name.upper(): value for name, value in signed().items()}
    assert verify(SECRET, shouted, BODY, now=NOW) == "01A-1-completed"


def test_the_signature_is_what_the_guide_says() -> None:
    # Computed apart: printf '%s' '1.2.{}' | openssl dgst -sha256 -hmac key
    assert sign("key", "1", 2, b"{}") == "v1=f625ce31abbc310be87f167018f77f682fd9af0be17e49a9581322c9c470759d"


def test_a_secret_that_is_being_changed() -> None:
    assert verify(("the new one", SECRET), signed(), BODY, now=NOW)
    both = signed()
    both["Surefoot-Signature"] = (
        f"{sign('the new one', '01A-1-completed', NOW, BODY)}, {both['Surefoot-Signature']}"
    )
    assert verify(SECRET, both, BODY, now=NOW)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"Surefoot-Id": "01B-1-completed"}, "does not fit"),
        ({"Surefoot-Id": ""}, "no header Surefoot-Id"),
        ({"Surefoot-Id": "é"}, "no header Surefoot-Id"),
        ({"Surefoot-Timestamp": str(NOW + 1)}, "does not fit"),
        ({"Surefoot-Timestamp": "soon"}, "is no time"),
        ({"Surefoot-Timestamp": "-5"}, "is no time"),
        ({"Surefoot-Timestamp": "²"}, "is no time"),
        ({"Surefoot-Timestamp": "9" * 500}, "is no time"),
        ({"Surefoot-Signature": ""}, "does not fit"),
        ({"Surefoot-Signature": "v1="}, "does not fit"),
        ({"Surefoot-Signature": "v1=é\ud800"}, "does not fit"),
        ({"Surefoot-Signature": ",".join(["v1=00"] * 9999)}, "does not fit"),
    ],
)
def test_what_was_changed_is_refused(changed: dict[str, str], said: str) -> None:
    with pytest.raises(SignatureRefused, match=said):
        verify(SECRET, signed() | changed, BODY, now=NOW)


def test_what_was_kept_and_is_sent_again_is_refused() -> None:
    with pytest.raises(SignatureRefused, match="301 s old, more than 300 s"):
        verify(SECRET, signed(), BODY, now=NOW + 301)
    with pytest.raises(SignatureRefused, match="400 s ahead of this clock"):
        verify(SECRET, signed(), BODY, now=NOW - 400)
    assert verify(SECRET, signed(), BODY, 900, now=NOW + 899)


@pytest.mark.parametrize("secret", ["", (), ("",), (SECRET, "")])
def test_without_a_secret_nothing_passes(secret: str | tuple[str, ...]) -> None:
    with pytest.raises(SignatureRefused, match="there is no secret"):
        verify(secret, signed(secret=""), BODY, now=NOW)


@given(st.binary(), st.binary())
def test_another_body_is_refused(body: bytes, other: bytes) -> None:
    assert verify(SECRET, signed(body), body, now=NOW)
    if other != body:
        with pytest.raises(SignatureRefused):
            verify(SECRET, signed(body), other, now=NOW)


def test_parts_cannot_be_shifted_into_one_another() -> None:
    # Of one request, the beginning of its body as the end of the id: the same text is signed.
    signature = sign(SECRET, "a", NOW, f"x.{NOW}.y".encode())
    assert signature == sign(SECRET, f"a.{NOW}.x", NOW, b"y")
    headers = {
        "Surefoot-Id": f"a.{NOW}.x",
        "Surefoot-Timestamp": str(NOW),
        "Surefoot-Signature": signature,
    }
    with pytest.raises(SignatureRefused, match="no header Surefoot-Id"):
        verify(SECRET, headers, b"y", now=NOW)
