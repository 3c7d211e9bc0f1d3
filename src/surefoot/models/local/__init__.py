"""The embedded models: a small instruct model in a process of its own, and a sentence embedder."""

from typing import TYPE_CHECKING

from surefoot import doors

if TYPE_CHECKING:
    from surefoot.models.local.minilm import MiniLM as MiniLM
    from surefoot.models.local.process import ANSWER_RESERVE as ANSWER_RESERVE
    from surefoot.models.local.process import CONTEXT as CONTEXT
    from surefoot.models.local.process import MODEL_NAME as MODEL_NAME
    from surefoot.models.local.process import EmbeddedServer as EmbeddedServer
    from surefoot.models.local.process import shared_server as shared_server
    from surefoot.models.local.requantise import model_path as model_path
    from surefoot.models.local.requantise import requantise as requantise
    from surefoot.models.local.weights import MINILM as MINILM
    from surefoot.models.local.weights import MINILM_TOKENIZER as MINILM_TOKENIZER
    from surefoot.models.local.weights import SMOLLM2 as SMOLLM2
    from surefoot.models.local.weights import WEIGHTS as WEIGHTS
    from surefoot.models.local.weights import Weights as Weights
    from surefoot.models.local.weights import cache_folder as cache_folder
    from surefoot.models.local.weights import ensure as ensure
    from surefoot.models.local.weights import install as install
    from surefoot.models.local.weights import install_command as install_command
    from surefoot.models.local.weights import locate as locate
    from surefoot.models.local.weights import missing as missing
else:
    __getattr__, __dir__ = doors.lazy(
        __name__,
        {
            "minilm": ["MiniLM"],
            "process": ["ANSWER_RESERVE", "CONTEXT", "MODEL_NAME", "EmbeddedServer", "shared_server"],
            "requantise": ["model_path", "requantise"],
            "weights": [
                "MINILM",
                "MINILM_TOKENIZER",
                "SMOLLM2",
                "WEIGHTS",
                "Weights",
                "cache_folder",
                "ensure",
                "install",
                "install_command",
                "locate",
                "missing",
            ],
        },
    )
