"""Tokenisers that are installed: that of the embedded model (byte-level BPE) and that of MiniLM (WordPiece)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, BinaryIO

from surefoot.models.local.weights import MINILM_TOKENIZER, SMOLLM2, locate


@cache
def smollm2() -> Any:
    """The tokeniser of SmolLM2, made of what its weight file says."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    with locate(SMOLLM2).open("rb") as file:
        said = _metadata(file)
    tokens: list[str] = said["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ", 1)) for pair in said["tokenizer.ggml.merges"]]
    made = Tokenizer(models.BPE({token: place for place, token in enumerate(tokens)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(f"<|{name}|>", special=True) for name in ("im_start", "im_end")])
    return made


_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


def _metadata(file: BinaryIO) -> dict[str, Any]:
    """What a GGUF file says of itself. (The library `gguf` takes ten seconds for it.)

    Source: the specification of GGUF, ggml-org/ggml, docs/gguf.md.
    """

    def number(kind: str) -> Any:
        return struct.unpack(f"<{kind}", file.read(struct.calcsize(f"<{kind}")))[0]

    def value(kind: int) -> Any:
        if kind == 8:
            return file.read(number("Q")).decode()
        if kind == 9:
            inner, count = number("I"), number("Q")
            return [value(inner) for _ in range(count)]
        return number(_NUMBERS[kind])

    file.seek(16)
    return {value(8): value(number("I")) for _ in range(number("Q"))}


@cache
def minilm() -> Any:
    """The tokeniser of MiniLM, that cuts nothing off."""
    from tokenizers import Tokenizer

    made = Tokenizer.from_file(str(locate(MINILM_TOKENIZER)))
    made.no_padding()
    made.no_truncation()
    return made


def chat(messages: Sequence[Mapping[str, Any]]) -> str:
    """Messages as SmolLM2's chat template writes them, before an answer."""
    head = ""
    if not messages or messages[0]["role"] != "system":
        head = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    said = "".join(f"<|im_start|>{each['role']}\n{each['content']}<|im_end|>\n" for each in messages)
    return f"{head}{said}<|im_start|>assistant\n"


def count(tokeniser: Any, text: str) -> int:
    """How many tokens a text has; what is no Unicode is replaced, as servers do."""
    return len(tokeniser.encode(text.encode("utf-8", "replace").decode()).ids)
