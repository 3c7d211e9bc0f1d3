"""Compressed texts, read no further than they may be: a few bytes can stand for more than there is memory."""

from __future__ import annotations

import sys

from surefoot.errors import InvalidInput

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MOST_IMPORTED = 268_435_456
"""Bytes that a value in a file which somebody else has made may have, decompressed."""


def decompressed(data: bytes, *, most: int | None) -> bytes:
    """The text; `most` is how many bytes of it are read, None for all.

    Raises `InvalidInput` where it has more, and `ZstdError` where it is malformed.
    """
    if most is None:
        return zstd.decompress(data)
    reader = zstd.ZstdDecompressor()
    text = reader.decompress(data, max_length=most + 1)
    if len(text) > most:
        raise InvalidInput(
            f"a recorded value in it has more than {most:,} bytes once it is decompressed, from {len(data):,}: if you "
            "trust whoever made the file, and have the memory, give --max-value a higher number; else do not import it"
        )
    if not reader.eof or reader.unused_data:
        raise zstd.ZstdError("a compressed text that does not end where it should")
    return text
