"""The special tokens of model families: what a provider's chat template is made of, and no text of a user may hold."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

REMOVED = "\ufffd"
"""Stands where a token was, so that what is left on both sides does not come together as another one."""

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "ChatML": ("<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|endoftext|>", "<|endofprompt|>"),
    "Harmony": (
        *("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|return|>", "<|call|>"),
        *("<|startoftext|>", "<|refusal|>"),
    ),
    "Llama 2 and Mistral": (
        *("<s>", "</s>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"),
        *("[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"),
        *("[TOOL_CONTENT]", "[ARGS]", "[THINK]", "[/THINK]", "[MODEL_SETTINGS]", "[/MODEL_SETTINGS]"),
        *("[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[IMG]"),
    ),
    "Llama 3 and 4": (
        *("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        *("<|eom_id|>", "<|python_tag|>", "<|header_start|>", "<|header_end|>", "<|eot|>", "<|eom|>"),
        *("<|step|>", "<|python_start|>", "<|python_end|>"),
    ),
    "Gemma": ("<bos>", "<eos>", "<pad>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"),
    "Phi and Zephyr": ("<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>"),
    "Qwen": (
        *("<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"),
        *("<tools>", "</tools>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"),
    ),
    "DeepSeek": (
        *("<|begin_of_sentence|>", "<|end_of_sentence|>", "<|tool_calls_begin|>", "<|tool_outputs_begin|>"),
        *("<|tool_call_begin|>", "<|tool_sep|>", "<|tool_call_end|>", "<|tool_calls_end|>"),
    ),
    "Command": (
        *("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|SYSTEM_TOKEN|>", "<|USER_TOKEN|>"),
        *("<|CHATBOT_TOKEN|>", "<BOS_TOKEN>", "<EOS_TOKEN>", "<PAD_TOKEN>"),
    ),
    "Granite and Falcon": ("<|start_of_role|>", "<|end_of_role|>", "<|end_of_text|>", ">>QUESTION<<"),
    "Claude": ("<function_calls>", "</function_calls>", "<function_results>", "</function_results>"),
    "GLM and Kimi": ("<|observation|>", "[gMASK]", "<sop>", "<eop>", "<|im_middle|>", "<|im_user|>"),
}
"""By family, as its chat template writes them. Of the shape `<|name|>` all are taken, listed or not."""

# Characters that a reader takes for those that tags are made of.
_LIKE = {
    "<": "\u2039\u2329\u27e8\u276e\u276c\u3008\u300a\u00ab\u27ea\uff1c\ufe64\u02c2\u1438\u227a\u29fc",
    ">": "\u203a\u232a\u27e9\u276f\u276d\u3009\u300b\u00bb\u27eb\uff1e\ufe65\u02c3\u1433\u227b\u29fd",
    "|": "\uff5c\u01c0\u2223\u2758\u23d0\u00a6\u2502\u2503\u05c0\uffe8\u2016\u2225",
    "/": "\uff0f\u2044\u2215\u29f8\u2571\u27cb",
    "[": "\uff3b\u3010\u3014\u301a\u27e6\u2045\u2772",
    "]": "\uff3d\u3011\u3015\u301b\u27e7\u2046\u2773",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u2500\u30fc",
    "_": "\u2581\uff3f\u02cd\ufe4d\ufe4e\ufe4f\u203f",
    " ": "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000",
}
# However many: taken once and for all, so that a text of nothing else is gone through once.
_BLANKS = r"[\s\x00-\x1f\x7f-\x9f\u2800]*+"
_SLASH = rf"(?:\\?/{_BLANKS})?"
"""That of an end, also as JSON escapes it."""
# Without one of these there is no token.
_OPENING = re.compile("[" + re.escape("<[\u226e\ufe47" + _LIKE["<"] + _LIKE["["]) + "]")


class _Folding(dict[int, str]):
    """What each character looks like, found when it is first met.

    That is one character for nearly all, more for those that are two letters in one, nothing for marks upon letters.
    """

    def __init__(self, known: Mapping[int, str]) -> None:
        super().__init__(known)
        self.uneven: set[str] = set()
        """The characters that were met and do not look like one."""

    def __missing__(self, code: int) -> str:
        from surefoot.texts.characters import skeleton

        character = chr(code)
        found = skeleton(character)
        if len(found) != 1 and not found.isascii():
            lower = unicodedata.normalize("NFKC", character).lower()
            found = lower if len(lower) == 1 else character
        if len(found) != 1:
            # First: another thread may find the other at once.
            self.uneven.add(character)
        if len(self) < _MOST_FOLDED:
            self[code] = found
        return found


_MOST_FOLDED = 20_000
_folding = _Folding(
    {code: chr(code).lower() for code in range(128)}
    | {ord(like): plain for plain, characters in _LIKE.items() for like in characters}
)


def _inner(token: str) -> str:
    return re.escape(token.strip("<>[]|/").lower())


@lru_cache(maxsize=4)
def pattern(also: str = "(?!)") -> re.Pattern[str]:
    """What matches a special token in the small letters of `looks`, also with blanks in its brackets.

    `also` is a pattern of what else is to be found, behind `<` or `</`, which JSON may write with a backslash. Every
    part is bounded, or taken once and for all: it takes no time.
    """
    tokens = {token for listed in FAMILIES.values() for token in listed}
    piped = "|".join(sorted({_inner(token) for token in tokens if token.startswith("<|")}))
    square = "|".join(sorted({_inner(token) for token in tokens if token.startswith("[")}))
    tags = "|".join(
        sorted({_inner(token) for token in tokens if token.startswith("<") and token[1] not in "|<"})
    )
    name = rf"(?:[\w:./-]{{1,64}}|{_BLANKS}(?:{piped}){_BLANKS}{_SLASH})"
    return re.compile(
        # A class first, and no flag: so it is searched for at the speed of memory.
        rf"[<\[>](?:(?<=<){_BLANKS}{_SLASH}(?:{also}|(?:{tags}){_BLANKS}/?{_BLANKS}>"
        rf"|\|{_SLASH}{name}\|{_BLANKS}{_SLASH}>"
        rf"|<{_BLANKS}{_SLASH}sys{_BLANKS}>{_BLANKS}>)"
        rf"|(?<=\[){_BLANKS}{_SLASH}(?:{square}){_BLANKS}\]"
        r"|(?<=>)>(?:question|answer|summary|introduction|comment|title|domain|prefix|middle|suffix)<<)"
    )


def looks(text: str) -> str:
    """The text in small letters as a reader takes it: what looks like a Latin letter or like a bracket is one."""
    return text.lower() if text.isascii() else text.translate(_folding)


def taken_out(text: str, found: re.Pattern[str]) -> tuple[str, int]:
    """The text without what a pattern finds in its looks, and how often that was."""
    if _OPENING.search(text) is None:
        return text, 0
    spans = [match.span() for match in found.finditer(looks(text))]
    if spans and not _folding.uneven.isdisjoint(text):
        places = _places(text)
        spans = [(places[begin], places[end]) for begin, end in spans]
    pieces: list[str] = []
    position = count = 0
    for begin, end in spans:
        pieces += (text[position:begin], REMOVED)
        position, count = end, count + 1
    return ("".join([*pieces, text[position:]]), count) if count else (text, 0)


def _places(text: str) -> list[int]:
    """Where in a text each character of its looks stands, and the end."""
    return [at for at, sign in enumerate(text) for _ in _folding[ord(sign)]] + [len(text)]
