"""What fits into a context, and a server that cannot start: with real processes, and no weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import ModelUnavailable
from surefoot.models.local import server as server_module
from surefoot.models.local.process import ANSWER_RESERVE, EmbeddedServer, answer_room, overflow, shared_server

counts = st.integers(min_value=0, max_value=20_000)


@given(prompt=counts, room=counts, context=counts)
def test_a_prompt_overflows_exactly_if_it_and_its_answer_are_larger_than_the_context(
    prompt: int, room: int, context: int
) -> None:
    assert (overflow(prompt, room, context) is None) == (prompt + room <= context)


def test_the_message_says_the_figures_and_what_to_do() -> None:
    message = overflow(4000, 200, 4096)
    assert message is not None
    assert "4000 tokens" in message
    assert "may take 200" in message
    assert "holds 4096" in message
    assert "shorten the prompt by 104 tokens" in message
    assert "ask for 96 tokens" in message


def test_a_prompt_that_is_too_long_alone_is_not_told_to_ask_for_less() -> None:
    assert "ask for" not in str(overflow(5000, 64, 4096))


@pytest.mark.parametrize(
    ("body", "room"),
    [
        ({}, ANSWER_RESERVE),
        ({"max_tokens": None}, ANSWER_RESERVE),
        ({"max_tokens": -1}, ANSWER_RESERVE),
        ({"max_tokens": 7}, 7),
        ({"max_completion_tokens": 900}, 900),
        ({"max_output_tokens": 300}, 300),
    ],
)
def test_the_room_for_an_answer_is_the_requests_own_bound_or_the_reserve(
    body: dict[str, object], room: int
) -> None:
    assert answer_room(body) == room


def test_a_file_that_is_no_model_is_an_error_with_the_servers_last_words(tmp_path: Path) -> None:
    junk = tmp_path / "junk.gguf"
    junk.write_text("not a model")
    embedded = EmbeddedServer(junk, name="junk")
    with pytest.raises(ModelUnavailable) as caught:
        _ = embedded.base_url
    message = str(caught.value)
    assert "local:junk did not start" in message
    assert "ended with status 2" in message
    # The library prints why from a thread, which may come too late on a busy machine.
    assert f"  | the model {junk} cannot be served" in message
    assert str(junk) in message
    assert embedded.pid is None


def test_the_server_refuses_to_start_without_a_token(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", server_module.__file__, "--model", str(tmp_path / "any.gguf")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={},
    )
    assert done.returncode == 2
    assert "SUREFOOT_LOCAL_TOKEN is not set" in done.stderr
    assert done.stdout == ""


def test_one_server_is_shared_by_all_who_ask_for_the_same_settings() -> None:
    assert shared_server() is shared_server()
    assert shared_server() is not shared_server(context=2048)
