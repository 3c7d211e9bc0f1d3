"""Numbers in answers: how people write them, and how near they have to be."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from surefoot.errors import InvalidInput
from surefoot.evals.plain import numeric
from surefoot.evals.plain.quantities import quantities


def read(text: str, mark: str = "auto") -> list[tuple[float, str]]:
    return [(float(each.value), each.unit) for each in quantities(text, mark)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("none at all", []),
        ("42", [(42, "")]),
        ("It is 42.", [(42, "")]),
        ("1,234.50", [(1234.5, "")]),
        ("1.234,50", [(1234.5, "")]),
        ("1 234,5", [(1234.5, "")]),
        ("1\u202f234\u202f567", [(1234567, "")]),
        ("1'234", [(1234, "")]),
        ("1,234", [(1234, "")]),
        ("1.234", [(1.234, "")]),
        ("0,125", [(0.125, "")]),
        ("3,5", [(3.5, "")]),
        ("1,234,567 or 1.234.567", [(1234567, ""), (1234567, "")]),
        ("12,34,567", [(1234567, "")]),
        ("100,00,00", []),
        ("-5 and \u22125 and +5", [(-5, ""), (-5, ""), (5, "")]),
        ("5-10", [(5, ""), (10, "")]),
        ("12%-15 %", [(12, "%"), (15, "%")]),
        ("12 percent", [(12, "%")]),
        ("$3 million", [(3e6, "$")]),
        ("-$5, $-5", [(-5, "$"), (-5, "$")]),
        ("\u20ac1.200,50", [(1200.5, "\u20ac")]),
        ("1,200 EUR", [(1200, "\u20ac")]),
        ("5M, 5m, 5 k, 5k", [(5e6, ""), (5, "m"), (5, ""), (5000, "")]),
        ("2 billion USD", [(2e9, "$")]),
        ("\u22125 \u00b0C", [(-5, "\u00b0C")]),
        ("90 km/h", [(90, "km/h")]),
        ("15 minutes, 15-minute", [(15, "min"), (15, "min")]),
        ("1.5e-3 s, 3E5", [(0.0015, "s"), (3e5, "")]),
        (".5", [(0.5, "")]),
        ("GPT-4, Q3 and v1.2.3", []),
        ("192.168.0.1", []),
        ("2024-05-01", [(2024, ""), (5, ""), (1, "")]),
        ("1, 2, 3", [(1, ""), (2, ""), (3, "")]),
        ("\u0661\u0662\u0663\u066b\u0665", [(123.5, "")]),
        ("\uff14\uff12", [(42, "")]),
        ("9" * 500, []),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, found: list[tuple[float, str]]) -> None:
    assert read(text) == found


def test_the_decimal_sign_can_be_said() -> None:
    assert read("1.234", ",") == [(1234, "")]
    assert read("1,234", ",") == [(1.234, "")]
    assert read("1,234", ".") == [(1234, "")]
    with pytest.raises(InvalidInput, match="decimal sign"):
        read("1", "'")


@given(st.integers(-(10**15), 10**15), st.integers(0, 99))
def test_a_grouped_number_is_the_number(whole: int, cents: int) -> None:
    written = f"{whole:,}.{cents:02}"
    wanted = Decimal(f"{whole}.{cents:02}")
    assert [each.value for each in quantities(written)] == [wanted]
    swapped = written.translate(str.maketrans(",.", ".,"))
    assert [each.value for each in quantities(swapped)] == [wanted]


@given(st.floats(-1e12, 1e12, allow_nan=False))
def test_a_number_is_near_itself(value: float) -> None:
    assert numeric()(value, value).value is True
    assert numeric()(repr(value), value).value is True


@given(st.text())
def test_every_text_can_be_read(text: str) -> None:
    for each in quantities(text):
        assert each.value.is_finite()


@pytest.mark.parametrize(
    ("answer", "expected", "settings", "reason"),
    [
        ("It takes 42 minutes.", 42, {}, ""),
        (42.0, "42", {}, ""),
        ("3.14", 3.14159, {"absolute": 0.01}, ""),
        ("101", 100, {"relative": 0.01}, ""),
        ("102", 100, {"relative": 0.01}, "102 is +2 from 100 (+2.000%)"),
        ("90", 100, {}, "90 is -10 from 100 (-10.000%)"),
        ("1", 0, {"relative": 0.5}, "1 is +1 from 0"),
        ("5 km", "5 km", {}, ""),
        ("5", "5 km", {}, ""),
        ("5 miles", "5 km", {}, "5 miles is in mi and 5 km in km: units are not converted"),
        ("12 %", "12 percent", {}, ""),
        ("0.12", "12 %", {}, "0.12 is -11.88 from 12 % (-99.000%)"),
        ("7 or so, 7", 7, {}, ""),
        ("7 or 8", 8, {"which": "last"}, ""),
        ("7 or 8", 7, {"which": "first"}, ""),
        ("7 or 8", 8, {"which": "any"}, ""),
        ("3", [2, 3], {}, ""),
        ("4", [2, 3], {}, "4 is +1 from 2 or 3 (+33.333%)"),
        ("1.000", 1000, {"mark": ","}, ""),
    ],
)
def test_near_enough(answer: object, expected: object, settings: dict[str, object], reason: str) -> None:
    said = numeric(**settings)(answer, expected)  # type: ignore[arg-type]
    assert (said.value, said.reason) == (not reason, reason)


def test_an_answer_with_several_numbers_says_what_to_do() -> None:
    said = numeric()("between 7 and 8", 7)
    assert said.value is False
    assert said.reason == "the answer holds several numbers, 7, 8: say which counts, as in numeric:which=last"
    assert numeric()("no idea", 7).reason == "'no idea' holds no number; 7 is expected"
    assert numeric()(float("nan"), 7).value is False


@pytest.mark.parametrize("expected", ["seven", "7 or 8", [], [[7]], True, {"n": 7}, None, float("inf")])
def test_an_expected_value_that_is_no_number_is_refused(expected: object) -> None:
    with pytest.raises(InvalidInput, match="expected is"):
        numeric()("7", expected)


@pytest.mark.parametrize("answer", [None, True, {"n": 7}, [7]])
def test_an_answer_that_is_no_text_is_refused(answer: object) -> None:
    with pytest.raises(InvalidInput, match=r"reads=\{'answer'"):
        numeric()(answer, 7)


@pytest.mark.parametrize(
    "settings", [{"absolute": -1}, {"relative": float("nan")}, {"which": "second"}, {"mark": ";"}]
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        numeric(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["1," * 50_000, "1 000 " * 17_000, "9" * 100_000, "-" * 100_000, "$ " * 50_000]
)
def test_huge_texts_take_no_time_to_speak_of(text: str) -> None:
    began = time.process_time()
    list(quantities(text))
    assert time.process_time() - began < 5
