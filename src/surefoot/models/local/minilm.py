"""Sentence embeddings on this machine: all-MiniLM-L6-v2, int8, by onnxruntime on one thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from surefoot.locks import ForkSafeLock
from surefoot.models.local.weights import MINILM, MINILM_TOKENIZER, locate, require

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NAME = "local:minilm"
_DIMENSIONS = 384
# What the model was trained and published with; it would read up to 512, less well.
_MAX_TOKENS = 256


class MiniLM:
    """Texts to unit vectors. The weights are loaded at first use; one object may serve many threads.

    Each text is run by itself: on one core that is faster than a padded batch, and the vector of a text cannot
    depend on the texts beside it.
    """

    def __init__(self) -> None:
        self._lock = ForkSafeLock()
        self._loaded: tuple[Any, Any] | None = None

    @property
    def name(self) -> str:
        """The model, as it is recorded with what it embedded."""
        return _NAME

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return _DIMENSIONS

    @property
    def max_tokens(self) -> int:
        """What lies beyond this many tokens of a text (two of them are markers) is not seen."""
        return _MAX_TOKENS

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of `texts` in their order: shape (len(texts), 384), float32, each of length 1.

        The mean of the last hidden states of all tokens, normalised. Raises `MissingExtra` if the weights or
        a module of the `local` extra is missing.
        """
        numpy = require("numpy")
        session, tokenizer = self._load()
        vectors: NDArray[np.float32] = numpy.empty((len(texts), _DIMENSIONS), dtype=numpy.float32)
        for row, text in enumerate(texts):
            ids = numpy.asarray([tokenizer.encode(_encodable(text)).ids], dtype=numpy.int64)
            (states,) = session.run(
                ["last_hidden_state"],
                {
                    "input_ids": ids,
                    "attention_mask": numpy.ones_like(ids),
                    "token_type_ids": numpy.zeros_like(ids),
                },
            )
            # No token is padding, so the masked mean is the plain one.
            mean = states[0].mean(axis=0)
            vectors[row] = mean / numpy.linalg.norm(mean)
        return vectors

    def _load(self) -> tuple[Any, Any]:
        with self._lock:
            if self._loaded is None:
                self._loaded = (_session(), _tokenizer())
            return self._loaded


def _session() -> Any:
    onnxruntime = require("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(locate(MINILM)), options, providers=["CPUExecutionProvider"])


def _tokenizer() -> Any:
    tokenizer = require("tokenizers").Tokenizer.from_file(str(locate(MINILM_TOKENIZER)))
    # The file pads every text to 128 tokens and cuts it there.
    tokenizer.no_padding()
    tokenizer.enable_truncation(_MAX_TOKENS)
    return tokenizer


def _encodable(text: str) -> str:
    # A lone surrogate (bytes that were no UTF-8 when a file was read) cannot be handed to the tokenizer.
    return text.encode("utf-8", "replace").decode("utf-8")
