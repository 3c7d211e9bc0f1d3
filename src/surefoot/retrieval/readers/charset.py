"""The character encoding of an HTML file, found as browsers find it where no server tells."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress

from surefoot.retrieval.readers.writing import Refused

_PRESCAN_BYTES = 1024
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_DECLARED = re.compile(
    rb"""<\?xml\s[^>]*?encoding\s*=\s*["']([\w.:+-]+)|<meta\s[^>]*?charset\s*=\s*["']?\s*([\w.:+-]+)""",
    re.IGNORECASE,
)
# Labels that do not mean what Python means by them, as most pages that say Latin-1 use the Windows characters
# above it; and a page that can say in ASCII that it is UTF-16 is not.
_MEANT = {
    **dict.fromkeys(
        ("ascii", "us-ascii", "latin1", "latin-1", "iso-8859-1", "iso8859-1", "l1"), "windows-1252"
    ),
    **dict.fromkeys(("utf-16", "utf-16le", "utf-16be", "unicode"), "utf-8"),
    **dict.fromkeys(("gb2312", "gbk", "x-gbk"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "korean"), "cp949"),
    **dict.fromkeys(("iso-8859-9", "latin5"), "windows-1254"),
    **dict.fromkeys(("iso-8859-11", "tis-620"), "windows-874"),
    "big5": "big5hkscs",
    "macintosh": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic",
}
# Not every codec of Python is an encoding of text on the web; some of them execute escapes.
_KNOWN = re.compile(
    r"utf-?8|windows-?(?:874|125\d)|cp(?:125\d|932|949|866)|iso-?8859-\d{1,2}|koi8-[ru]|ibm866|gb18030|big5(?:hkscs)?"
    r"|euc-?jp|iso-2022-jp|mac_roman|mac_cyrillic"
)


def text_of(source: bytes) -> str:
    """The text of an HTML file.

    A byte order mark decides, then what `meta` or the XML declaration says, then UTF-8 if it fits, else
    Windows-1252. Bytes that do not fit a declared encoding become U+FFFD, unless the whole is UTF-8. Raises
    `Refused` if it is not text.
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if source.startswith(mark):
            return _checked(source[len(mark) :].decode(encoding, "replace"))
    declared = declared_encoding(source)
    for likely in (declared or "utf-8", "utf-8"):
        with suppress(UnicodeDecodeError):
            return _checked(source.decode(likely))
    return _checked(source.decode(declared or "windows-1252", "replace"))


def declared_encoding(source: bytes) -> str | None:
    """The codec of the encoding that the beginning of a file declares; None if it declares none that is known."""
    found = _DECLARED.search(_COMMENT.sub(b"", source[:_PRESCAN_BYTES]))
    if not found:
        return None
    label = (found[1] or found[2]).decode("ascii", "replace").lower()
    encoding = _MEANT.get(label, label)
    return codecs.lookup(encoding).name if _is_known(encoding) else None


def _is_known(encoding: str) -> bool:
    if not _KNOWN.fullmatch(encoding):
        return False
    try:
        codecs.lookup(encoding)
    except LookupError:
        return False
    return True


def _checked(text: str) -> str:
    if "\0" in text:
        raise Refused("it is not text (it holds NUL characters)")
    return text
