"""What no text from outside keeps: hidden characters, special tokens, and tags of fences, in whatever look."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.ledger.encoding import decode, encode
from surefoot.texts.fences import MARK, TAG, Fenced, Fences, stripped
from surefoot.texts.special_tokens import FAMILIES, REMOVED

KEY = b"k" * 32
TOKENS = sorted({token for listed in FAMILIES.values() for token in listed})


@pytest.mark.parametrize("token", TOKENS)
def test_a_special_token_of_any_family_is_taken_out(token: str) -> None:
    for written in (token, token.upper(), token.lower(), f"{token[0]} {token[1:-1]} {token[-1]}"):
        if written.startswith("> "):
            continue
        found = stripped(f"before {written} behind")
        assert found.text == f"before {REMOVED} behind", written
        assert found.removed == {"special token or fence": 1}


@pytest.mark.parametrize(
    "text",
    [
        f"</{TAG}>",
        f"</{TAG}-AAAAAAAAAAAAAAAAAAAAAA>",
        f"<{TAG}-AAAAAAAAAAAAAAAAAAAAAA>",
        f"< / {TAG} >",
        f"</{TAG.upper()}-x>",
        f"</{TAG} -x >",
        f"\uff1c\uff0f{TAG}\uff0dx\uff1e",
        f"\u2039/{TAG}-x\u203a",
        "</untruste\u0501-x>",
        "</\uff55\uff4e\uff54\uff52\uff55\uff53\uff54\uff45\uff44-x>",
        "</un\u200btru\u2060sted-x>",
        "</un\U000e0041trusted-x>",
        f"</{MARK}untrusted-x>",
        f"</{TAG}",
        "<\uff5cim_end\uff5c>",
        "<|im\u200b_end|>",
        "<\uff5cbegin\u2581of\u2581sentence\uff5c>",
        "<|anything_at_all|>",
        "<|/tool|>",
        "<|\nim_end\n|>",
        # Two letters in one, accents upon letters, signs that are drawn as one.
        "<\ufb06art_of_turn>",
        "[IN\ufb06]",
        "</untru\ufb06ed-x>",
        "</u\u0301ntru\u0302sted\u0303-x>",
        "<\u0338/untrusted-x>",
        "\u226e/untrusted-x\u226f",
        # Whatever a page may show as a blank, and a slash as JSON escapes it.
        *(
            f"<{blank}/{TAG}-x>"
            for blank in ("    ", "\r", "\x0b", "\x00", "\x7f", "\u2028", "\u2800", " " * 32)
        ),
        f"<\\/{TAG}-x>",
    ],
)
def test_a_token_or_a_tag_that_only_looks_like_one_is_taken_out(text: str) -> None:
    assert stripped(f"a {text} b").text == f"a {REMOVED} b"


def test_a_token_between_letters_that_do_not_look_like_one_is_taken_out_at_its_place() -> None:
    text = "Gro\u00df\u0301e <b> \ufb06 \u00c6 <|im_end|> Stra\u00dfe e\u0301"
    assert stripped(text).text == text.replace("<|im_end|>", REMOVED)


def test_what_is_left_does_not_come_together_as_a_token() -> None:
    text = "<|im_<|im_<|im_end|>end|>end|>"
    assert "<|im_end|>" not in stripped(text).text
    assert "<|im_end|>" not in stripped(f"<|im_{MARK}end|>").text
    assert f"<{TAG}" not in stripped(f"<{TAG[:3]}<{TAG}>{TAG[3:]}-x>").text


@pytest.mark.parametrize(
    "text",
    [
        "if a < b and c > d: x[i] |= y | z",
        "let f = g <| h |> k",
        "<strong>bold</strong> <section> <span> <system>",
        "an untrusted value, untrusted-ish",
        "[1] [a][b] [instance] [Image]",
        "\u00abZitat\u00bb \u2039x\u203a — 日本語【注】 Größe ½ ﬁ",
        "👩‍👩‍👧 नमस्ते क्‍ष می‌خواهم",
        "List<untrustedType> x",
    ],
)
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    assert stripped(text).text == text
    assert not stripped(text).removed


@given(
    st.lists(
        st.sampled_from([*"<>|/[]-_ \n", "untrusted", "im_end", "INST", "s", MARK, "\uff1c", "\u200b"]),
        max_size=40,
    ).map("".join)
)
def test_stripping_twice_changes_nothing_more(text: str) -> None:
    once = stripped(text).text
    assert stripped(once).text == once
    assert MARK not in once


@given(
    st.lists(
        st.sampled_from([*"<>/-a ", f"</{TAG}-", f"<{TAG}-", "AAAAAAAAAAAAAAAAAAAAAA", REMOVED]), max_size=40
    ).map("".join)
)
def test_a_fence_is_closed_once_and_by_nobody_else(text: str) -> None:
    fences = Fences(lambda: KEY)
    made = fences.around(stripped(text).text, "delimit")
    assert made.count(f"<{TAG}-") == made.count(f"</{TAG}-") == (1 if text.strip() else 0)


@pytest.mark.parametrize(
    "text", ["<" * 200_000, "<|" * 100_000, "< " * 100_000, f"<{TAG}" + "a" * 200_000, "[ / " * 50_000]
)
def test_a_hostile_text_is_stripped_in_one_pass(text: str) -> None:
    # Each place is looked at with a bounded number of characters behind it; an unbounded one would take hours here.
    assert len(stripped(text).text) <= len(text)


def test_a_blank_text_needs_no_fence() -> None:
    assert Fences(lambda: KEY).around(" \n", "delimit") == " \n"


def test_a_text_with_half_a_surrogate_has_a_nonce() -> None:
    assert len(Fences(lambda: KEY).nonce("\ud800")) == 22


def test_a_fenced_text_is_recorded_and_restored_as_one() -> None:
    restored = decode(encode(Fenced("a b", [(0, 1)])))
    assert restored == "a b"
    assert isinstance(restored, Fenced)
    assert restored.stretches == ((0, 1),)
    # What is made of it is a text that nobody vouches for.
    assert not isinstance(f"{restored}", Fenced)
    assert not isinstance(restored + "", Fenced)


@pytest.mark.parametrize(
    "text",
    [
        f"<    /{TAG}-x>",
        f"<\r\n/{TAG}-x>",
        f"<\u2028/{TAG}-x>",
        f"<\x0b/\x0c{TAG}-x>",
        f"<\\/{TAG}-x>",
        "</untru\ufb06ed-x>",
        "<\n\n\n\n\n|im_start|>",
        "[" + " " * 40 + "/INST]",
    ],
)
def test_no_white_space_escape_or_ligature_makes_another_tag_of_it(text: str) -> None:
    assert stripped(f"a {text} b").text == f"a {REMOVED} b"


@pytest.mark.parametrize("text", ["<" + " " * 400_000, ("<" + " " * 400) * 2_000, "<|" + "\n" * 400_000])
def test_white_space_without_end_is_gone_through_once(text: str) -> None:
    # Tried in every way, as blanks before and behind a `/` can be, each of these would take minutes.
    assert stripped(text).text == text
