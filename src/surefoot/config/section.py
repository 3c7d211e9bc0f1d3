"""What all sections of the settings share, and the kinds of values in them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

# Strict everywhere: `retries = "2"` is a mistake. Only a path comes as text.
Location = Annotated[Path, Field(strict=False)]

Names = Annotated[tuple[str, ...], Field(strict=False)]
"""A list of texts; TOML has lists, and settings do not change."""


class Section(BaseModel):
    """What all sections share: frozen, strict, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _dollars(value: object) -> object:
    """Dollars as text, or as a number, whose digits are what was written."""
    if value is None or isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError('an amount of dollars is written as "2.50"') from None
    if not amount.is_finite() or amount < 0:
        raise ValueError("an amount of dollars is 0 or more")
    if amount != round(amount, 9):
        raise ValueError("an amount of dollars has nine decimals at most")
    return amount


def refuse_password(url: str | None) -> None:
    """Raise `ValueError` for an address that holds a password."""
    if url is not None and urlsplit(url).password is not None:
        raise ValueError('url holds a password: give it apart, as password = "${env:NAME}"')


Dollars = Annotated[Decimal, BeforeValidator(_dollars)]
"""An exact amount of dollars."""
