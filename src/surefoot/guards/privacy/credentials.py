"""Secrets by what stands around them: headers, addresses, assignments, private keys, signed tokens."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter

from surefoot.guards.privacy.rule import LEFT, SECRET, Measure, Rule

MASK = "[secret]"
"""What stands in the place of a secret."""

_STAND_INS = frozenset(
    (
        *(
            "password",
            "passwd",
            "secret",
            "token",
            "changeme",
            "example",
            "placeholder",
            "redacted",
            "hidden",
        ),
        *("masked", "undefined", "required", "optional", "none", "null", "true", "false", "string", "value"),
        *("your", "yourpassword", "mypassword"),
    )
)
# Parts of what stands for a secret and is none: in documents, and in code that reads it from somewhere.
_PARTS = (
    *("${", "{{", "}}", "%(", "...", "***", "xxxx", "<", "os.environ", "getenv", "process.env", "example"),
    *("your-", "your_", "change", "[secret]", "(", "placeholder", "redacted"),
)
_NAMES = re.compile(r"[A-Za-z_.\[\]|/-]+")
_NEXT_FIELD = re.compile(r"[&;,](?=[A-Za-z][A-Za-z0-9_.-]{0,40}=)")
_TRAILING = ".,;:)]}&"
_SIGNS = frozenset("!@#$%^*+=/~|?-_.&:")


def entropy(text: str) -> float:
    """Bits per character of a text, by how often each occurs in it (Shannon 1948)."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def _stripped(text: str) -> str:
    """A value without the punctuation of the sentence around it."""
    return text.rstrip(_TRAILING)


def _is_stand_in(value: str) -> bool:
    lower = value.lower()
    return lower.strip("-_") in _STAND_INS or any(part in lower for part in _PARTS)


def _measure_password(text: str) -> int:
    """A password has a digit or a sign in the midst of letters, and is no name that code or a document gives one."""
    value = _stripped(text)
    if len(value) < 6 or _is_stand_in(value):
        return 0
    has_digit = any(sign.isdigit() for sign in value)
    has_letter = any(sign.isalpha() for sign in value)
    has_capital = value != value.lower() and value != value.upper()
    has_sign = any(sign in _SIGNS for sign in value.strip("-_.:/"))
    if not has_letter or _NAMES.fullmatch(value) or "://" in value:
        # `self.password`, `user_password`, `Optional[bytes]`; a number is a setting, an address has its own rule.
        return 0
    if not (has_digit or (has_sign and has_capital)):
        return 0
    return len(value) if entropy(value) >= 2.2 else 0


def _measure_key(text: str) -> int:
    """A key or a token is longer, and as good as random."""
    value = _stripped(text)
    if len(value) < 12 or _is_stand_in(value) or not any(sign.isdigit() for sign in value):
        return 0
    return len(value) if entropy(value) >= 3.0 and any(sign.isalpha() for sign in value) else 0


def _or_its_first_field(measure: Measure) -> Measure:
    """Of a value that is none as a whole, what stands before a next field, as in the query of an address."""

    def measured(text: str) -> int:
        whole = measure(text)
        if whole or (field := _NEXT_FIELD.search(text)) is None:
            return whole
        return measure(text[: field.start()])

    return measured


def _measure_bearer(text: str) -> int:
    value = text.rstrip(_TRAILING)
    if len(value) < 12 or _is_stand_in(value):
        return 0
    is_random = any(sign.isdigit() for sign in value) or (
        len(value) >= 24 and value != value.lower() and entropy(value) >= 3.5
    )
    return len(value) if is_random else 0


def _measure_basic(text: str) -> int:
    """User and password with a colon between them, in base64."""
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        return 0
    return len(text) if b":" in plain else 0


def _measure_url(text: str) -> int:
    return 0 if _is_stand_in(text) or not text.strip("*x") else len(text)


def _measure_signed(text: str) -> int:
    return len(text.rstrip("."))


# Between a name and its value: quotes (escaped where JSON stands in JSON), blanks, and what assigns.
_QUOTE = r"""(?:\\{0,3}["'`])?"""
_ASSIGNS = rf"{_QUOTE}\s{{0,4}}(?::=|=>|==?|:)\s{{0,4}}{_QUOTE}"
_SAYS = rf"{_QUOTE}\s{{1,3}}(?:is|was|to|ist|lautet|reads)\s{{0,2}}:?\s{{1,3}}{_QUOTE}"
# A backslash is of a value only where it is escaped; alone it begins what is not.
_SIGN = r"""(?:[^\s"'`\\<>]|\\\\)"""
_VALUE = rf"({_SIGN}{{6}})"
_REST = rf"{_SIGN}*"
_WORD = r"(?:pass(?:word|wd|phrase|code)|passwort|kennwort|pwd|mot de passe|contrase\x{f1}a)"
_NAME = (
    r"(?:api[_ -]?key|apikey|api[_ -]?token|api[_ -]?secret|access[_-]?key|access[_ -]?token|auth[_ -]?token|"
    r"account[_-]?key|secret[_ -]?access[_-]?key|secret[_ -]?key|client[_ -]?secret|app[_-]?secret|"
    r"shared[_-]?secret|signing[_-]?secret|signing[_-]?key|encryption[_-]?key|private[_-]?key|refresh[_ -]?token|"
    r"session[_-]?token|bot[_-]?token|deploy[_-]?key|master[_-]?key|license[_-]?key|webhook[_-]?secret|"
    r"credentials?|secret|token)"
)

_ENDS = r"(?:\s|\\{1,2}[nr])"
"""The end of a line, escaped where JSON stands in JSON."""

CREDENTIALS: tuple[Rule, ...] = (
    Rule(
        SECRET,
        "private-key",
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY",
        # Whole, or as much of one as stands there: an error message cuts them.
        rf"(-----BEGIN [A-Z ]{{0,30}}PRIVATE KEY(?: BLOCK)?-----{_ENDS}*"
        rf"(?:[A-Za-z-]{{1,30}}: [^\n\\]{{0,100}}{_ENDS}+)*"
        rf"(?:(?:[A-Za-z0-9+/=]+{_ENDS}*)+-----END [A-Z ]{{0,30}}PRIVATE KEY(?: BLOCK)?-----"
        rf"|(?:[A-Za-z0-9+/=]{{16,}}{_ENDS}*)+(?:[A-Za-z0-9+/]{{0,15}}={{1,2}})?))",
    ),
    Rule(
        SECRET,
        "jwt",
        r"eyJ[A-Za-z0-9_-]{6}",
        LEFT + r"(eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){1,3})",
        _measure_signed,
        is_guess=True,
    ),
    Rule(
        SECRET,
        "bearer",
        r"(?i)bearer\s",
        r"(?i)\bbearer\s{1,4}([A-Za-z0-9._~+/-]{12,}={0,2})",
        _measure_bearer,
        is_guess=True,
    ),
    Rule(
        SECRET,
        "basic",
        r"(?i)basic\s",
        r"(?i)\bbasic\s{1,4}([A-Za-z0-9+/_-]{8,}={0,2})",
        _measure_basic,
        is_guess=True,
    ),
    Rule(
        SECRET,
        "url-password",
        r"://[^\s/]{0,4}",
        r"""[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s:@/"'<>\\]{0,128}:([^\s/"'<>\\]{1,256})@""",
        _measure_url,
        is_guess=True,
    ),
    Rule(
        SECRET,
        "password",
        rf"(?i){_WORD}",
        rf"(?i){_WORD}[0-9]?(?:{_ASSIGNS}|{_SAYS}|\s{{1,2}}{_QUOTE}){_VALUE}",
        _or_its_first_field(_measure_password),
        _REST,
        is_guess=True,
    ),
    Rule(
        SECRET,
        "assigned",
        rf"(?i)(?:key|token|secret|credentials?){_QUOTE}(?:\s{{0,4}}[:=]|\s{{1,3}}(?:is|was|to|ist|lautet|reads)[\s:])",
        rf"(?i){_NAME}(?:{_ASSIGNS}|{_SAYS}){_VALUE}",
        _or_its_first_field(_measure_key),
        _REST,
        is_guess=True,
    ),
)
