"""The embedded models: a small instruct model in a process of its own, and a sentence embedder."""

from surefoot.models.local.minilm import MiniLM
from surefoot.models.local.process import ANSWER_RESERVE, CONTEXT, MODEL_NAME, EmbeddedServer, shared_server
from surefoot.models.local.requantise import model_path, requantise
from surefoot.models.local.weights import (
    MINILM,
    MINILM_TOKENIZER,
    SMOLLM2,
    WEIGHTS,
    Weights,
    cache_folder,
    ensure,
    install,
    install_command,
    locate,
    missing,
)

__all__ = [
    "ANSWER_RESERVE",
    "CONTEXT",
    "MINILM",
    "MINILM_TOKENIZER",
    "MODEL_NAME",
    "SMOLLM2",
    "WEIGHTS",
    "EmbeddedServer",
    "MiniLM",
    "Weights",
    "cache_folder",
    "ensure",
    "install",
    "install_command",
    "locate",
    "missing",
    "model_path",
    "requantise",
    "shared_server",
]
