"""Secrets and personal data as they stand in texts, made at random: of the vendors' forms, with valid check digits."""

from __future__ import annotations

import base64
import itertools
import json
import string
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
ALNUM, HEX, URL_SAFE = string.ascii_letters + DIGITS, DIGITS + "abcdef", string.ascii_letters + DIGITS + "-_"


@dataclass(frozen=True, slots=True)
class Sample:
    """A text and what of it is to be hidden."""

    kind: str
    text: str
    value: str


def signs(random: Random, alphabet: str, count: int) -> str:
    return "".join(random.choices(alphabet, k=count))


def keys(random: Random) -> dict[str, str]:
    """A fresh key of each vendor."""

    def some(alphabet: str, count: int) -> str:
        return signs(random, alphabet, count)

    return {
        "openai": "sk-" + some(ALNUM, 48),
        "openai-project": "sk-proj-" + some(URL_SAFE, 120),
        "anthropic": "sk-ant-api03-" + some(URL_SAFE, 93) + "AA",
        "openrouter": "sk-or-v1-" + some(HEX, 64),
        "huggingface": "hf_" + some(string.ascii_letters, 34),
        "groq": "gsk_" + some(ALNUM, 52),
        "xai": "xai-" + some(ALNUM, 80),
        "perplexity": "pplx-" + some(ALNUM, 48),
        "nvidia": "nvapi-" + some(URL_SAFE, 64),
        "replicate": "r8_" + some(ALNUM, 37),
        "langsmith": f"lsv2_pt_{some(HEX, 32)}_{some(HEX, 10)}",
        "tavily": "tvly-dev-" + some(ALNUM, 32),
        "aws": "AKIA" + some(UPPER + "234567", 16),
        "google": "AIza" + some(URL_SAFE, 35),
        "google-oauth": "ya29." + some(URL_SAFE, 120),
        "google-client": "GOCSPX-" + some(URL_SAFE, 28),
        "azure-client": some(ALNUM, 3) + "8Q~" + some(ALNUM, 34),
        "digitalocean": "dop_v1_" + some(HEX, 64),
        "databricks": "dapi" + some(HEX, 32),
        "supabase": "sbp_" + some(HEX, 40),
        "vault": "hvs." + some(URL_SAFE, 90),
        "github": "ghp_" + some(ALNUM, 36),
        "github-fine": "github_pat_" + some(ALNUM, 22) + "_" + some(ALNUM, 59),
        "gitlab": "glpat-" + some(URL_SAFE, 20),
        "npm": "npm_" + some(ALNUM, 36),
        "pypi": "pypi-AgEIcHlwaS5vcmc" + some(URL_SAFE, 100),
        "docker": "dckr_pat_" + some(URL_SAFE, 27),
        "sentry": "sntrys_" + some(ALNUM, 60),
        "newrelic": "NRAK-" + some(UPPER + DIGITS, 27),
        "grafana": f"glsa_{some(ALNUM, 32)}_{some(HEX, 8)}",
        "surefoot": "sft_" + some(ALNUM, 49),
        "stripe": "sk_live_" + some(ALNUM, 24),
        "stripe-restricted": "rk_test_" + some(ALNUM, 99),
        "square": "sq0atp-" + some(URL_SAFE, 22),
        "shopify": "shpat_" + some(HEX, 32),
        "slack": f"xoxb-{some(DIGITS, 12)}-{some(DIGITS, 12)}-{some(ALNUM, 24)}",
        "slack-hook": f"https://hooks.slack.com/services/T{some(UPPER, 8)}/B{some(UPPER, 8)}/{some(ALNUM, 24)}",
        "telegram": f"{some('123456789', 10)}:AA{some(URL_SAFE, 33)}",
        "twilio": "SK" + some(HEX, 32),
        "sendgrid": f"SG.{some(URL_SAFE, 22)}.{some(URL_SAFE, 43)}",
        "mailgun": "key-" + some(HEX, 32),
        "mailchimp": some(HEX, 32) + "-us14",
        "linear": "lin_api_" + some(ALNUM, 40),
        "notion": "ntn_" + some(ALNUM, 46),
        "airtable": f"pat{some(ALNUM, 14)}.{some(HEX, 64)}",
        "hubspot": f"pat-na1-{some(HEX, 8)}-{some(HEX, 4)}-{some(HEX, 4)}-{some(HEX, 4)}-{some(HEX, 12)}",
        "postman": f"PMAK-{some(HEX, 24)}-{some(HEX, 34)}",
        "tailscale": f"tskey-auth-{some(ALNUM, 12)}CNTRL-{some(ALNUM, 32)}",
        "jwt": ".".join(
            (_json64({"alg": "HS256", "typ": "JWT"}), _json64({"sub": some(DIGITS, 9)}), some(URL_SAFE, 43))
        ),
    }


def _json64(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def secrets(random: Random) -> list[Sample]:
    """A key of each vendor in some place, and secrets that are known by what stands around them."""
    found: list[Sample] = []
    for name, key in keys(random).items():
        place = random.choice(_PLACES)
        found.append(Sample(name, place(key), key))
    word = _password(random)
    token = signs(random, ALNUM, 40)
    pair = base64.b64encode(f"{signs(random, LOWER, 6)}:{word}".encode()).decode()
    body = "\n".join(signs(random, ALNUM + "+/", 64) for _ in range(6))
    kind = random.choice(("RSA ", "EC ", "OPENSSH ", ""))
    named = {
        "password": random.choice(
            (
                f"password={word}",
                f'"password": "{word}"',
                f"The password is {word}.",
                f"DB_PASSWORD: {word}",
                f"passwd = '{word}',",
                f"Your new password: {word}",
                json.dumps(json.dumps({"user": "kim", "password": word})),
            )
        ),
        "url": f"{random.choice(('postgresql', 'redis', 'https', 'amqp', 'mongodb+srv'))}://app:{word}@db.internal:5432/x",
    }
    found += [Sample(name, text, word) for name, text in named.items()]
    found += [
        Sample("bearer", f"Authorization: Bearer {token}", token),
        Sample("basic", f"authorization: Basic {pair}", pair),
        Sample(
            "assigned",
            random.choice((f"api_key={token}", f"'client_secret': '{token}'", f"export API_TOKEN={token}")),
            token,
        ),
        Sample(
            "private-key", f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----", body
        ),
    ]
    return found


def _password(random: Random) -> str:
    word = random.choice(("Winter", "tiger", "Qwertz", "blueSky", "Sommer", "hunter"))
    return word + random.choice("!#$%_-") + signs(random, DIGITS + LOWER, 4) + random.choice(DIGITS)


_PLACES: tuple[Callable[[str], str], ...] = (
    lambda key: f"The key {key}.",
    lambda key: f"key={key}",
    lambda key: f'{{"k":"{key}"}}',
    lambda key: json.dumps({"note": f"first line\n{key}\nlast"}),
    lambda key: f"curl -H 'x-api-key: {key}' https://api.example",
    lambda key: f"2026-11-27 10:00:00 ERROR refused ({key}), status 401",
    lambda key: f"| name | `{key}` |",
    lambda key: f"set {key}; then go on",
    lambda key: f"<{key}>",
    lambda key: f"{key}: that was mine",
)


def luhn(digits: str) -> str:
    """The digits with the one that makes them a card."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


def iban(random: Random) -> str:
    country, rest = random.choice(
        (
            ("DE", signs(random, DIGITS, 18)),
            ("GB", signs(random, UPPER, 4) + signs(random, DIGITS, 14)),
            ("FR", signs(random, DIGITS, 10) + signs(random, UPPER + DIGITS, 11) + signs(random, DIGITS, 2)),
            ("NL", signs(random, UPPER, 4) + signs(random, DIGITS, 10)),
            ("ES", signs(random, DIGITS, 20)),
            ("CH", signs(random, DIGITS, 17)),
        )
    )
    number = int("".join(str(int(sign, 36)) for sign in f"{rest}{country}00"))
    return f"{country}{98 - number % 97:02d}{rest}"


def tax_id(random: Random) -> str:
    while True:
        digits = random.sample(DIGITS, 10)
        digits[random.randrange(1, 10)] = digits[0]
        if digits[0] == "0" or len(set(digits)) != 9:
            continue
        product = 10
        for digit in digits:
            total = (int(digit) + product) % 10 or 10
            product = total * 2 % 11
        return "".join(digits) + str((11 - product) % 10)


def _grouped(text: str, size: int, sign: str) -> str:
    return sign.join(text[start : start + size] for start in range(0, len(text), size))


def people(random: Random) -> list[Sample]:
    """Personal data of each kind, in some of its forms, in some sentence."""

    def some(count: int) -> str:
        return signs(random, DIGITS, count)

    def area() -> str:
        return random.choice("23456789") + some(2)

    name = f"{random.choice(('ana', 'li', 'j.smith', 'o_neil', 'kim+news', 'müller'))}{some(2)}"
    host = random.choice(("acme.example", "mail.acme.co.uk", "xn--bcher-kva.example", "t-online.de"))
    card = luhn(random.choice(("4" + some(14), "5" + random.choice("12345") + some(13), "37" + some(12))))
    cut = (4, 10) if len(card) == 15 else (4, 8, 12)
    grouped = card if random.random() < 0.4 else _joined(card, cut, random.choice(" -"))
    account = iban(random)
    us = random.choice(
        (
            f"({area()}) {area()}-{some(4)}",
            f"{area()}-{area()}-{some(4)}",
            f"{area()}.{area()}.{some(4)}",
            f"+1-{area()}-{area()}-{some(4)}x{some(3)}",
            f"+1 ({area()}) {area()}-{some(4)}",
            f"001-{area()}-{area()}-{some(4)}",
        )
    )
    uk = random.choice(
        (
            f"020 7{some(3)} {some(4)}",
            f"+44 20 7{some(3)} {some(4)}",
            f"07{some(3)} {some(6)}",
            f"+44(0){some(4)} {some(6)}",
        )
    )
    de = random.choice(
        (
            f"030 / {some(7)}",
            f"+49 {random.choice('123456789')}{some(2)} {some(8)}",
            f"0{random.choice('123456789')}{some(3)}-{some(6)}",
            f"(089) {some(7)}",
            f"+49 (0)30 {some(4)} {some(3)}",
            f"0049 171 {some(7)}",
        )
    )
    far = random.choice(
        (
            f"+33 1 {_grouped(some(8), 2, ' ')}",
            f"+91 {random.choice('789')}{some(9)}",
            f"+86 138 {some(4)} {some(4)}",
            f"+353-86-{some(3)}-{some(4)}",
        )
    )
    ssn = f"{random.randint(1, 665):03d}-{random.randint(1, 99):02d}-{random.randint(1, 9999):04d}"
    ip = ".".join(str(random.randint(1, 254)) for _ in range(4))
    ip6 = random.choice(
        (":".join(signs(random, HEX, 4) for _ in range(8)), f"2001:db8::{signs(random, HEX, 4)}:{some(2)}")
    )
    values = [
        *(("email", f"{name}@{host}"), ("card", grouped), ("phone", us), ("phone", uk), ("phone", de)),
        *(("phone", far), ("ssn", ssn), ("ip", ip), ("ip", ip6), ("tax_id", tax_id(random))),
        ("iban", account if random.random() < 0.5 else _grouped(account, 4, " ")),
    ]
    return [Sample(kind, random.choice(_SENTENCES)(value), value) for kind, value in values]


def _joined(text: str, places: tuple[int, ...], sign: str) -> str:
    bounds = (0, *places, len(text))
    return sign.join(text[start:end] for start, end in itertools.pairwise(bounds))


_SENTENCES: tuple[Callable[[str], str], ...] = (
    lambda value: f"it is {value}, I think",
    lambda value: f"Please note: {value}.",
    lambda value: f'{{"contact":"{value}"}}',
    lambda value: json.dumps(f"Line one\n{value}\nLine three", ensure_ascii=False),
    lambda value: f"({value})",
    lambda value: f"{value}\tand more",
    lambda value: f"name;{value};city",
    lambda value: f"My number/address is {value} and I live in Kiel",
)
