"""Secrets in text: keys of every documented form, and those that are known, as they are at that moment."""

from __future__ import annotations

import itertools

import pytest

from surefoot.guards import MASK, Finder, InEnvironment

KEYS = {
    "openai": "sk-proj-" + "Ab1_" * 6,
    "aws": "AKIA" + "0123456789ABCDEF",
    "google": "AIza" + "x" * 35,
    "surefoot": "sft_" + "a1" * 24 + "a",
    "github": "ghs_" + "a1" * 20,
    "github-fine": "github_pat_" + "b2" * 12,
    "slack": "xoxb-" + "1234567890-ab",
    "huggingface": "hf_" + "Q" * 34,
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nMIIsk/AKIA=\n-----END RSA PRIVATE KEY-----",
}
ORDINARY = "a high-flown task_name, though through gh, hf and A-levels; task-force, mask-like"


@pytest.mark.parametrize("name", KEYS)
def test_a_key_of_any_form_is_masked_and_what_stands_around_it_stays(name: str) -> None:
    find = Finder()
    assert find(f"{ORDINARY} {KEYS[name]} {ORDINARY}") == f"{ORDINARY} {MASK} {ORDINARY}"
    assert find(ORDINARY) is None


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations(KEYS, 2)))
def test_keys_of_two_forms_are_masked_beside_each_other(one: str, other: str) -> None:
    assert Finder()(f"<{KEYS[one]}> <{KEYS[other]}>") == f"<{MASK}> <{MASK}>"


def test_a_beginning_without_the_rest_is_ordinary_text() -> None:
    find = Finder()
    for text in ("sk-short", "AKIA", "AIza!", "ghp_", "hf_hub", "xoxo-", "-----BEGIN PRIVATE KEY-----"):
        assert find(f"see {text} there") is None


def test_a_variable_counts_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_API_KEY", raising=False)
    find = Finder(InEnvironment(["SOME_API_KEY", "OTHER_API_KEY"]))
    assert find("the first-word and the second-word") is None
    monkeypatch.setenv("SOME_API_KEY", "first-word")
    assert find("the first-word and the second-word") == f"the {MASK} and the second-word"
    monkeypatch.setenv("SOME_API_KEY", "second-word")
    assert find("the first-word and the second-word") == f"the first-word and the {MASK}"
    monkeypatch.delenv("SOME_API_KEY")
    assert find("the first-word and the second-word") is None


def test_an_environment_of_another_kind_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    in_environment = InEnvironment(["SOME_API_KEY"])
    monkeypatch.setattr("os.environ", {"SOME_API_KEY": "a-long-word"})
    assert Finder(in_environment)("this is a-long-word") == f"this is {MASK}"
