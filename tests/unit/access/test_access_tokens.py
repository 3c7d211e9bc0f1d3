"""Tokens: what they look like, and that nothing of them is kept but their hash."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from surefoot.access import TokenRow, is_token, new_token, permission, shown, token_digest
from surefoot.guards.privacy import Finder

ROW = TokenRow(b"", "sft_abcdef", "user:ann", "ci", 1)


def test_tokens_are_long_random_and_known_by_their_form() -> None:
    made = {new_token() for _ in range(200)}
    assert len(made) == 200
    assert all(is_token(one) and len(one) == 53 for one in made)
    assert all(shown(one) == one[:10] for one in made)


@given(st.integers(4, 52), st.sampled_from("0aZ"))
def test_a_token_with_another_letter_is_none(at: int, letter: str) -> None:
    token = new_token()
    changed = token[:at] + letter + token[at + 1 :]
    assert is_token(changed) is (changed == token)


def test_other_texts_are_no_tokens() -> None:
    token = new_token()
    for text in (
        "",
        "sft_",
        token[:-1],
        f"{token}0",
        token.upper(),
        f" {token}",
        f"{token}\n",
        "sk-" + token[4:],
    ):
        assert not is_token(text)


def test_it_is_found_by_its_hash() -> None:
    token = new_token()
    assert token_digest(token) == sha256(token.encode()).digest()


def test_it_is_good_until_it_expires_or_is_revoked() -> None:
    assert ROW.is_good(10**30)
    assert replace(ROW, expires_ns=5).is_good(4)
    assert not replace(ROW, expires_ns=5).is_good(5)
    assert not replace(ROW, revoked_ns=2).is_good(1)


def test_scopes_bound_what_it_is_of_use_for() -> None:
    run, read = permission("flow:run"), permission("flow:read")
    assert not ROW.bounds(run)
    assert replace(ROW, scopes=frozenset([read])).bounds(run)
    assert not replace(ROW, scopes=frozenset([run])).bounds(run)


def test_a_token_is_hidden_wherever_people_read() -> None:
    token = new_token()
    assert Finder().redacted(f"curl -H 'authorization: {token}' and {token}.") == (
        "curl -H 'authorization: [secret]' and [secret]."
    )
