"""The most that a request can take: never less than it does take, for every tokeniser that is here and every form."""

from __future__ import annotations

import base64
import json
import struct
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tokenisers
from surefoot.errors import UnboundedCall
from surefoot.models.chain.bounds import Load, Most, capped, expected_tokens, most_of, worst_of
from surefoot.models.chain.pictures import size_of
from surefoot.models.chain.prices import Price, PriceList, Rates, rates_of
from surefoot.models.chain.published import Window, window_of
from surefoot.values import Money, Usage

WINDOW = Window(128_000, 16_384)
NOBODY = Window()


def load(
    body: dict[str, Any], operation: str = "openai.chat", provider: str = "openai", model: str = "gpt-4o"
) -> Load:
    return Load(
        operation, provider, model, body, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    )


def chat(*contents: Any, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": c} for c in contents], **more}


# Never less than the truth

TEXT = (
    st.text() | st.text(alphabet="ﷺ﷽ａ①ﬁ") | st.text(alphabet=' \n\t{}[]"\\') | st.text(alphabet="0123456789")
)
ROLES = st.sampled_from(["user", "assistant", "system"])


@settings(max_examples=150)
@given(st.lists(st.tuples(ROLES, TEXT), min_size=1, max_size=8))
def test_no_conversation_has_more_tokens_than_its_bound(turns: list[tuple[str, str]]) -> None:
    messages = [{"role": role, "content": text} for role, text in turns]
    body = {"model": "smollm2", "messages": messages, "max_tokens": 1}
    asked = load(body, provider="vllm", model="smollm2")
    bound = most_of(asked, NOBODY).read
    assert tokenisers.count(tokenisers.smollm2(), tokenisers.chat(messages)) <= bound


@settings(max_examples=150)
@given(st.lists(TEXT, min_size=1, max_size=8))
def test_no_texts_to_embed_have_more_tokens_than_their_bound(texts: list[str]) -> None:
    asked = load({"model": "m", "input": texts}, "openai.embeddings", "vllm", "m")
    bound = most_of(asked, NOBODY)
    for tokeniser in (tokenisers.minilm(), tokenisers.smollm2()):
        assert sum(tokenisers.count(tokeniser, text) for text in texts) <= bound.read
    assert bound.written == 0


def test_a_client_that_escapes_its_json_has_the_same_tokens() -> None:
    """U+FDFA is 6 bytes in escaped JSON, and 18 characters for a tokeniser that normalises."""
    body = {"model": "m", "input": ["ﷺ" * 100]}
    asked = Load("openai.embeddings", "vllm", "m", body, json.dumps(body).encode())
    assert most_of(asked, NOBODY).read >= 18 * 100


@settings(max_examples=200)
@given(
    st.tuples(st.integers(0, 300_000), st.integers(0, 20_000)),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.sampled_from(
        ["openai:gpt-4o", "openai:gpt-5", "anthropic:claude-sonnet-4-5", "google:gemini-2.5-pro", "openai:o3"]
    ),
    st.sampled_from(["", "default", "flex", "priority"]),
)
def test_no_usage_within_the_bound_costs_more_than_the_worst(
    tokens: tuple[int, int], shares: tuple[float, float], model: str, tier: str
) -> None:
    (read, written), (cached, reasoning) = tokens, shares
    provider, _, name = model.partition(":")
    operation = {"openai": "openai.chat", "anthropic": "anthropic.messages"}.get(
        provider, "google.generate_content"
    )
    asked = load(chat("x", cache_control={"ttl": "1h"}), operation, provider, name)
    prices = PriceList()
    worst = worst_of(Most(300_000, 20_000), prices.dearest(provider, name, service_tier=tier), asked)
    hits = int(read * cached)
    usage = Usage(read, hits, written, int(written * reasoning))
    served = prices.rates(provider, name, service_tier=tier if provider == "openai" else "")
    assert served is not None
    cost = served.cost(usage, cache_write=(read - hits) // 2, cache_write_1h=(read - hits) // 3)
    assert cost is not None
    assert cost <= worst


def test_a_request_that_writes_no_cache_is_not_held_for_one() -> None:
    rates = [rates_of("anthropic", "claude-sonnet-4-5")]
    assert rates[0] is not None
    plain = load(chat("x"), "anthropic.messages", "anthropic", "claude-sonnet-4-5")
    kept = load(chat("x", cache_control={"type": "ephemeral"}), "anthropic.messages", "anthropic")
    long = load(
        chat("x", cache_control={"type": "ephemeral", "ttl": "1h"}), "anthropic.messages", "anthropic"
    )
    most = Most(1_000_000, 0)
    amounts = [worst_of(most, [rates[0]], each) for each in (plain, kept, long)]
    # Above 200,000 tokens: 6 dollars, 7.50 written for five minutes, 12 for an hour.
    assert amounts == [Money.dollars(6), Money.dollars("7.5"), Money.dollars(12)]


def test_a_tier_that_a_provider_may_choose_is_the_dearest_that_it_has() -> None:
    prices = PriceList()
    asked = load(chat("x"))
    free = worst_of(Most(10**6, 0), prices.dearest("openai", "gpt-4o", service_tier="default"), asked)
    chosen = worst_of(Most(10**6, 0), prices.dearest("openai", "gpt-4o"), asked)
    assert free == Money.dollars("2.5")
    assert chosen >= free


def test_a_rate_that_falls_with_length_holds_the_dearer_one() -> None:
    own = PriceList({"m": Price(input=Decimal(1), output=Decimal(2), cached=Decimal(3))})
    assert worst_of(Most(10**6, 10**6), own.dearest("vllm", "m"), load(chat("x"))) == Money.dollars(5)


# Outputs

CHAT, RESPONSES, MESSAGES, GEMINI = (
    "openai.chat",
    "openai.responses",
    "anthropic.messages",
    "google.generate_content",
)


@pytest.mark.parametrize(
    ("operation", "body", "written"),
    [
        (CHAT, chat("x", max_tokens=9), 9),
        (CHAT, chat("x", max_completion_tokens=9, max_tokens=7), 9),
        (CHAT, chat("x", max_tokens=9, n=3), 27),
        (CHAT, chat("x"), 16_384),
        (CHAT, chat("x", max_tokens=0), 16_384),
        (CHAT, chat("x", max_tokens=-1), 16_384),
        (CHAT, chat("x", max_tokens=9, prediction={"content": "abc"}), 9 + len('{"content": "abc"}')),
        ("openai.completions", {"prompt": "x", "max_tokens": 9, "n": 2, "best_of": 4}, 36),
        ("openai.completions", {"prompt": ["x", "y"], "max_tokens": 9}, 18),
        ("openai.completions", {"prompt": [1, 2, 3], "max_tokens": 9}, 9),
        (RESPONSES, {"input": "x", "max_output_tokens": 9}, 9),
        (MESSAGES, chat("x", max_tokens=9), 9),
        (GEMINI, {"contents": [], "generationConfig": {"maxOutputTokens": 9, "candidateCount": 2}}, 18),
        (GEMINI, {"contents": [], "generation_config": {"max_output_tokens": 9, "candidate_count": 2}}, 18),
        ("openai.embeddings", {"input": "x"}, 0),
    ],
)
def test_how_much_an_answer_can_have(operation: str, body: dict[str, Any], written: int) -> None:
    assert most_of(load(body, operation), WINDOW).written == written


def test_published_windows() -> None:
    assert window_of("openai", "gpt-4o-2024-08-06") == Window(128_000, 16_384)
    assert window_of("openai", "gpt-4.1-mini").output == 32_768
    assert window_of("google", "models/gemini-2.5-flash") == Window(1_048_576, 65_536)
    # A header opens more than the table says.
    assert window_of("anthropic", "claude-sonnet-4-5").context == 1_000_000
    # What it can answer is not known: all of its window.
    assert window_of("openai", "gpt-5-pro") == Window(400_000, 400_000)
    assert window_of("vllm", "mine") == Window()
    assert window_of("local", "smollm2", local_context=4096) == Window(4096, 4096)


# What is not text


def png(width: int, height: int) -> str:
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)
    return base64.b64encode(head + b"\0" * 30_000).decode()


@pytest.mark.parametrize(
    ("model", "detail", "tokens"),
    [
        ("gpt-4o", "auto", 1_445),
        ("gpt-4o", "low", 85),
        ("gpt-4o-mini", "high", 48_169),
        ("gpt-9", "auto", 24_600),
    ],
)
def test_a_picture_takes_what_the_rule_of_its_model_says(model: str, detail: str, tokens: int) -> None:
    url = f"data:image/png;base64,{png(512, 512)}"
    for image in (url, "https://example.org/a.png"):
        part = {"type": "image_url", "image_url": {"url": image, "detail": detail}}
        body = chat([{"type": "text", "text": "what?"}, part], max_tokens=5)
        read = most_of(load(body, model=model), Window(1_000_000)).read
        assert tokens < read < tokens + 500


def test_pictures_of_other_wires() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": png(100, 100)}
    body = chat([{"type": "image", "source": source}], max_tokens=5)
    assert 4_784 < most_of(load(body, MESSAGES, "anthropic"), WINDOW).read < 5_300
    shown = [{"type": "tool_result", "tool_use_id": "x", "content": [{"type": "image", "source": source}]}]
    assert 4_784 < most_of(load(chat(shown, max_tokens=5), MESSAGES, "anthropic"), WINDOW).read < 5_300
    item = {
        "role": "user",
        "content": [{"type": "input_image", "image_url": "https://x/y.png", "detail": "low"}],
    }
    assert 85 < most_of(load({"input": [item], "max_output_tokens": 5}, RESPONSES), WINDOW).read < 500
    inline = {"inlineData": {"mimeType": "image/png", "data": png(2_000, 300)}}
    body = {"contents": [{"parts": [inline]}], "generationConfig": {"maxOutputTokens": 5}}
    assert 258 * 16 < most_of(load(body, GEMINI, "google"), WINDOW).read < 258 * 16 + 500
    stored = {"fileData": {"mimeType": "image/png", "fileUri": "gs://x"}}
    body = {"contents": {"parts": [stored]}, "generationConfig": {"maxOutputTokens": 5}}
    assert most_of(load(body, GEMINI, "google"), WINDOW).read == 128_000


def test_sizes_of_pictures() -> None:
    def of(head: bytes) -> Any:
        return size_of(base64.b64encode(head + bytes(40)).decode())

    jpeg = (
        b"\xff\xd8\xff\xe0"
        + struct.pack(">H", 16)
        + bytes(14)
        + b"\xff\xc0\x00\x11\x08"
        + struct.pack(">HH", 30, 40)
    )
    assert of(jpeg) == (40, 30)
    assert of(b"GIF89a" + struct.pack("<HH", 7, 9)) == (7, 9)
    assert of(b"RIFF....WEBPVP8X" + bytes(8) + b"\x09\0\0\x13\0\0") == (10, 20)
    assert of(b"RIFF....WEBPVP8 " + bytes(10) + struct.pack("<HH", 12, 13)) == (12, 13)
    assert of(b"RIFF....WEBPVP8L" + bytes(5) + (5 | 6 << 14).to_bytes(4, "little")) == (6, 7)
    assert of(b"BM") is None
    assert size_of("no base64!") is None
    assert size_of("") is None


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (RESPONSES, {"input": "x", "previous_response_id": "resp_1", "max_output_tokens": 1}),
        (RESPONSES, {"input": "x", "conversation": "conv_1", "max_output_tokens": 1}),
        (RESPONSES, {"prompt": {"id": "pmpt_1"}, "max_output_tokens": 1}),
        (RESPONSES, {"input": [{"type": "item_reference", "id": "msg_1"}], "max_output_tokens": 1}),
        (RESPONSES, {"input": [{"type": "reasoning", "id": "rs_1"}], "max_output_tokens": 1}),
        (CHAT, chat([{"type": "file", "file": {"file_id": "file-1"}}], max_tokens=1)),
        (MESSAGES, chat([{"type": "document", "source": {"type": "url", "url": "https://x"}}], max_tokens=1)),
        (MESSAGES, chat("x", max_tokens=1, thread={"type": "continue"})),
        (GEMINI, {"contents": [], "cachedContent": "c", "generationConfig": {"maxOutputTokens": 1}}),
    ],
)
def test_what_is_not_in_the_request_may_fill_the_window(operation: str, body: dict[str, Any]) -> None:
    assert most_of(load(body, operation), WINDOW).read == 128_000
    with pytest.raises(UnboundedCall, match="not all in the request"):
        most_of(load(body, operation), NOBODY)


def test_text_in_a_document_is_in_the_request() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "a" * 1_000}
    body = chat([{"type": "document", "source": source}], max_tokens=1)
    assert 1_000 < most_of(load(body, MESSAGES, "anthropic"), WINDOW).read < 1_400


def test_sealed_reasoning_counts_more_than_its_bytes() -> None:
    sealed = {"type": "reasoning", "encrypted_content": "A" * 10_000}
    read = most_of(load({"input": [sealed], "max_output_tokens": 1}, RESPONSES), WINDOW).read
    assert 40_000 < read < 41_000


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (CHAT, chat([{"type": "input_audio", "input_audio": {"data": "x"}}], max_tokens=1)),
        (CHAT, chat("x", modalities=["text", "audio"], max_tokens=1)),
        (
            CHAT,
            chat("x", web_search_options={}, max_tokens=1) | {"web_search_options": {"user_location": None}},
        ),
        (RESPONSES, {"input": "x", "tools": [{"type": "code_interpreter"}], "max_tool_calls": 1}),
        (RESPONSES, {"input": "x", "tools": [{"type": "image_generation"}], "max_tool_calls": 1}),
        (RESPONSES, {"input": "x", "tools": [{"type": "mcp", "server_url": "x"}], "max_tool_calls": 1}),
        (MESSAGES, chat("x", max_tokens=1, mcp_servers=[{"url": "x"}])),
        (MESSAGES, chat("x", max_tokens=1, speed="fast")),
        (MESSAGES, chat("x", max_tokens=1, inference_geo="us")),
        (MESSAGES, chat("x", max_tokens=1, tools=[{"type": "code_execution_20250825", "name": "c"}])),
        (GEMINI, {"contents": [], "tools": [{"googleSearch": {}}]}),
        (GEMINI, {"contents": [{"parts": [{"inlineData": {"mimeType": "audio/wav", "data": "x"}}]}]}),
        (GEMINI, {"contents": [], "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}),
    ],
)
def test_what_has_a_price_of_its_own_cannot_be_bounded(operation: str, body: dict[str, Any]) -> None:
    provider = {MESSAGES: "anthropic", GEMINI: "google"}.get(operation, "openai")
    with pytest.raises(UnboundedCall, match="was not sent: what it may cost at most cannot be told"):
        most_of(load(body, operation, provider), WINDOW)


def test_searches_are_bounded_by_how_many_there_may_be() -> None:
    tool = {"type": "web_search"}
    body = {"input": "x", "tools": [tool], "max_tool_calls": 3, "max_output_tokens": 10}
    most = most_of(load(body, RESPONSES), WINDOW)
    # Ten dollars a thousand; and each puts what it found before the model once more.
    assert most == Most(4 * 128_000, 40, Money.dollars("0.03"))
    del body["max_tool_calls"]
    with pytest.raises(UnboundedCall, match="set max_tool_calls"):
        most_of(load(body, RESPONSES), WINDOW)
    own = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    asked = load(chat("x", max_tokens=1, tools=[own]), MESSAGES, "anthropic", "claude-sonnet-4-5")
    assert most_of(asked, WINDOW).fees == Money.dollars("0.02")
    del own["max_uses"]
    with pytest.raises(UnboundedCall, match="set max_uses"):
        most_of(asked, WINDOW)


def test_tools_of_the_callers_own_are_text() -> None:
    tools = [
        {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "x": "a" * 1_000}}}
    ]
    read = most_of(load(chat("x", max_tokens=1, tools=tools)), WINDOW).read
    assert 2_000 < read < 5_000
    shell = {"type": "bash_20250124", "name": "bash"}
    assert (
        most_of(load(chat("x", max_tokens=1, tools=[shell]), MESSAGES, "anthropic"), WINDOW).fees == Money()
    )


def test_a_call_that_nothing_bounds_names_what_would() -> None:
    with pytest.raises(
        UnboundedCall, match=r"set max_completion_tokens in the call, or cap_output in the budget"
    ):
        most_of(load(chat("x")), NOBODY)
    with pytest.raises(UnboundedCall, match=r'\[prices\."openai:gpt-4o"\]'):
        worst_of(Most(1, 1), (), load(chat("x")))
    # A model that makes vectors has no price for text.
    with pytest.raises(UnboundedCall, match="No price"):
        worst_of(
            Most(1, 1), [Rates(rates_of("openai", "text-embedding-3-small").input, None)], load(chat("x"))
        )  # type: ignore[union-attr]


# Caps, and what is expected


@pytest.mark.parametrize(
    ("operation", "provider", "model", "body", "expected"),
    [
        (CHAT, "openai", "gpt-4o", chat("x"), {"max_completion_tokens": 5}),
        (CHAT, "openai", "llama-of-a-proxy", chat("x"), {"max_tokens": 5}),
        (CHAT, "groq", "llama-3.3", chat("x"), {"max_tokens": 5}),
        (RESPONSES, "openai", "gpt-4o", {"input": "x"}, {"max_output_tokens": 5}),
        (GEMINI, "google", "gemini", {"contents": []}, {"generationConfig": {"maxOutputTokens": 5}}),
        (
            *(GEMINI, "google", "gemini", {"generationConfig": {"temperature": 1}}),
            {"generationConfig": {"temperature": 1, "maxOutputTokens": 5}},
        ),
    ],
)
def test_a_cap_is_put_where_the_wire_has_it(
    operation: str, provider: str, model: str, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    before = json.dumps(body)
    assert capped(load(body, operation, provider, model), 5) == {**body, **expected}
    assert json.dumps(body) == before


def test_a_cap_is_not_put_over_a_limit_and_not_on_vectors() -> None:
    assert capped(load(chat("x", max_tokens=9)), 5) is None
    assert capped(load({"input": "x"}, "openai.embeddings"), 5) is None


def test_what_is_expected_is_a_quarter_of_the_bytes_and_the_answer() -> None:
    text = "word " * 800
    assert 1_000 <= expected_tokens(load(chat(text, max_tokens=100))) - 100 <= 1_050
    assert 1_500 <= expected_tokens(load(chat(text))) <= 1_550
    url = f"data:image/png;base64,{png(512, 512)}"
    picture = chat([{"type": "image_url", "image_url": {"url": url}}], max_tokens=100)
    assert 1_100 < expected_tokens(load(picture)) < 1_200
    assert expected_tokens(load({"input": "x" * 400}, "openai.embeddings")) < 120


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "messages",
                        "content",
                        "type",
                        "source",
                        "input",
                        "tools",
                        "contents",
                        "parts",
                        "inlineData",
                        "generationConfig",
                        "image_url",
                        "image",
                        "max_tokens",
                        "prompt",
                    ]
                ),
                inner,
            )
        ),
        max_leaves=20,
    )
)
def test_hostile_bodies_are_bounded_or_refused(value: Any) -> None:
    body = value if isinstance(value, dict) else {"messages": value}
    for operation in (
        CHAT,
        RESPONSES,
        MESSAGES,
        GEMINI,
        "openai.completions",
        "openai.embeddings",
        "google.embeddings",
    ):
        asked = load(body, operation, "google" if operation.startswith("google") else "openai")
        expected_tokens(asked)
        capped(asked, 5)
        try:
            most = most_of(asked, WINDOW)
        except UnboundedCall:
            continue
        assert most.read >= 1
        assert most.written >= 0
