"""Tokenisers that are installed: that of the embedded model (byte-level BPE) and that of MiniLM (WordPiece)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from surefoot.models.local.weights import MINILM_TOKENIZER, SMOLLM2, locate


@cache
def smollm2() -> Any:
    """The tokeniser of SmolLM2, made of what its weight file says."""
    from gguf import GGUFReader
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    reader = GGUFReader(str(locate(SMOLLM2)))

    def strings(name: str) -> list[str]:
        found = reader.fields[name]
        return [found.parts[place].tobytes().decode() for place in found.data]

    tokens = strings("tokenizer.ggml.tokens")
    merges = [tuple(pair.split(" ", 1)) for pair in strings("tokenizer.ggml.merges")]
    made = Tokenizer(models.BPE({token: place for place, token in enumerate(tokens)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(f"<|{name}|>", special=True) for name in ("im_start", "im_end")])
    return made


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
