"""How many tokens a picture takes at most, by the rules that providers publish."""

from __future__ import annotations

import base64
import binascii
import re
import struct

from surefoot.models.chain.parts import Part

_CLAUDE = 4_784
"""The most after Anthropic has made it smaller: 1,568 by 1,568 for most models, more for those of high resolution."""

_TILES = 8
"""OpenAI makes it fit into 2,048 by 2,048 with a shorter side of 768, in tiles of 512."""
_BY_TILES = (
    (re.compile(r"gpt-4o-mini"), 2_833, 5_667),
    (re.compile(r"(gpt-4o|gpt-4\.1|gpt-4\.5|chatgpt-4o|gpt-4-turbo)(-\d|-latest|-preview|$)"), 85, 170),
    (re.compile(r"gpt-5(-\d{4}|-chat|$)"), 70, 140),
    (re.compile(r"(o1|o3)(-pro)?(-\d{4}|$)"), 75, 150),
)
_PATCHES = 24_600
"""For its other models: 10,000 patches of 32 by 32, which the dearest of them count 2.46 times."""

_GEMINI_TILE, _GEMINI_SIDE = 258, 256
"""Tokens of a tile, and the least that its side can be."""
_GEMINI_LEAST = 2_240
"""What the highest resolution takes that a request may ask for."""
_HEAD = 1 << 20
"""How much of the base64 of a picture is looked at for its size."""


def most_tokens(provider: str, model: str, picture: Part) -> int | None:
    """The most tokens that a picture takes; None where the provider has no rule that says so.

    One that the provider fetches itself may have any size, as far as the rule goes.
    """
    name = model.lower().removeprefix("models/")
    match provider:
        case "anthropic":
            return _CLAUDE
        case "openai" | "azure":
            for form, base, tile in _BY_TILES:
                if form.match(name):
                    return base if picture.detail == "low" else base + _TILES * tile
            return _PATCHES
        case "google":
            size = size_of(picture.data)
            if size is None:
                return None
            across, down = (-(-side // _GEMINI_SIDE) for side in size)
            return max(_GEMINI_TILE * across * down, _GEMINI_LEAST)
        case "local":
            return 0
        case _:
            return None


def size_of(data: str) -> tuple[int, int] | None:
    """Width and height of a picture in base64 (PNG, JPEG, GIF, WebP), or None where that cannot be read."""
    try:
        head = base64.b64decode(data[:_HEAD])
    except (binascii.Error, ValueError):
        return None
    try:
        if head.startswith(b"\x89PNG"):
            return _pair(struct.unpack_from(">II", head, 16))
        if head.startswith(b"GIF8"):
            return _pair(struct.unpack_from("<HH", head, 6))
        if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
            return _of_webp(head)
        if head.startswith(b"\xff\xd8"):
            return _of_jpeg(head)
    except (struct.error, IndexError):
        return None
    return None


def _of_webp(head: bytes) -> tuple[int, int] | None:
    match head[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
        case b"VP8L":
            packed = int.from_bytes(head[21:25], "little")
            return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
        case b"VP8 ":
            across, down = struct.unpack_from("<HH", head, 26)
            return across & 0x3FFF, down & 0x3FFF
        case _:
            return None


def _of_jpeg(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 < len(head):
        if head[at] != 0xFF:
            return None
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            down, across = struct.unpack_from(">HH", head, at + 5)
            return across, down
        at += 2 + struct.unpack_from(">H", head, at + 2)[0]
    return None


def _pair(found: tuple[int, ...]) -> tuple[int, int]:
    return found[0], found[1]
