"""Numbers and texts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_runtime.problem import Refused
from nodes import primitive, strings

numbers = st.floats(-1e6, 1e6)


@given(numbers, numbers, st.sampled_from(list(primitive.OPERATIONS)))
def test_arithmetic_gives_a_finite_number_or_is_refused(a: float, b: float, operation: str) -> None:
    try:
        result = primitive.calculate(a=a, b=b, operation=operation)
    except Refused as refused:
        assert "has no result" in str(refused)
    else:
        assert math.isfinite(result.number)
        assert result.whole == round(result.number)


def test_arithmetic_is_right() -> None:
    calculate = primitive.calculate
    assert calculate(a=7, b=2, operation="a / b").number == 3.5
    assert calculate(a=7, b=2, operation="a modulo b").number == 1
    assert calculate(a=100, b=16, operation="a rounded down to multiples of b").whole == 96
    assert calculate(a=-8, b=1 / 3, operation="larger").number == pytest.approx(1 / 3)
    for a, b, operation in ((1, 0, "a / b"), (-8, 0.5, "a to the power b"), (1e300, 10, "a to the power b")):
        with pytest.raises(Refused, match="has no result"):
            calculate(a=a, b=b, operation=operation)


def test_comparing_and_combining() -> None:
    assert primitive.compare(a=1, b=2, comparison="a < b")
    assert not primitive.compare(a=1, b=2, comparison="a = b")
    assert primitive.combine_conditions(a=True, b=False, how="one of the two")
    assert not primitive.combine_conditions(a=True, b=False, how="not a")


def test_a_template_takes_values_and_nothing_else() -> None:
    assert strings.format_text("cat", 0.5, template="{a}, {b:.2f}, {{a}}") == "cat, 0.50, {a}"
    hostile = ("{a.__class__}", "{a[0]}", "{0}", "{}", "{c}", "{a:>99999999}", "{a:{b}}", "{", "{e}", "{a!r:999999999}")
    for template in hostile:
        with pytest.raises(Refused, match="cannot be filled in"):
            strings.format_text("cat", 9**9, template=template)


def test_texts_join_split_and_replace() -> None:
    assert strings.join_texts(["a", " ", "b"], separator="+") == "a+b"
    assert strings.split_text(text="a, b,,c", at="commas") == ["a", "b", "c"]
    assert strings.split_text(text="a\r\nb\r\n\r\nc", at="empty lines") == ["a\nb", "c"]
    assert strings.replace_text(text="aaa", find="a", replace="b") == "bbb"
    assert strings.replace_text(text="aaa", find="", replace="b") == "aaa"
    with pytest.raises(Refused, match="nothing in it"):
        strings.split_text(text=" \n ")
    with pytest.raises(Refused, match="characters"):
        strings.replace_text(text="a" * 2000, find="a", replace="b" * 1000)
