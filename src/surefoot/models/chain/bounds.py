"""The most that a request can take, in tokens and money, before it is sent: pure functions of the request.

A token of text stands for a byte or more in every tokeniser that models use (byte-level BPE, SentencePiece with byte
fallback, WordPiece), and a request's JSON has more bytes than its text. So its bytes bound the tokens of its prompt,
with the names of roles around each message; what the provider adds to it is a margin (`_FRAME`, `_TEMPLATE`, `_TOOLS`).
What is not in the request, such as an earlier answer that the provider keeps, may fill the model's whole window.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, cast

from surefoot.errors import UnboundedCall
from surefoot.models.chain import pictures
from surefoot.models.chain.hosted import Refuse, hosted_uses
from surefoot.models.chain.parts import Part, parts_of
from surefoot.models.chain.prices import Rates
from surefoot.models.chain.published import Window
from surefoot.models.chain.vendors import vendor_of_model
from surefoot.values import Money

_FRAME = 64
"""Tokens that a chat format puts around a conversation, beside those of each message, which its JSON outweighs."""
_TEMPLATE = 512
"""The same for open weights, whose chat templates may write a system prompt of their own."""
_MAKERS = frozenset({"openai", "azure", "anthropic", "google"})
_TOOLS = 2_048
"""Tokens of what providers tell a model about tools: Anthropic's is up to 600, its own tools take up to 800 each."""
_SEALED = 4
"""Reasoning that comes back sealed may be compressed: its bytes count this often."""
_PICTURE = 1_000
"""Tokens that a picture takes as a rule."""
_ANSWER = 500
"""Tokens that an answer takes as a rule."""
BYTES_PER_TOKEN = 4

PICTURES = "openai.images"
EMBEDDINGS = frozenset({"openai.embeddings", "google.embeddings"})
_LIMITS: Mapping[str, tuple[str, ...]] = {
    "openai.chat": ("max_completion_tokens", "max_tokens"),
    "openai.completions": ("max_tokens",),
    "openai.responses": ("max_output_tokens",),
    "anthropic.messages": ("max_tokens",),
    "google.generate_content": ("maxOutputTokens", "max_output_tokens"),
}
_RENAMED = frozenset({"openai", "azure"})

# What may be charged in ways that no table tells.
_UNTOLD: Mapping[str, tuple[str, ...]] = {
    "openai.chat": ("web_search_options", "plugins", "models"),
    "openai.responses": ("context_management",),
    "anthropic.messages": ("mcp_servers", "container", "fallbacks", "context_management", "compaction"),
}
_SCHEMAS = (
    *("tools", "functions", "response_format", "text", "output_config", "output_format"),
    *("generationConfig", "generation_config"),
)


@dataclass(frozen=True, slots=True)
class Load:
    """A request as limits weigh it: `raw` is its JSON as it is sent, `priced_as` the model by its price."""

    operation: str
    provider: str
    model: str
    body: Mapping[str, object] = field(repr=False)
    raw: bytes = field(repr=False)
    priced_as: str = ""

    def __str__(self) -> str:
        """As messages call it."""
        return f"{self.operation} of {self.provider}:{self.model}"

    @property
    def name(self) -> str:
        """The model that prices and windows are looked up by."""
        return self.priced_as or self.model

    @property
    def limit(self) -> int | None:
        """How many tokens the request lets an answer have; None where it does not say."""
        place = _mapping(self.body.get("generationConfig") or self.body.get("generation_config"))
        where = place if self.operation.startswith("google") else self.body
        named = [where.get(name) for name in _LIMITS.get(self.operation, ())]
        # Servers take 0 and -1 for no limit.
        found = [value for value in named if type(value) is int and value > 0]
        return max(found) if found else None


@dataclass(frozen=True, slots=True)
class Most:
    """The most that a request can take: tokens read and written, and the fees of tools that the provider runs."""

    read: int
    written: int
    fees: Money = Money()


def most_of(load: Load, window: Window) -> Most:
    """The most tokens that a request can take. Raises `UnboundedCall`, which names what would bound it."""
    _refuse_untold(load)
    uses, fees = hosted_uses(load.operation, load.provider, load.name, load.body, unbounded=_unbounded(load))
    read, is_elsewhere = _read(load)
    if uses or is_elsewhere:
        if window.context is None:
            _no_window(load, "its prompt is not all in the request")
        # Each use of such a tool puts what it found before the model once more.
        read = window.context * (uses + 1)
    elif window.context is not None and load.operation not in EMBEDDINGS | {"openai.completions"}:
        read = min(read, window.context)
    if load.operation in EMBEDDINGS:
        return Most(read, 0, fees)
    limit = load.limit
    if limit is None:
        limit = window.output
    if limit is None:
        _no_window(load, "it sets no limit to its answer")
    guessed = _written(load.body.get("prediction"))
    return Most(read, (limit * (uses + 1) + guessed) * _choices(load), fees)


def worst_of(most: Most, rates: Sequence[Rates], load: Load) -> Money:
    """The most that a request can cost, by the dearest of the rates that it may be charged by.

    Raises `UnboundedCall` where no price is known.
    """
    writes_cache = is_long = True
    if load.operation == "anthropic.messages":
        writes_cache, is_long = b'"cache_control"' in load.raw, b'"1h"' in load.raw
    found = [one.worst(most.read, most.written, writes_cache=writes_cache, is_long=is_long) for one in rates]
    known = [worst for worst in found if worst is not None]
    if not known or len(known) < len(found):
        refuse(
            load,
            "no price is known for it",
            f'set one: [prices."{load.provider}:{load.name}"] with input and output in dollars per million tokens',
        )
    return max(known) + most.fees


def expected_tokens(load: Load) -> int:
    """How many tokens a request will take as a rule: those that are read, and the answer that it asks for."""
    read = expected_read(load)
    if load.operation in EMBEDDINGS:
        return read
    return read + (_ANSWER if load.limit is None else load.limit) * _choices(load)


def expected_read(load: Load) -> int:
    """How many tokens the prompt of a request has as a rule: a quarter of its bytes, and some for each picture."""
    packed = count = 0
    for part in parts_of(load.operation, load.body):
        packed += 0 if part.kind == "sealed" else part.packed
        count += part.kind == "picture"
    return max(len(load.raw) - packed, 0) // BYTES_PER_TOKEN + count * _PICTURE


def capped(load: Load, limit: int) -> dict[str, object] | None:
    """The body with a limit for the answer, or None where it has one or the operation knows none."""
    if load.operation not in _LIMITS or load.limit is not None:
        return None
    if load.operation.startswith("google"):
        name = "generation_config" if "generation_config" in load.body else "generationConfig"
        return {**load.body, name: {**_mapping(load.body.get(name)), "maxOutputTokens": limit}}
    names = _LIMITS[load.operation]
    is_renamed = load.provider in _RENAMED and vendor_of_model(load.name) == "openai"
    # Other servers of that format know it by its old name.
    return {**load.body, names[0] if is_renamed else names[-1]: limit}


def refuse(load: Load, why: str, fix: str) -> NoReturn:
    """Raise `UnboundedCall`."""
    raise UnboundedCall(
        f"{load} was not sent: what it may cost at most cannot be told, and a budget needs to know. {why[:1].upper()}"
        f"{why[1:]}: {fix}"
    )


def _read(load: Load) -> tuple[int, bool]:
    """The most tokens of the prompt as far as it is in the request, and whether there is more of it elsewhere."""
    body = load.body
    read = _length(load) + (_FRAME if load.provider in _MAKERS else _TEMPLATE)
    # A thread holds what came before.
    is_elsewhere = load.operation == "anthropic.messages" and bool(body.get("thread"))
    # Templates write schemas out with line breaks and indentation.
    read += sum(_written(body.get(name)) for name in _SCHEMAS)
    if body.get("tools") or body.get("functions"):
        read += _TOOLS
    for part in parts_of(load.operation, body):
        if part.kind == "sound":
            refuse(
                load, f"it has {part.what}, whose price is another", "leave it out of calls under a budget"
            )
        if part.kind == "sealed":
            read += (_SEALED - 1) * part.packed
            continue
        read -= part.packed
        most = _of_picture(load, part)
        is_elsewhere = is_elsewhere or most is None
        read += most or 0
    return max(read, 1), is_elsewhere


def _length(load: Load) -> int:
    """How many bytes the request has, also where a tokeniser first replaces characters by those that they stand for.

    Compatibility forms (NFKC) of a few characters are long: U+FDFA, of 3 bytes, becomes 33.
    """
    raw = load.raw
    if raw.isascii() and b"\\u" not in raw:
        return len(raw)
    text = json.dumps(load.body, ensure_ascii=False)
    return max(len(raw), len(unicodedata.normalize("NFKC", text).encode("utf-8", "surrogatepass")))


def _of_picture(load: Load, part: Part) -> int | None:
    return pictures.most_tokens(load.provider, load.name, part) if part.kind == "picture" else None


def _choices(load: Load) -> int:
    """How many answers are asked for."""
    body, numbers = load.body, list[object]()
    if load.operation == "google.generate_content":
        place = _mapping(body.get("generationConfig") or body.get("generation_config"))
        numbers = [place.get("candidateCount"), place.get("candidate_count")]
    elif load.operation in ("openai.chat", "openai.completions"):
        numbers = [body.get("n"), body.get("best_of")]
    count = max([1, *(number for number in numbers if type(number) is int)])
    prompts = body.get("prompt") if load.operation == "openai.completions" else None
    # A list of numbers is one prompt in tokens.
    if isinstance(prompts, list) and prompts and not isinstance(prompts[0], int):
        count *= len(cast("list[object]", prompts))
    return count


def _refuse_untold(load: Load) -> None:
    body = load.body
    for name in _UNTOLD.get(load.operation, ()):
        if body.get(name):
            refuse(load, f"what {name!r} costs is in no table", f"leave {name} out of calls under a budget")
    modes = [body.get("modalities"), _mapping(body.get("generationConfig")).get("responseModalities")]
    for mode in modes:
        if isinstance(mode, list) and {str(each).lower() for each in cast("list[object]", mode)} - {"text"}:
            refuse(load, "it asks for an answer that is no text", "leave it out of calls under a budget")
    for name, plain in (("speed", "standard"), ("inference_geo", "global")):
        if load.operation == "anthropic.messages" and body.get(name) not in (None, plain):
            refuse(load, f"the price of {name} {body[name]!r} is in no table", f"leave {name} out")


def _unbounded(load: Load) -> Refuse:
    def raise_it(why: str, fix: str) -> NoReturn:
        refuse(load, why, fix)

    return raise_it


def _written(value: object) -> int:
    """How many bytes the JSON of a part of the request has; 0 where it is not there."""
    return len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")) if value else 0


def _no_window(load: Load, why: str) -> NoReturn:
    names = _LIMITS.get(load.operation, ("max_tokens",))
    own = f"set {names[0]} in the call, or cap_output in the budget"
    fix = own if "limit" in why else "put all of it into the request"
    refuse(load, f"{why}, and how much its model can take is in no table", fix)


def _mapping(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}
