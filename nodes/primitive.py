"""Nodes that hold or make numbers, texts and yes-or-no: one value, set once and wired to many."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

from graph_runtime.node import Knob, node
from nodes.sockets import refused

Whole = Annotated[int, Knob(min=-(2**53), max=2**53)]


class Number(NamedTuple):
    number: float
    whole: int


@node("core/text_value", title="Text", category="value")
def text_value(*, text: Annotated[str, Knob(multiline=True)] = "") -> str:
    """A text, for several inputs at once.

    text: what it says
    """
    return text


@node("core/integer", title="Whole number", category="value")
def integer(*, value: Whole = 0) -> int:
    """A whole number, for several inputs at once.

    value: which one
    """
    return value


@node("core/seed", category="value")
def seed(*, seed: Annotated[int, Knob(min=0, max=2**53, seed=True)] = 0) -> int:
    """A seed for several samplers at once.

    seed: the same seed and settings give the same picture
    """
    return seed


@node("core/number", category="value")
def number(*, value: float = 0.0) -> float:
    """A number, for several inputs at once.

    value: which one
    """
    return value


@node("core/boolean", title="Yes or no", category="value")
def boolean(*, value: bool = True) -> bool:
    """Yes or no, for several inputs at once.

    value: which of the two
    """
    return value


def _power(a: float, b: float) -> float:
    return math.copysign(abs(a) ** b, a) if b == 1 else a**b


OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "a + b": operator.add,
    "a - b": operator.sub,
    "a × b": operator.mul,
    "a / b": operator.truediv,
    "a modulo b": operator.mod,
    "a to the power b": _power,
    "smaller": min,
    "larger": max,
    "a rounded to multiples of b": lambda a, b: round(a / b) * b,
    "a rounded down to multiples of b": lambda a, b: math.floor(a / b) * b,
}


@node("core/calculate", category="value")
def calculate(
    *, a: float = 0.0, b: float = 0.0, operation: Annotated[str, Knob(choices=tuple(OPERATIONS))] = "a + b"
) -> Number:
    """Arithmetic with two numbers.

    a: the first number
    b: the second
    operation: what is done with them
    number: the result
    whole: the result, rounded to a whole number
    """
    try:
        result = OPERATIONS[operation](a, b)
        if isinstance(result, complex) or not math.isfinite(result):
            raise ArithmeticError("it is no finite number")
        return Number(float(result), round(result))
    except ArithmeticError as error:
        what = f"{operation} with a = {a:g} and b = {b:g} has no result: {error}."
        raise refused("no-result", "Calculate", what, "Give other numbers.") from None


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "a = b": operator.eq,
    "a ≠ b": operator.ne,
    "a < b": operator.lt,
    "a ≤ b": operator.le,
    "a > b": operator.gt,
    "a ≥ b": operator.ge,
}


@node("core/compare", title="Compare numbers", category="value")
def compare(
    *, a: float = 0.0, b: float = 0.0, comparison: Annotated[str, Knob(choices=tuple(COMPARISONS))] = "a = b"
) -> bool:
    """Whether two numbers stand like this to each other.

    a: the first number
    b: the second
    comparison: what is asked
    """
    return COMPARISONS[comparison](a, b)


@node("core/combine_conditions", title="And, or, not", category="value")
def combine_conditions(
    *, a: bool = True, b: bool = True, how: Literal["a and b", "a or b", "one of the two", "not a"] = "a and b"
) -> bool:
    """Two conditions as one.

    a: the first
    b: the second; not looked at for `not a`
    how: when the result is yes
    """
    return {"a and b": a and b, "a or b": a or b, "one of the two": a != b, "not a": not a}[how]
